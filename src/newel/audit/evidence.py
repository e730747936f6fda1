"""Evidence made of leaves: one row for each thing an auditor asks about, with its leaf.

Leaves come in the order of the log. A row is made by the leaf that defines it and completed by what
comes later in the period: a read-back, the end of a run, a ticket. Nothing but leaves is read, so
whoever holds the log makes the same rows. People are references; texts are sealed and stay out.
Pure.
Source: our own audit document §12 and §13.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

__all__ = ["COLUMNS", "SAMPLED", "Evidence", "Placed", "Window", "cell", "moment", "sample"]

Json = Any  # Any: JSON
Row = dict[str, Json]

_PROOF: Final = ("leaf_index", "leaf_hash")
_ABOUT: Final = ("employment_type", "department", "job_role", "manager_ref")
_RUNS: Final = (
    *("row_id", "subject_ref", "run_id", "process", "process_version", "kind", "source"),
    *("requested_by", "requested_at", "effective_at", *_ABOUT, "state", "completed_at"),
    *("systems_done", "first_access_at", "last_revoked_at", "sla_hours", "sla_met", *_PROOF),
)
_KINDS: Final = {"joiner": "joiners", "mover": "movers", "leaver": "leavers", "request": "requests"}

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "population/runs": _RUNS,
    **{f"population/{name}": _RUNS for name in _KINDS.values()},
    "access_grants": (
        *("row_id", "subject_ref", *_ABOUT, "system", "entitlement", "level", "action", "grant"),
        *("requested_at", "requested_by", "request_source", "approved_at", "approver_ref"),
        *("approval_event", "authority_kind", "policy_id", "policy_sha256", "four_eyes_ok"),
        *("effective_at", "executed_at", "executed_by", "account_ref", "provider_request_id"),
        *("http_status", "rounds", "attempts", "verified_at", "result", "expires_at", "revoked_at"),
        *("due_at", "late_us", "sla_hours", "sla_met", "ticket_ref", "run_id", "process"),
        *("process_version", "step_key", *_PROOF),
    ),
    "approvals": (
        *("row_id", "task", "run_id", "process", "subject_ref", "requested_by", "approver_ref"),
        *("decision", "opened_at", "decided_at", "due_at", "channel", "auth_methods"),
        *("auth_age_s", "shown_digest", "excluded", "four_eyes_ok", *_PROOF),
    ),
    "exceptions": (
        *("row_id", "type", "run_id", "step_key", "subject_ref", "actor_ref", "second_ref"),
        *("reason_code", "occurred_at", "expires_at", "is_access", *_PROOF),
    ),
    "escalations": (
        *("row_id", "incident", "system", "class", "opened_at", "rounds", "ticketed_at"),
        *("ticket_ref", "tracker", "channel", "tickets", "runs", "healed_by", "healed_at"),
        *("minutes_open", *_PROOF),
    ),
    "admin_actions": (
        *("row_id", "type", "actor_ref", "second_ref", "object", "before", "after"),
        *("subject_ref", "reason_code", "occurred_at", *_PROOF),
    ),
    "api_keys": (
        *("row_id", "key", "scopes", "created_at", "created_by", "expires_at", "revoked_at"),
        *_PROOF,
    ),
}
"""The tables and their columns."""

SAMPLED: Final = (
    *("population/runs", *(f"population/{name}" for name in _KINDS.values())),
    *("access_grants", "approvals"),
)
"""The tables that samples are drawn of."""

_ENDS: Final = {"run.completed", "run.failed", "run.cancelled"}
_ACTIONS: Final = {
    "access.pending": "prepare",
    "access.granted": "grant",
    "access.modified": "modify",
    "access.revoked": "revoke",
    "access.adopted": "adopt",
}
_BY_HAND: Final = {"step.skipped", "step.completed_by_hand"}
_EXCEPTIONS: Final = {*_BY_HAND, "access.excepted"}
_ADMINISTRATION: Final = (
    *("admin.", "policy.", "setting.", "connector.", "data.", "log.", "process.", "schedule."),
    "subject.",
)
_OBJECTS: Final = ("key", "name", "schedule", "endpoint", "target", "kind", "seed", "origin")
_HOUR_US: Final = 3_600_000_000
_MICROSECOND: Final = timedelta(microseconds=1)


class Placed(NamedTuple):
    """A leaf, read, with its place in the log and its hash in hex."""

    leaf: Json
    leaf_index: int
    hash: str


class Window(NamedTuple):
    """From a moment to before another, as leaves write it; sla_hours: that ends of access have."""

    since: str
    until: str
    sla_hours: int


class Decision(NamedTuple):
    """A decision that a grant may rest on."""

    leaf_index: int
    hash: str
    subject: str | None
    decision: str
    decided_at: str


class Evidence:
    """The rows of a period, and what control tests need to know of the time before it."""

    def __init__(self, window: Window, *, is_whole: bool = True) -> None:
        """Begin with nothing; `take` every leaf of the log in its order, then `finish`.

        is_whole: whether the log begins with its first leaf, not after a restore.
        """
        self.window = window
        self.is_whole = is_whole
        self.rows: dict[str, list[Row]] = {table: [] for table in COLUMNS}
        self.decisions: dict[str, Decision] = {}
        self.registered: dict[tuple[str, str], int] = {}
        self.definitions: list[Row] = []
        self.held: dict[str, dict[str, str]] = {}
        self.strict_since: list[tuple[str, bool]] = []
        self.anchor_failures: list[tuple[str, str, str | None]] = []
        self.forced: list[tuple[str, int]] = []
        self.streams: dict[str, int] = {}
        self.started = self.events = self.gaps = 0
        self.granted: set[str] = set()
        self.silence: tuple[str, str, str, str] | None = None
        self._silent_us = 0
        self._last: tuple[str, str] | None = None
        self._runs: dict[str, Row] = {}
        self._tasks: dict[str, tuple[str, str | None]] = {}
        self._grants: dict[str, list[Row]] = {}
        self._incidents: dict[str, Row] = {}
        self._parked: dict[tuple[str, str], str] = {}
        self._rounds: dict[str, int] = {}
        self._keys: dict[str, Row] = {}

    def take(self, each: Placed) -> None:
        """Make and complete rows by one leaf; one after the period counts, and says no more."""
        leaf = each.leaf
        self._count(leaf)
        if leaf["occurred_at"] >= self.window.until:
            return
        self._hear_silence(leaf)
        self._told_later(leaf)
        for table, values in self._made_of(each):
            row = {
                "row_id": f"{leaf['stream']}/{leaf['seq']}",
                "leaf_index": each.leaf_index,
                "leaf_hash": each.hash,
                **values,
            }
            self._remember(table, row)
            if leaf["occurred_at"] >= self.window.since:
                self.rows[table].append(row)
        self._learn(each)

    def finish(self) -> None:
        """Complete what only the whole period tells: tickets, rounds, populations."""
        for row in self.rows["access_grants"]:
            incident = self._parked.get((row["run_id"], row["step_key"]))
            row["ticket_ref"] = self._incidents.get(incident or "", {}).get("ticket_ref")
        for row in self.rows["escalations"]:
            row["rounds"] = self._rounds.get(row["incident"], 0)
        for row in self.rows["population/runs"]:
            row["systems_done"] = sorted(row["systems_done"])
            name = _KINDS.get(row["kind"] or "")
            if name is not None:
                self.rows[f"population/{name}"].append(row)

    # --- inside -----------------------------------------------------------------------------

    def _count(self, leaf: Json) -> None:
        stream, seq = leaf["stream"], leaf["seq"]
        before = self.streams.get(stream)
        self.gaps += before is not None and seq != before + 1
        self.streams[stream] = seq
        self.started += leaf["type"] == "run.started"
        if leaf["type"].startswith("access."):
            self.granted.add(leaf["data"]["grant"])
        elif leaf["type"] == "step.skipped":  # what it was to give is waived
            self.granted.update(leaf["data"].get("grants") or ())

    def _hear_silence(self, leaf: Json) -> None:
        """Keep the longest time within the period in which nothing at all was written."""
        at = leaf["occurred_at"]
        if at < self.window.since:
            return
        self.events += 1
        if self._last is not None and at > self._last[0]:
            lasted = _us(self._last[0], at)
            if lasted > self._silent_us:
                self._silent_us = lasted
                self.silence = (self._last[0], at, self._last[1], leaf["type"])
        if self._last is None or at >= self._last[0]:
            self._last = (at, leaf["type"])

    def _told_later(self, leaf: Json) -> None:
        """Write into earlier rows what this leaf says of them."""
        kind, facts, at = leaf["type"], leaf["data"], leaf["occurred_at"]
        if kind == "task.opened":
            self._tasks[facts["task"]] = (at, facts.get("due_at"))
        elif kind == "access.verified":
            for row in self._grants.get(facts["grant"], ())[-1:]:
                row.update(verified_at=at, result=facts["result"])
        elif kind in {"access.revoked", "access.modified"}:
            ended = facts["grant"] if kind == "access.revoked" else facts["from"]
            for row in self._grants.get(ended, ()):
                if row["action"] != "revoke" and row.get("revoked_at") is None:
                    row["revoked_at"] = at
        elif kind in _ENDS and leaf["stream"] in self._runs:
            self._runs[leaf["stream"]].update(state=leaf["run_state"], completed_at=at)
        elif kind == "admin.key_revoked" and facts["key"] in self._keys:
            self._keys[facts["key"]]["revoked_at"] = at
        elif kind.startswith("incident.") and facts["incident"] in self._incidents:
            _told_of_incident(self._incidents[facts["incident"]], leaf)
        elif kind == "step.parked" and facts.get("incident"):
            self._parked[(leaf["stream"].removeprefix("run/"), leaf["step"]["key"])] = facts[
                "incident"
            ]
            self._rounds[facts["incident"]] = max(
                self._rounds.get(facts["incident"], 0), facts["rounds"]
            )

    def _made_of(self, each: Placed) -> list[tuple[str, Row]]:
        leaf = each.leaf
        kind = leaf["type"]
        made: list[tuple[str, Row]] = []
        if kind == "run.started":
            made.append(("population/runs", self._run(leaf)))
        if kind in _ACTIONS:
            made.append(("access_grants", self._access(leaf)))
        if kind == "task.decided":
            made.append(("approvals", self._approval(leaf)))
        if kind in _EXCEPTIONS or _authority(leaf).get("kind") in {"break_glass", "exception"}:
            made.append(("exceptions", _exception(leaf)))
        if kind == "incident.opened":
            made.append(("escalations", _escalation(leaf)))
        if kind.startswith(_ADMINISTRATION):
            made.append(("admin_actions", _administration(leaf)))
        if kind == "admin.key_created":
            made.append(("api_keys", _key(leaf)))
        return made

    def _remember(self, table: str, row: Row) -> None:
        if table == "population/runs":
            self._runs[f"run/{row['run_id']}"] = row
        elif table == "access_grants":
            self._grants.setdefault(row["grant"], []).append(row)
            self._count_access(row)
        elif table == "escalations":
            self._incidents[row["incident"]] = row
        elif table == "api_keys":
            self._keys[row["key"]] = row

    def _count_access(self, row: Row) -> None:
        """Write into the run's row what it did to access."""
        run = self._runs.get(f"run/{row['run_id']}")
        if run is None:
            return
        if row["system"] is not None and row["system"] not in run["systems_done"]:
            run["systems_done"].append(row["system"])
        if row["action"] == "revoke":
            run["last_revoked_at"] = row["executed_at"]
            if run["kind"] == "leaver":
                run["sla_met"] = row["sla_met"] and run["sla_met"] is not False
        elif run["first_access_at"] is None:
            run["first_access_at"] = row["executed_at"]

    def _learn(self, each: Placed) -> None:
        """Keep what later leaves and control tests are judged by."""
        leaf, facts = each.leaf, each.leaf["data"]
        kind, at = leaf["type"], leaf["occurred_at"]
        if kind == "task.decided":
            self.decisions[leaf["id"]] = Decision(
                each.leaf_index, each.hash, leaf["subject"], facts["decision"], at
            )
        elif kind == "process.registered":
            its = leaf["process"]
            self.registered.setdefault((its["name"], its["definition_sha256"]), each.leaf_index)
            self.definitions.append(
                {
                    "process": its["name"],
                    "version": its["version"],
                    "source_sha256": facts["source_sha256"],
                    "drawing_sha256": facts.get("drawing_sha256"),
                    "previous": facts.get("previous"),
                    "author": facts["author"],
                    "registered_at": at,
                    "leaf_index": each.leaf_index,
                    "leaf_hash": each.hash,
                }
            )
        elif kind in _ACTIONS and leaf["subject"] is not None:
            mine = self.held.setdefault(leaf["subject"], {})
            mine.pop(facts.get("from", ""), None)
            if facts["state"] in {"prepared", "active"}:
                mine[facts["grant"]] = at
            else:
                mine.pop(facts["grant"], None)
        elif kind == "setting.changed" and facts["name"] == "second_person":
            self.strict_since.append((at, facts.get("after") == "strict"))
        elif kind == "log.pruned" and facts.get("forced"):
            self.forced.append((at, facts.get("days", 0)))
        elif kind == "log.anchor_failing":
            self.anchor_failures.append((facts["target"], at, None))
        elif kind == "log.anchor_recovered":
            self.anchor_failures = [
                (target, since, at if target == facts["target"] and until is None else until)
                for target, since, until in self.anchor_failures
            ]

    def _run(self, leaf: Json) -> Row:
        facts = leaf["data"]
        kind = facts.get("kind")
        return {
            "run_id": leaf["stream"].removeprefix("run/"),
            "subject_ref": leaf["subject"],
            "kind": kind,
            "source": facts["source"]["type"],
            "requested_by": facts["requested_by"],
            "requested_at": leaf["occurred_at"],
            "effective_at": facts.get("effective_at"),
            "state": "open",
            "completed_at": None,
            "systems_done": [],
            "first_access_at": None,
            "last_revoked_at": None,
            "sla_hours": self.window.sla_hours if kind == "leaver" else None,
            "sla_met": None,
            **_attributes(facts.get("attributes") or {}),
            **_process(leaf),
        }

    def _access(self, leaf: Json) -> Row:
        facts, authority, http = leaf["data"], _authority(leaf), leaf["data"].get("http") or {}
        run = self._runs.get(leaf["stream"], {})
        approver = authority.get("approver")
        approved = self.decisions.get(authority.get("event") or "")
        is_judged = leaf["type"] == "access.revoked" and run.get("kind") == "leaver"
        sla = self.window.sla_hours if is_judged else None
        return {
            "subject_ref": leaf["subject"],
            **{name: run.get(name) for name in _ABOUT},
            "system": leaf["system"],
            "entitlement": facts.get("entitlement"),
            "level": facts.get("level"),
            "action": _ACTIONS[leaf["type"]],
            "grant": facts["grant"],
            "requested_at": run.get("requested_at"),
            "requested_by": run.get("requested_by"),
            "request_source": run.get("source"),
            "approved_at": None if approved is None else approved.decided_at,
            "approver_ref": approver,
            "approval_event": authority.get("event"),
            "authority_kind": authority.get("kind"),
            "policy_id": authority.get("policy_id"),
            "policy_sha256": authority.get("policy_sha256"),
            "four_eyes_ok": None if approver is None else _are_two(approver, leaf, run),
            "effective_at": facts.get("effective_at"),
            "executed_at": leaf["occurred_at"],
            "executed_by": leaf["actor"]["id"],
            "account_ref": facts.get("account_ref"),
            "provider_request_id": http.get("request_id"),
            "http_status": http.get("status"),
            "rounds": (leaf.get("step") or {}).get("round"),
            "attempts": (leaf.get("step") or {}).get("attempt"),
            "expires_at": facts.get("expires_at"),
            "due_at": facts.get("due_at"),
            "late_us": facts.get("late_us"),
            "sla_hours": sla,
            "sla_met": None if sla is None else facts["late_us"] <= sla * _HOUR_US,
            "run_id": leaf["stream"].removeprefix("run/"),
            "step_key": (leaf.get("step") or {}).get("key"),
            **_process(leaf),
        }

    def _approval(self, leaf: Json) -> Row:
        facts, approver = leaf["data"], leaf["actor"].get("on_behalf_of") or leaf["actor"]["id"]
        run = self._runs.get(leaf["stream"], {})
        opened_at, due_at = self._tasks.pop(facts["task"], (None, None))
        return {
            "task": facts["task"],
            "run_id": leaf["stream"].removeprefix("run/"),
            "process": leaf["process"]["name"],
            "subject_ref": leaf["subject"],
            "requested_by": run.get("requested_by"),
            "approver_ref": approver,
            "decision": facts["decision"],
            "opened_at": opened_at,
            "decided_at": leaf["occurred_at"],
            "due_at": due_at,
            "channel": facts["channel"],
            "auth_methods": facts["auth"]["methods"],
            "auth_age_s": facts["auth"]["age_s"],
            "shown_digest": facts.get("shown_digest"),
            "excluded": facts["excluded"],
            "four_eyes_ok": _are_two(approver, leaf, run),
        }


