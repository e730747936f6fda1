"""Evidence made of leaves: one row for each thing an auditor asks about, with its leaf.

Leaves come stream after stream, each in its order; a row is given as soon as its stream is over, so
that what came later (a read-back, the end of a run, a ticket) stands in it. Nothing but leaves is
read, so whoever holds the log can make the same rows. People are references; texts are sealed and
stay out. Pure.
Source: our own audit document §12 and §13.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

__all__ = ["COLUMNS", "SAMPLED", "Placed", "Row", "cell", "rows_of", "sample"]

Json = Any  # Any: JSON

_PROOF: Final = ("leaf_index", "leaf_hash")

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "population/runs": (
        *("row_id", "run_id", "subject_ref", "process", "process_version", "kind", "source"),
        *("requested_by", "requested_at", "state", "ended_at", *_PROOF),
    ),
    "access_grants": (
        *("row_id", "subject_ref", "system", "entitlement", "level", "action", "requested_by"),
        *("requested_at", "authority_kind", "approver_ref", "approval_event", "policy_id"),
        *("four_eyes_ok", "effective_at", "executed_at", "executed_by", "account_ref"),
        *("provider_request_id", "http_status", "verified_at", "result", "due_at", "late_us"),
        *("grant", "run_id", "process", "process_version", "step_key", *_PROOF),
    ),
    "approvals": (
        *("row_id", "task", "run_id", "process", "subject_ref", "requested_by", "approver_ref"),
        *("decision", "opened_at", "decided_at", "due_at", "channel", "four_eyes_ok", *_PROOF),
    ),
    "exceptions": (
        *("row_id", "type", "run_id", "step_key", "subject_ref", "actor_ref", "second_ref"),
        *("reason_code", "occurred_at", "expires_at", *_PROOF),
    ),
    "escalations": (
        *("row_id", "incident", "system", "class", "opened_at", "ticket_ref", "tracker"),
        *("runs", "healed_by", "healed_at", *_PROOF),
    ),
    "admin_actions": (
        *("row_id", "type", "actor_ref", "second_ref", "subject_ref", "reason_code"),
        *("occurred_at", *_PROOF),
    ),
}
"""The tables and their columns."""

SAMPLED: Final = ("population/runs", "access_grants", "approvals")
"""The tables that samples are drawn of."""

_ENDS: Final = {"run.completed", "run.failed", "run.cancelled"}
_ACTIONS: Final = {
    "access.granted": "grant",
    "access.modified": "modify",
    "access.revoked": "revoke",
    "access.adopted": "adopt",
}
_EXCEPTIONS: Final = {"step.skipped", "step.completed_by_hand", "access.excepted"}
_ADMINISTRATION: Final = (
    *("admin.", "policy.", "setting.", "connector.", "data.", "log.", "process.", "schedule."),
    "subject.",
)


class Placed(NamedTuple):
    """A leaf, read, with its place in the log and its hash in hex."""

    leaf: Json
    leaf_index: int
    hash: str


class Row(NamedTuple):
    """A row of a table; occurred_at: of the leaf that makes it."""

    table: str
    occurred_at: str
    values: dict[str, Json]


def rows_of(stream: Iterable[Placed]) -> Iterator[Row]:
    """Give the rows that the leaves of one stream make, each with what came of it later."""
    made: list[Row] = []
    by_name: dict[str, dict[str, Json]] = {}
    started: Json = {}
    for each in stream:
        leaf = each.leaf
        kind = leaf["type"]
        if kind == "run.started":
            started = leaf
        _told_later(leaf, by_name)
        for table, values in _made_of(leaf, started, by_name):
            row = {
                "row_id": f"{leaf['stream']}/{leaf['seq']}",
                "leaf_index": each.leaf_index,
                "leaf_hash": each.hash,
                **values,
            }
            made.append(Row(table, leaf["occurred_at"], row))
            for name in (row.get("grant"), row.get("incident"), row.get("run_of")):
                if name is not None:
                    by_name[name] = row
            row.pop("run_of", None)
    yield from made


def _told_later(leaf: Json, by_name: dict[str, dict[str, Json]]) -> None:
    """Write into earlier rows what this leaf says of them."""
    kind, facts, at = leaf["type"], leaf["data"], leaf["occurred_at"]
    row = by_name.get(facts.get("grant") or facts.get("incident") or leaf["stream"])
    if kind == "task.opened":
        by_name[facts["task"]] = {"opened_at": at, "due_at": facts.get("due_at")}
    if row is None:
        return
    if kind == "access.verified":
        row.update(verified_at=at, result=facts["result"])
    elif kind == "incident.ticketed":
        row.update(ticket_ref=facts["ticket"], tracker=facts["tracker"])
    elif kind == "incident.closed":
        row.update(healed_at=at, healed_by=facts["healed_by"], runs=facts["runs"])
    elif kind in _ENDS:
        row.update(state=leaf["run_state"], ended_at=at)


def _made_of(leaf: Json, started: Json, by_name: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    kind = leaf["type"]
    if kind == "run.started":
        yield "population/runs", _run(leaf)
    if kind in _ACTIONS:
        yield "access_grants", _access(leaf, started)
    if kind == "task.decided":
        yield "approvals", _approval(leaf, started, by_name.get(leaf["data"]["task"], {}))
    if kind in _EXCEPTIONS or _authority(leaf).get("kind") in {"break_glass", "exception"}:
        yield "exceptions", _exception(leaf)
    if kind == "incident.opened":
        facts = leaf["data"]
        yield (
            "escalations",
            {
                "incident": facts["incident"],
                "system": leaf["system"],
                "class": facts["class"],
                "opened_at": leaf["occurred_at"],
            },
        )
    if kind.startswith(_ADMINISTRATION):
        yield "admin_actions", {**_who(leaf), "subject_ref": leaf["subject"]}


def _run(leaf: Json) -> Json:
    facts = leaf["data"]
    return {
        "run_of": leaf["stream"],
        "run_id": leaf["stream"].removeprefix("run/"),
        "subject_ref": leaf["subject"],
        "kind": facts.get("kind"),
        "source": facts["source"]["type"],
        "requested_by": facts["requested_by"],
        "requested_at": leaf["occurred_at"],
        "state": "open",
        **_process(leaf),
    }


def _access(leaf: Json, started: Json) -> Json:
    facts, authority, http = leaf["data"], _authority(leaf), leaf["data"].get("http") or {}
    approver = authority.get("approver")
    return {
        "subject_ref": leaf["subject"],
        "system": leaf["system"],
        "entitlement": facts.get("entitlement"),
        "level": facts.get("level"),
        "action": _ACTIONS[leaf["type"]],
        "requested_by": _requester(started),
        "requested_at": started.get("occurred_at"),
        "authority_kind": authority.get("kind"),
        "approver_ref": approver,
        "approval_event": authority.get("event"),
        "policy_id": authority.get("policy_id"),
        "four_eyes_ok": None if approver is None else _are_two(approver, leaf, started),
        "effective_at": facts.get("effective_at"),
        "executed_at": leaf["occurred_at"],
        "executed_by": leaf["actor"]["id"],
        "account_ref": facts.get("account_ref"),
        "provider_request_id": http.get("request_id"),
        "http_status": http.get("status"),
        "due_at": facts.get("due_at"),
        "late_us": facts.get("late_us"),
        "grant": facts["grant"],
        "run_id": leaf["stream"].removeprefix("run/"),
        "step_key": (leaf.get("step") or {}).get("key"),
        **_process(leaf),
    }


def _approval(leaf: Json, started: Json, opened: Json) -> Json:
    facts, approver = leaf["data"], leaf["actor"].get("on_behalf_of") or leaf["actor"]["id"]
    return {
        "task": facts["task"],
        "run_id": leaf["stream"].removeprefix("run/"),
        "process": leaf["process"]["name"],
        "subject_ref": leaf["subject"],
        "requested_by": _requester(started),
        "approver_ref": approver,
        "decision": facts["decision"],
        "opened_at": opened.get("opened_at"),
        "decided_at": leaf["occurred_at"],
        "due_at": opened.get("due_at"),
        "channel": facts["channel"],
        "four_eyes_ok": _are_two(approver, leaf, started),
    }


def _exception(leaf: Json) -> Json:
    return {
        **_who(leaf),
        "run_id": leaf["stream"].removeprefix("run/"),
        "step_key": (leaf.get("step") or {}).get("key"),
        "subject_ref": leaf["subject"],
        "expires_at": leaf["data"].get("expires_at"),
    }


def _who(leaf: Json) -> Json:
    return {
        "type": leaf["type"],
        "actor_ref": leaf["actor"].get("on_behalf_of") or leaf["actor"]["id"],
        "second_ref": leaf["data"].get("second"),
        "reason_code": (leaf.get("reason") or {}).get("code"),
        "occurred_at": leaf["occurred_at"],
    }


def _process(leaf: Json) -> Json:
    its = leaf.get("process") or {}
    return {"process": its.get("name"), "process_version": its.get("version")}


def _authority(leaf: Json) -> Json:
    return leaf["data"].get("authority") or {}


def _requester(started: Json) -> Json:
    return started["data"]["requested_by"] if started else None


def _are_two(approver: str, leaf: Json, started: Json) -> bool:
    """Whether the approver is neither who asked nor whom it is about (CT02)."""
    return approver not in {_requester(started), leaf["subject"]}


def cell(value: Json) -> str:
    """Write a value into a CSV, so that no spreadsheet takes it for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    is_formula = isinstance(value, str) and text[:1] in {"=", "+", "-", "@", "\t", "\r"}
    return f"'{text}" if is_formula else text


def sample(ids: Iterable[str], *, seed: str, n: int) -> list[str]:
    """Draw `n` row ids, by the SHA-256 of seed and id: whoever has both draws the same."""
    key = {each: hashlib.sha256(f"{seed}\n{each}".encode()).hexdigest() for each in ids}
    return heapq.nsmallest(n, key, key=lambda each: (key[each], each))
