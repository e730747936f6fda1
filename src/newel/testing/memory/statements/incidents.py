"""The statements of `incidents.sql`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import CHANGE, Transaction

_OPEN: Final = frozenset({"watching", "escalated", "healing"})
_OUTCOMES: Final = frozenset(
    {"step.succeeded", "step.failed", "step.skipped", "step.completed_by_hand", "step.cancelled"}
)


@statement("incidents.open_by_fingerprint")
def open_by_fingerprint(at: Transaction, fingerprint: str) -> list[Row]:
    """The open incident of a cause."""
    return [
        row
        for row in at.rows("incident")
        if row["fingerprint"] == fingerprint and row["state"] in _OPEN
    ]


@statement("incidents.open_incidents")
def open_incidents(at: Transaction) -> list[Row]:
    """All incidents that are not closed."""
    rows = [row for row in at.rows("incident") if row["state"] != "closed"]
    rows.sort(key=lambda row: row["opened_at"])
    return [
        {name: value for name, value in row.items() if name != "closed_at"} | {"as_of": at.now()}
        for row in rows
    ]


@statement("incidents.locked")
def locked(at: Transaction, incident: UUID) -> list[Row]:
    """One incident that is not closed, under its row lock."""
    row = at.get("incident", incident)
    if row is None or row["state"] == "closed":
        return []
    at.lock("incident", incident)
    names = ("id", "system", "state", "lead_run", "run_id", "opened_at")
    return [{name: row[name] for name in names} | {"as_of": at.now()}]


@statement("incidents.take_due_probes")
def take_due_probes(at: Transaction, pause: timedelta) -> list[Row]:
    """Takes the probes that are due."""
    now = at.now()
    due = [
        row
        for row in at.rows("incident")
        if row["state"] in {"watching", "escalated"}
        and row["probe_at"] is not None
        and row["probe_at"] <= now
    ]
    due.sort(key=lambda row: row["probe_at"])
    names = (
        "id", "fingerprint", "system", "credential", "scope", "state", "lead_run", "lead_key",
        "escalated_at", "probe_misses",
    )  # fmt: skip
    return [
        {name: row[name] for name in names} | {"as_of": now}
        for row in due[:20]
        if at.lock_free("incident", row["id"])
        and at.update("incident", row["id"], probe_at=now + pause)
    ]


def _changed(at: Transaction, incident: UUID, states: Iterable[str], **columns: Any) -> int:
    """Change an incident if it is in one of these states; Any: columns' values."""
    row = at.get("incident", incident)
    if row is None or row["state"] not in states:
        return 0
    at.lock("incident", incident, CHANGE)
    if columns.get("state") == "watching" and row["escalated_at"] is not None:
        columns["state"] = "escalated"
    at.update("incident", incident, **columns)
    return 1


@statement("incidents.missed")
def missed(at: Transaction, incident: UUID, gap: timedelta, error: str) -> int:
    """The system does not answer: the circuit is open."""
    row = at.get("incident", incident)
    misses = 0 if row is None else row["probe_misses"] + 1
    return _changed(
        at,
        incident,
        _OPEN,
        scope="system",
        probe_at=at.now() + gap,
        probe_misses=misses,
        last_error=error,
        state="watching",
    )


@statement("incidents.healing")
def healing(at: Transaction, incident: UUID, lead_run: UUID, lead_key: str) -> int:
    """The probe answered; the lead step goes first."""
    return _changed(
        at,
        incident,
        {"watching", "escalated"},
        state="healing",
        lead_run=lead_run,
        lead_key=lead_key,
        probe_at=None,
    )


@statement("incidents.healed")
def healed(at: Transaction, incident: UUID) -> int:
    """The lead step succeeded."""
    return _changed(at, incident, _OPEN, state="healed", healed_at=at.now(), probe_at=None)


@statement("incidents.new_lead")
def new_lead(at: Transaction, incident: UUID, lead_run: UUID, lead_key: str) -> int:
    """The lead step has left without success; another leads."""
    return _changed(
        at,
        incident,
        _OPEN,
        lead_run=lead_run,
        lead_key=lead_key,
        probe_at=at.now(),
        state="watching",
    )


@statement("incidents.closed")
def closed(at: Transaction, incident: UUID) -> int:
    """Nobody is held up any more."""
    row = at.get("incident", incident)
    if row is None:
        return 0
    healed_at = row["healed_at"] or at.now()
    at.update(
        "incident", incident, state="closed", closed_at=at.now(), healed_at=healed_at, probe_at=None
    )
    return 1


@statement("incidents.members")
def members(at: Transaction, incident: UUID) -> list[Row]:
    """The open steps that an incident holds up, oldest first."""
    rows = [row for row in at.rows("open_act") if row["incident_id"] == incident]
    rows.sort(key=lambda row: (row["opened_at"], row["run_id"]))
    names = ("run_id", "key", "state", "next_at", "detail")
    return [{name: row[name] for name in names} for row in rows]


@statement("incidents.lead_succeeded")
def lead_succeeded(at: Transaction, run: UUID, key: str) -> list[Row]:
    """Whether the last outcome of a step is a success of its code."""
    ends = [row for row in at.of("event", run) if row["key"] == key and row["type"] in _OUTCOMES]
    last = max(ends, key=lambda row: row["seq"], default=None)
    return [{"coalesce": last is not None and last["type"] == "step.succeeded"}]


@statement("incidents.attached")
def attached(at: Transaction, incident: str, stream: str) -> list[Row]:
    """How many steps an incident has held up."""
    count = sum(
        row["type"] in {"incident.opened", "incident.attached"}
        and orjson.loads(row["entry"])["data"].get("incident") == incident
        for each in at.rows("audit_stream")
        if each["name"] == stream
        for row in at.of("event", each["id"])
    )
    return [{"count": count}]