def _escalation(leaf: Json) -> Row:
    facts = leaf["data"]
    return {
        "incident": facts["incident"],
        "system": leaf["system"],
        "class": facts["class"],
        "opened_at": leaf["occurred_at"],
        "tickets": 0,
    }


def _told_of_incident(row: Row, leaf: Json) -> None:
    kind, facts, at = leaf["type"], leaf["data"], leaf["occurred_at"]
    if kind == "incident.ticketed":
        row["tickets"] += 1
        if row["tickets"] == 1:
            row.update(ticketed_at=at, ticket_ref=facts["ticket"], tracker=facts["tracker"])
            row["channel"] = facts["channel"]
    elif kind == "incident.closed":
        minutes = _us(row["opened_at"], at) // 60_000_000
        row.update(healed_at=at, healed_by=facts["healed_by"], runs=facts["runs"])
        row["minutes_open"] = minutes


def _exception(leaf: Json) -> Row:
    return {
        **_who(leaf),
        "run_id": leaf["stream"].removeprefix("run/"),
        "step_key": (leaf.get("step") or {}).get("key"),
        "subject_ref": leaf["subject"],
        "expires_at": leaf["data"].get("expires_at"),
        "is_access": leaf["type"] not in _BY_HAND or bool(leaf["data"].get("grants")),
    }


