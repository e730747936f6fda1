"""Waits of a run: opening them, and closing them when their moment has come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.base.errors import DefinitionError, Overdue
from newel.base.ids import parse_reference, reference
from newel.domain.acts import OpenAct
from newel.domain.people import Person, Team
from newel.engine.branches import Ready
from newel.engine.history import Recorded
from newel.engine.runner import Runner
from newel.flow.act import WaitAct
from newel.flow.waits import WaitSpec

_NO_TIME: Final = timedelta(0)
_MICROSECOND: Final = timedelta(microseconds=1)


def arrive(run: Runner, key: str, act: WaitAct[Any]) -> None:
    """Open the wait, or close it if it was open and its moment has come."""
    open_act = run.open.get(key)
    if open_act is None:
        open_act = _open(run, key, act.spec)
    if open_act.due_at is not None and open_act.due_at <= run.as_of:
        close_by_timer(run, open_act)


def _open(run: Runner, key: str, spec: WaitSpec) -> OpenAct:
    now = run.moment
    due_at = _due(spec, now)
    asked = _addressee(key, spec.by) if spec.kind == "approval" else None
    opened = OpenAct(key=key, kind=spec.kind, state="open", opened_at=now, due_at=due_at)
    run.open[key] = opened
    kind = "task" if spec.kind == "approval" else spec.kind
    run.record(facts.WaitOpened(kind=kind, due_at=due_at, matches=spec.match), key=key)
    if asked is not None:
        _open_task(run, opened, spec, *asked)
    elif spec.kind == "event":
        opened.match = spec.match
    run.change.also("open_act", opened.row(run.id))
    return opened


def _due(spec: WaitSpec, now: datetime) -> datetime | None:
    if spec.at is not None:
        return spec.at
    span = spec.after if spec.kind == "timer" else spec.within
    return None if span is None else now + span


def _open_task(
    run: Runner, act: OpenAct, spec: WaitSpec, assignee: UUID | None, owner: str
) -> None:
    act.task_id = run.host.new_uuid()
    act.owner = owner
    excluded = [] if run.loaded.subject is None else [run.loaded.subject]
    title = spec.title or act.key.rpartition("/")[2].replace("-", " ")
    run.record(
        facts.TaskOpened(
            task=reference("tsk", act.task_id),
            kind="approval",
            assignees=() if assignee is None else (reference("per", assignee),),
            deputies=(),
            role=owner,
            due_at=act.due_at,
            excluded=tuple(reference("per", person) for person in excluded),
        ),
        key=act.key,
    )
    run.change.also(
        "task",
        {
            "id": str(act.task_id),
            "run_id": str(run.id),
            "key": act.key,
            "kind": "approval",
            "title": title,
            "instructions": spec.instructions,
            "subject": run.loaded.subject,
            "owner": owner,
            "assignee": assignee,
            "excluded": excluded,
            "four_eyes": spec.four_eyes,
            "opened_at": act.opened_at,
            "due_at": act.due_at,
            "state": "open",
            "version": 1,
        },
    )


def _addressee(key: str, by: Person | Team | None) -> tuple[UUID | None, str]:
    if isinstance(by, Team):
        return None, by.name
    assert by is not None, "an approval has somebody to ask"
    if not by.ref:
        raise DefinitionError(
            f"approval({key!r}) asks somebody whom newel does not know.",
            fix="ask a person of the process's input, their manager, or a team.",
        )
    return parse_reference(by.ref)[1], "person"


def close_by_timer(run: Runner, act: OpenAct) -> None:
    """Close a wait whose moment has come: a timer is done, any other wait is overdue."""
    late = max(run.moment - act.due_at, _NO_TIME) if act.due_at is not None else _NO_TIME
    payload = None
    if act.kind != "timer" and act.due_at is not None:  # what a replay's Overdue must say again
        payload = run.sealer.seal(orjson.dumps({"due": act.due_at.isoformat()}))
    fact = facts.WaitClosed(
        by="timer",
        late_us=late // _MICROSECOND,
        outcome_digest=None if payload is None else run.sealer.digest(payload),
    )
    if act.task_id is not None:
        task = reference("tsk", act.task_id)
        run.record(facts.TaskWithdrawn(task=task, cause="timer"), key=act.key)
        run.change.also("task", {**run.withdrawn_task(act), "state": "expired"})
    seq = run.record(fact, key=act.key, payload=payload)
    _closed(run, act, seq)
    error = None if act.kind == "timer" else Overdue(act.key, act.due_at)
    run.resume(act.key, Ready(None, error, run.entries.latest), seq)


def close_by_event(run: Runner, act: OpenAct, payload: bytes) -> None:
    """Close an event wait with the message that came for it."""
    wait = run.acts[act.key]
    assert isinstance(wait, WaitAct), "an event wait is a wait"
    value = wait.spec.result.load(payload, key=act.key)
    sealed = run.sealer.seal(payload)
    fact = facts.WaitClosed(by="event", outcome_digest=run.sealer.digest(sealed))
    seq = run.record(fact, key=act.key, payload=sealed)
    _closed(run, act, seq)
    run.resume(act.key, Ready(value, None, run.entries.latest), seq)


def _closed(run: Runner, act: OpenAct, seq: int) -> None:
    run.open.pop(act.key, None)
    run.change.forget("open_act", act.key)
    run.change.closed.append(act.key)
    now = run.moment
    run.history.outcomes[act.key] = Recorded(seq, "wait.closed", now, b"", None)
