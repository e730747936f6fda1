"""The statements of `incidents.sql`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import CHANGE, Transaction

_OPEN: Final = frozenset({"watching", "escalated", "healing"})
_PROBED: Final = frozenset({"watching", "escalated"})
_OUTCOMES: Final = frozenset(
    {"step.succeeded", "step.failed", "step.skipped", "step.completed_by_hand", "step.cancelled"}
)
_CHANGES: Final = frozenset({"run.amended", "run.rescheduled"})
_SOONER: Final = timedelta(seconds=15)


@statement("incidents.open_by_fingerprint")
def open_by_fingerprint(at: Transaction, fingerprints: list[str]) -> list[Row]:
    """The open incident of a cause, the narrower of two."""
    found = [
        row
        for row in at.rows("incident")
        if row["fingerprint"] in fingerprints and row["state"] in _OPEN
    ]
    return sorted(found, key=lambda row: -len(row["fingerprint"]))[:1]


@statement("incidents.open_incidents")
def open_incidents(at: Transaction) -> list[Row]:
    """All incidents that are not closed."""
    rows = [row for row in at.rows("incident") if row["state"] != "closed"]
    rows.sort(key=lambda row: row["opened_at"])
    return [{**row, "as_of": at.now()} for row in rows]


@statement("incidents.locked")
def locked(at: Transaction, incident: UUID) -> list[Row]:
    """One incident that is not closed, under its row lock."""
    row = at.get("incident", incident)
    if row is None or row["state"] == "closed":
        return []
    at.lock("incident", incident)
    names = (
        "id", "system", "state", "lead_run", "lead_key", "run_id", "opened_at", "healed_by",
    )  # fmt: skip
    return [{name: row[name] for name in names} | {"as_of": at.now()}]


@statement("incidents.take_due_probes")
def take_due_probes(at: Transaction, pause: timedelta, urgent_pause: timedelta) -> list[Row]:
    """Takes the probes that are due."""
    now = at.now()
    paused = {room["name"] for room in at.rows("room") if room["paused_at"] is not None}
    due = [
        row
        for row in at.rows("incident")
        if row["state"] in _PROBED and row["probe_at"] is not None and row["probe_at"] <= now
        if f"system/{row['system']}" not in paused
    ]
    due.sort(key=lambda row: row["probe_at"])
    names = (
        "id", "fingerprint", "system", "credential", "scope", "state", "lead_run", "lead_key",
        "operation", "is_urgent", "opened_at", "escalated_at", "probe_misses", "flaps",
    )  # fmt: skip
    return [
        {name: row[name] for name in names} | {"as_of": now}
        for row in due[:20]
        if at.lock_free("incident", row["id"])
        and at.update(
            "incident",
            row["id"],
            probe_at=now + (urgent_pause if row["is_urgent"] else pause),
        )
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


def _counted(at: Transaction, incident: UUID, name: str) -> int:
    row = at.get("incident", incident)
    return 0 if row is None else row[name] + 1


def _is_open(at: Transaction, fingerprint: str) -> bool:
    return any(
        row["fingerprint"] == fingerprint and row["state"] in _OPEN for row in at.rows("incident")
    )


@statement("incidents.missed")
def missed(at: Transaction, incident: UUID, gap: timedelta, error: str) -> int:
    """The system does not answer: the circuit is open."""
    return _changed(
        at,
        incident,
        _PROBED,
        scope="system",
        probe_at=at.now() + gap,
        probe_misses=_counted(at, incident, "probe_misses"),
        last_error=error,
    )


@statement("incidents.narrowed")
def narrowed(at: Transaction, incident: UUID, gap: timedelta) -> int:
    """The fault lies in one operation of the system."""
    row = at.get("incident", incident)
    if row is None or row["scope"] != "operation":
        return 0
    fingerprint = row["fingerprint"]
    if row["operation"] is not None:
        narrow = f"{fingerprint}:{row['operation']}"
        fingerprint = fingerprint if _is_open(at, narrow) else narrow
    return _changed(at, incident, _PROBED, fingerprint=fingerprint, probe_at=at.now() + gap)


@statement("incidents.later")
def later(at: Transaction, incident: UUID, gap: timedelta) -> int:
    """Looks again after the gap."""
    return _changed(at, incident, _PROBED, probe_at=at.now() + gap)


@statement("incidents.looked_at_once")
def looked_at_once(at: Transaction, incident: UUID) -> int:
    """The credential has changed."""
    row = at.get("incident", incident)
    if row is None or row["probe_at"] is None or row["probe_at"] <= at.now():
        return 0
    return _changed(at, incident, _PROBED, probe_at=at.now())


@statement("incidents.hurried")
def hurried(at: Transaction, incident: UUID) -> int:
    """A step that cuts access waits, too."""
    row = at.get("incident", incident)
    if row is None or row["is_urgent"]:
        return 0
    soon = at.now() + _SOONER
    probe_at = soon if row["probe_at"] is None else min(row["probe_at"], soon)
    return _changed(at, incident, {row["state"]}, is_urgent=True, probe_at=probe_at)


@statement("incidents.healing")
def healing(at: Transaction, incident: UUID, lead_run: UUID, lead_key: str) -> int:
    """The probe answered; the lead step goes first."""
    return _changed(
        at,
        incident,
        _PROBED,
        state="healing",
        lead_run=lead_run,
        lead_key=lead_key,
        probe_at=None,
    )


@statement("incidents.flapped")
def flapped(at: Transaction, incident: UUID, gap: timedelta, error: str) -> int:
    """The lead step has failed again."""
    return _changed(
        at,
        incident,
        {"healing"},
        state="watching",
        probe_at=at.now() + gap,
        flaps=_counted(at, incident, "flaps"),
        last_error=error,
    )


@statement("incidents.healed")
def healed(at: Transaction, incident: UUID, healed_by: str) -> int:
    """The lead step succeeded."""
    return _changed(
        at,
        incident,
        _OPEN,
        state="healed",
        healed_at=at.now(),
        healed_by=healed_by,
        probe_at=None,
    )


@statement("incidents.relapsed")
def relapsed(at: Transaction, incident: UUID, gap: timedelta, error: str) -> int:
    """Steps fail again before all have gone on."""
    row = at.get("incident", incident)
    if row is None or _is_open(at, row["fingerprint"]):
        return 0
    return _changed(
        at,
        incident,
        {"healed"},
        state="watching",
        healed_at=None,
        healed_by=None,
        probe_at=at.now() + gap,
        flaps=_counted(at, incident, "flaps"),
        last_error=error,
    )


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
def closed(at: Transaction, incident: UUID, healed_by: str) -> int:
    """Nobody is held up any more."""
    row = at.get("incident", incident)
    if row is None:
        return 0
    at.update(
        "incident",
        incident,
        state="closed",
        closed_at=at.now(),
        healed_at=row["healed_at"] or at.now(),
        healed_by=healed_by,
        probe_at=None,
    )
    return 1


@statement("incidents.members")
def members(at: Transaction, incident: UUID) -> list[Row]:
    """The open steps that an incident holds up, in the order in which they go on."""
    found = [
        (run, row)
        for row in at.rows("open_act")
        if row["incident_id"] == incident and (run := at.get("run", row["run_id"])) is not None
    ]
    found.sort(key=lambda each: (each[0]["priority"], each[1]["opened_at"], each[1]["run_id"]))
    names = ("run_id", "key", "state", "next_at", "detail")
    return [
        {name: row[name] for name in names}
        | {"subject": run["subject"], "run_state": run["state"], "paused_at": run["paused_at"]}
        for run, row in found
    ]


@statement("incidents.urgent_over")
def urgent_over(at: Transaction, event: str) -> list[Row]:
    """Runs that wait to hear that a step is no longer open."""
    waiting = [
        row for row in at.rows("open_act") if (row["kind"], row["event"]) == ("event", event)
    ]
    return [
        {"run_id": row["run_id"], "match": row["match"]}
        for row in sorted(waiting, key=lambda row: row["run_id"])
        if at.get("open_act", (UUID(row["match"][:36]), row["match"][37:])) is None
    ]


@statement("incidents.urgent_by_hand")
def urgent_by_hand(at: Transaction) -> list[Row]:
    """Urgent steps that only a person can do, and that nobody has done yet."""
    names = ("run_id", "key", "system", "credential", "opened_at")
    return [
        {name: row[name] for name in names}
        for row in sorted(at.rows("open_act"), key=lambda row: (row["run_id"], row["key"]))
        if (row["state"], row["reason"]) == ("retrying", "by-hand")
        and row["task_id"] is not None
        and (row["detail"] or {}).get("is_urgent")
    ]


@statement("incidents.stranded")
def stranded(at: Transaction) -> list[Row]:
    """Steps that joined an incident in the moment in which it ended."""
    over = {row["id"] for row in at.rows("incident") if row["state"] == "closed"}
    return [
        {"run_id": row["run_id"], "key": row["key"]}
        for row in at.rows("open_act")
        if row["incident_id"] in over and row["state"] in {"retrying", "parked"}
    ][:100]


@statement("incidents.last_outcome")
def last_outcome(at: Transaction, run: UUID, key: str) -> list[Row]:
    """How a step ended."""
    ends = [row for row in at.of("event", run) if row["key"] == key and row["type"] in _OUTCOMES]
    last = max(ends, key=lambda row: row["seq"], default=None)
    return [] if last is None else [{"type": last["type"]}]


@statement("incidents.last_retried_by")
def last_retried_by(at: Transaction, run: UUID, key: str) -> list[Row]:
    """Who asked last that a step be tried again."""
    asked = [
        row for row in at.of("event", run) if row["key"] == key and row["type"] == "step.retried"
    ]
    last = max(asked, key=lambda row: row["seq"], default=None)
    if last is None:
        return []
    return [{"?column?": orjson.loads(last["entry"])["data"].get("by")}]


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


@statement("incidents.changed_since")
def changed_since(at: Transaction, run: UUID, subject: UUID | None, moment: datetime) -> list[Row]:
    """Whether a run's input, or whom it is about, was changed after a moment."""
    is_changed = any(
        row["type"] in _CHANGES and row["occurred_at"] > moment for row in at.of("event", run)
    )
    person = None if subject is None else at.get("person", subject)
    is_other = person is not None and person["updated_at"] > moment
    return [{"?column?": is_changed or is_other}]