def _administration(leaf: Json) -> Row:
    facts = leaf["data"]
    named = next((facts[name] for name in _OBJECTS if name in facts), None)
    if leaf.get("process") is not None:
        named = f"{leaf['process']['name']}@{leaf['process']['version']}"
    return {
        **_who(leaf),
        "object": leaf["system"] if named is None else named,
        "before": facts.get("before"),
        "after": facts.get("after"),
        "subject_ref": leaf["subject"],
    }


def _key(leaf: Json) -> Row:
    facts = leaf["data"]
    return {
        "key": facts["key"],
        "scopes": facts["scopes"],
        "created_at": leaf["occurred_at"],
        "created_by": leaf["actor"].get("on_behalf_of") or leaf["actor"]["id"],
        "expires_at": facts.get("expires_at"),
    }


def _who(leaf: Json) -> Row:
    return {
        "type": leaf["type"],
        "actor_ref": leaf["actor"].get("on_behalf_of") or leaf["actor"]["id"],
        "second_ref": leaf["data"].get("second"),
        "reason_code": (leaf.get("reason") or {}).get("code"),
        "occurred_at": leaf["occurred_at"],
    }


def _process(leaf: Json) -> Row:
    its = leaf.get("process") or {}
    return {"process": its.get("name"), "process_version": its.get("version")}


