"""How a step joins the incident of its cause: opens it silently, waits with others, escalates it.

These functions write facts and rows into the Change in the making; what they need to know of
incidents was read before (`IncidentView`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast
from uuid import UUID

from newel.audit import catalogue as facts
from newel.base.errors import OutcomeUnknown, StepError, Transient
from newel.base.ids import reference
from newel.domain.acts import OpenAct, Trouble
from newel.domain.change import Change
from newel.domain.failures import PARKING, incident_fingerprint, incident_kind
from newel.domain.retry import Retry
from newel.engine.runner import Runner
from newel.flow.act import StepAct

DECIDERS: Final = "admin"
"""The team that is asked whether what the guard holds may go on."""

_AFTER_REFUSAL: Final = timedelta(minutes=10)
_AFTER_SHORTAGE: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """The open incident of a failure's fingerprint, as it was just read; `row` is None if there
    is none. escalate: makes the Change that starts the incident's run, for a first escalation.
    """

    fingerprint: str
    row: dict[str, Any] | None
    system: str
    credential: str | None
    title: str
    owner: str
    escalate: Callable[[dict[str, Any], Trouble], Change]


def policy_of(run: Runner, act: StepAct[Any]) -> Retry:
    """The retry profile in force: the step's, else the process's, else the engine's."""
    return act.step.options.retry or run.process.retry or run.host.retry


def addressee_of(opened: OpenAct) -> str:
    """The team that answers for a step that parks, where its process or system names no other."""
    if opened.reason == "held":
        return DECIDERS
    return PARKING.get(opened.trouble.failure_class or "", PARKING["transient"]).addressee


def doubt_policy(act: StepAct[Any]) -> Literal["verify", "repeat", "ask"]:
    """How an outcome that is not known is resolved; that of a transaction always is."""
    if act.step.options.transactional:
        return "repeat"
    return "verify" if act.step.verify is not None else act.step.options.in_doubt


def settle_times(act: StepAct[Any]) -> tuple[timedelta, ...]:
    """When what an operation makes is expected to be visible, as its connector declares it."""
    declared = cast("tuple[float, ...]", act.step.options.facts.get("settle", ()))
    return tuple(timedelta(seconds=each) for each in declared if each > 0)


def fingerprint_of(run: Runner, act: StepAct[Any], opened: OpenAct, error: StepError) -> str | None:
    """The cause that this failure may share with others."""
    _, credential = place_of(run, opened, error)
    where = f"{run.process.name}:{run.version.version}:{act.step.name}"
    if isinstance(error, OutcomeUnknown) and doubt_policy(act) != "ask":
        error = Transient(error.message)  # what is looked up or repeated goes by rounds
    return incident_fingerprint(error, credential=credential, where=where)


def place_of(run: Runner, opened: OpenAct, error: StepError) -> tuple[str, str | None]:
    """The system that has failed and its credential: the step's own, unless it names another."""
    if error.elsewhere is not None:
        return error.elsewhere
    return opened.system or run.process.name, opened.credential


def watch(run: Runner, opened: OpenAct, view: IncidentView | None) -> None:
    """A counted round has failed: open the incident silently, or join the one that is open."""
    if view is None or opened.incident_id is not None:
        return
    if view.row is not None:
        join(run, opened, view.row["id"])
        return
    row = _incident_row(run, opened, view)
    _open_incident(run, opened, row)


def escalate(run: Runner, opened: OpenAct, view: IncidentView | None) -> str | None:
    """A step is put down: it joins its incident, and the first to do so lets people be told."""
    if view is None:
        opened.incident_id = None  # what parks it now is not what it has waited for
        return None
    row = dict(view.row) if view.row is not None else _incident_row(run, opened, view)
    if view.row is None:
        _open_incident(run, opened, row)
    elif opened.incident_id != _uuid(row["id"]):
        join(run, opened, row["id"])
    if row["state"] == "watching":
        row |= {
            "state": "escalated",
            "escalated_at": run.moment,
            "last_error": opened.trouble.message,
        }
        run.change.rest["incident"] = [row]
        started = view.escalate(row, opened.trouble)
        row["run_id"] = str(started.run)
        run.change.together.append(started)
    return reference("inc", _uuid(row["id"]))


def _incident_row(run: Runner, opened: OpenAct, view: IncidentView) -> dict[str, Any]:
    now, act = run.moment, run.acts.get(opened.key)
    return {
        "id": str(run.host.new_uuid()),
        "fingerprint": view.fingerprint,
        "system": view.system,
        "credential": view.credential,
        "scope": "operation",
        "class": opened.trouble.failure_class or "bug",
        "title": view.title,
        "state": "watching",
        "lead_run": str(run.id),
        "lead_key": opened.key,
        "opened_at": now,
        "operation": opened.trouble.operation,
        "is_urgent": isinstance(act, StepAct) and policy_of(run, act).is_urgent,
        "probe_at": _first_look(view.fingerprint, now),
        "probe_misses": 0,
        "flaps": 0,
        "last_error": opened.trouble.message,
    }


def _first_look(fingerprint: str, now: datetime) -> datetime | None:
    """When it is first looked whether an incident is over; never, where nothing can tell."""
    match incident_kind(fingerprint):
        case "outage" | "throttle":
            return now
        case "auth":  # asking at once with a refused credential is how accounts get locked
            return now + _AFTER_REFUSAL
        case "capacity":
            return now + _AFTER_SHORTAGE
        case _:
            return None


def _open_incident(run: Runner, opened: OpenAct, row: dict[str, Any]) -> None:
    opened.incident_id = _uuid(row["id"])
    run.change.also("incident", row)
    fact = facts.IncidentOpened(
        incident=reference("inc", opened.incident_id),
        class_=row["class"],
        first_run=reference("run", run.id),
    )
    run.beside(f"system/{row['system']}", fact, system=row["system"])


def join(run: Runner, opened: OpenAct, incident: Any) -> None:  # Any: UUID or its text
    """Let a step wait with an incident that is open."""
    opened.incident_id = _uuid(incident)
    system = opened.system or run.process.name
    fact = facts.IncidentAttached(
        incident=reference("inc", opened.incident_id),
        run=reference("run", run.id),
        key=opened.key,
    )
    run.beside(f"system/{system}", fact, system=system)


def _uuid(value: Any) -> UUID:  # Any: a UUID or its text
    return value if isinstance(value, UUID) else UUID(value)
