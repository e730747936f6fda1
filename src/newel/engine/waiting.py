"""Waits of a run: opening them, and closing them when their moment has come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.base.durations import BusinessDays
from newel.base.errors import DefinitionError, Overdue
from newel.base.ids import parse_reference, reference
from newel.domain.acts import OpenAct
from newel.domain.people import Person, Team
from newel.engine import asking, drifting
from newel.engine.branches import Ready
from newel.engine.children import Errand
from newel.engine.history import Recorded
from newel.engine.runner import Runner
from newel.flow.act import WaitAct
from newel.flow.waits import WaitSpec

TASKS: Final = frozenset({"approval", "form"})
_DAY: Final = timedelta(days=1)
_NO_TIME: Final = timedelta(0)
_MICROSECOND: Final = timedelta(microseconds=1)


def arrive(run: Runner, key: str, act: WaitAct[Any]) -> None:
    """Open the wait, or go on with it: follow its arguments, remind, close it when it is due."""
    open_act = run.open.get(key)
    if isinstance(act.spec.by, str) and act.spec.by not in run.host.addresses:
        run.errands.append(Errand(key=key, address=act.spec.by))  # it is loaded again with it
        return
    if open_act is None:
        open_act = _open(run, key, act)
    else:
        _follow(run, open_act, act)
    if open_act.due_at is not None and open_act.due_at <= run.as_of:
        close_by_timer(run, open_act)
    elif open_act.next_at is not None and open_act.next_at <= run.as_of:
        _remind(run, open_act)


def _open(run: Runner, key: str, act: WaitAct[Any]) -> OpenAct:
    spec = act.spec
    now = run.moment
    asked = _addressee(run, key, spec) if spec.kind in TASKS else None
    opened = OpenAct(
        key=key,
        kind=spec.kind,
        state="open",
        opened_at=now,
        due_at=_due(run, spec, now),
        next_at=None if spec.remind is None else now + spec.remind,
        fingerprint=run.fingerprint(act),
        asked=_asked(act),
        event=spec.event,
        match=spec.match,
    )
    run.open[key] = opened
    _record(run, opened)
    if asked is not None:
        _open_task(run, opened, spec, *asked)
    run.change.also("open_act", opened.row(run.id))
    return opened


def _asked(act: WaitAct[Any]) -> dict[str, Any]:  # Any: JSON
    found: dict[str, Any] = orjson.loads(drifting.input_of(act) or b"{}")
    return found


def _record(run: Runner, act: OpenAct) -> None:
    """Say what is waited for, as it now stands, with what it was asked for sealed beside it."""
    kind: Literal["timer", "task", "event"] = "timer"
    if act.kind != "timer":
        kind = "event" if act.kind == "event" else "task"
    fingerprint = act.fingerprint or b""
    payload = run.input_kept(act.key, fingerprint)
    matches = act.match if act.match is not None and _is_opaque(act.match) else None
    fact = facts.WaitOpened(
        kind=kind, due_at=act.due_at, matches=matches, input_fp=fingerprint.hex()
    )
    run.record(fact, key=act.key, payload=payload)
    run.history.took_input(act.key, fingerprint.hex(), payload)
    run.history.waits[act.key] = kind


def _is_opaque(match: str) -> bool:
    """Whether a match is a reference of ours; any other may name a person, as an address does."""
    try:
        parse_reference(match)
    except ValueError:
        return False
    return True


def _due(run: Runner, spec: WaitSpec, opened_at: datetime) -> datetime | None:
    if spec.at is not None:
        return spec.at
    span = spec.after if spec.kind == "timer" else spec.within
    if isinstance(span, BusinessDays):
        return run.host.limits.calendar.after(opened_at, span)
    return None if span is None else opened_at + span


def _open_task(
    run: Runner, act: OpenAct, spec: WaitSpec, assignee: UUID | None, owner: str
) -> None:
    kind: Literal["approval", "form"] = "form" if spec.kind == "form" else "approval"
    subject = run.loaded.subject
    act.owner = owner
    act.task_id = asking.open_task(
        run,
        act.key,
        kind=kind,
        title=spec.title or act.key.rpartition("/")[2].replace("-", " "),
        instructions=_instructions(spec),
        owner=owner,
        due_at=act.due_at,
        assignee=assignee,
        excluded=[] if subject is None or kind == "form" else [subject],
        schema=None if spec.schema is None else spec.result.json_schema(),
        evidence=spec.evidence if kind == "form" else None,
        four_eyes=spec.four_eyes,
    )


def _instructions(spec: WaitSpec) -> str | None:
    """What the person reads; last, what newel may do after a yes."""
    allows = [f"A yes allows: {each.title}." for each in spec.allows]
    return "\n".join([*([spec.instructions] if spec.instructions else []), *allows]) or None


def _addressee(run: Runner, key: str, spec: WaitSpec) -> tuple[UUID | None, str]:
    by = spec.by
    if isinstance(by, Team):
        return None, by.name
    if isinstance(by, str) and (known := run.host.addresses.owner(by)) is not None:
        return known, "person"
    if not isinstance(by, Person) or not by.ref:
        raise DefinitionError(
            f"{spec.kind}({key!r}) asks somebody whom newel does not know.",
            fix="ask a person of the process's input, their manager, somebody by the work address "
            "that newel knows, or a team.",
        )
    return parse_reference(by.ref)[1], "person"


# --- open waits follow their arguments --------------------------------------------------------


def _follow(run: Runner, act: OpenAct, wait: WaitAct[Any]) -> None:
    """Move an open wait to what the body asks for now; a moment that a person moved stays."""
    before, after = act.asked or {}, _asked(wait)
    if before == after or act.kind != wait.spec.kind:
        return
    act.asked, act.fingerprint = after, run.fingerprint(wait)
    moved: dict[str, Any] = {}
    if any(before.get(name) != after.get(name) for name in ("at", "after", "within")):
        moved |= _move(run, act, _due(run, wait.spec, act.opened_at))
    if before.get("by") != after.get("by"):
        moved |= _reassign(run, act, wait.spec)
    if before.get("match") != after.get("match"):
        act.match = wait.spec.match
    _record(run, act)
    if moved and act.task_id is not None:
        run.change.also("task_moved", {"id": str(act.task_id), **moved})
    run.change.also("open_act", act.row(run.id))


def _move(run: Runner, act: OpenAct, due_at: datetime | None) -> dict[str, Any]:
    earlier, act.due_at = act.due_at, due_at
    if earlier is not None and due_at is not None:
        waits = (facts.MovedWait(key=act.key, from_=earlier, to=due_at),)
        run.record(facts.RunRescheduled(waits=waits, effective_at=due_at), key=act.key)
    return {"due_at": due_at}


def _reassign(run: Runner, act: OpenAct, spec: WaitSpec) -> dict[str, Any]:
    assert act.task_id is not None, "only a task is asked of somebody"
    assignee, owner = _addressee(run, act.key, spec)
    act.owner = owner
    to = f"team/{owner}" if assignee is None else reference("per", assignee)
    run.record(facts.TaskReassigned(task=reference("tsk", act.task_id), to=to), key=act.key)
    return {"owner": owner, "assignee": None if assignee is None else str(assignee)}


# --- reminders --------------------------------------------------------------------------------


def _remind(run: Runner, act: OpenAct) -> None:
    """Record a reminder; the next comes a day later, and never one for each day that was missed."""
    assert act.task_id is not None, "only a task is reminded of"
    assert act.next_at is not None, "it is due"
    act.reminders += 1
    missed = (run.as_of - act.next_at) // _DAY
    act.next_at += _DAY * (missed + 1)
    run.record(
        facts.TaskReminded(task=reference("tsk", act.task_id), n=act.reminders, channel="console"),
        key=act.key,
    )
    run.change.also(
        "task_moved",
        {"id": str(act.task_id), "reminded_at": run.moment, "reminders": act.reminders},
    )
    run.change.also("open_act", act.row(run.id))


# --- closing ----------------------------------------------------------------------------------


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


def _closed(run: Runner, act: OpenAct, seq: int) -> None:
    run.open.pop(act.key, None)
    run.change.forget("open_act", act.key)
    run.change.closed.append(act.key)
    now = run.moment
    run.history.outcomes[act.key] = Recorded(seq, "wait.closed", now, b"", None)