def _attributes(said: Json) -> Row:
    return {**{name: said.get(name) for name in _ABOUT}, "manager_ref": said.get("manager")}


def _authority(leaf: Json) -> Json:
    return leaf["data"].get("authority") or {}


def _are_two(approver: str, leaf: Json, run: Row) -> bool:
    """Whether the approver is neither who asked nor whom it is about (CT02)."""
    return approver not in {run.get("requested_by"), leaf["subject"]}


def moment(text: str) -> datetime:
    """Read a moment as leaves write it."""
    return datetime.fromisoformat(text)


def _us(since: str, until: str) -> int:
    """Microseconds between two moments."""
    return (moment(until) - moment(since)) // _MICROSECOND


def cell(value: Json) -> str:
    """Write a value into a CSV, so that no spreadsheet takes it for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = " ".join(value) if isinstance(value, list) else str(value)
    is_formula = not isinstance(value, int) and text[:1] in {"=", "+", "-", "@", "\t", "\r"}
    return f"'{text}" if is_formula else text


def sample(ids: Iterable[str], *, seed: str, n: int) -> list[str]:
    """Draw `n` row ids, by the SHA-256 of seed and id: whoever has both draws the same."""
    key = {each: hashlib.sha256(f"{seed}\n{each}".encode()).hexdigest() for each in ids}
    return heapq.nsmallest(n, key, key=lambda each: (key[each], each))