@statement("incidents.told")
def told(at: Transaction, incident: UUID, who: str) -> int:
    """The ticket's run knows of everybody who waits."""
    row = at.get("incident", incident)
    if row is None:
        return 0
    return _changed(at, incident, {row["state"]}, told=who, told_at=at.now())


@statement("incidents.busy")
def busy(at: Transaction, credentials: list[str]) -> list[Row]:
    """Which of these credentials have an open incident of their own."""
    found = {
        row["credential"]
        for row in at.rows("incident")
        if row["credential"] in credentials and row["state"] in _OPEN
    }
    return [{"credential": each} for each in found]


@statement("incidents.ticket_before")
def ticket_before(at: Transaction, fingerprint: str, moment: datetime) -> list[Row]:
    """The ticket of the same cause that was closed last."""
    found = [
        (row, ticket)
        for row in at.rows("incident")
        if row["fingerprint"] == fingerprint
        and row["state"] == "closed"
        and row["closed_at"] > moment
        for ticket in at.rows("ticket")
        if ticket["incident_id"] == row["id"] and ticket["channel"] != "inbox"
    ]
    found.sort(key=lambda each: each[1]["recorded_at"])
    found.sort(key=lambda each: each[0]["closed_at"], reverse=True)
    names = ("channel", "external_key", "url")
    return [{name: ticket[name] for name in names} for _, ticket in found[:1]]
