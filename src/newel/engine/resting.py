"""What a run is once its branches rest: waiting until when, parked why, or ended how."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from newel.audit import catalogue as facts
from newel.base.errors import Cancelled, NewelError, Overdue
from newel.base.ids import reference
from newel.domain.acts import OpenAct
from newel.engine import children, drifting, overdue
from newel.engine.foreign import refused
from newel.engine.judging import never_awaited
from newel.engine.outcomes import failure_of, is_declared

if TYPE_CHECKING:
    from newel.engine.body import Body
    from newel.engine.runner import Runner


def judge(run: Runner, body: Body) -> None:
    """See whether the body has ended, or cannot go on by itself."""
    if body.has_ended:
        why = refused(body.loop) or run.judge.at_end(body) or never_awaited(body)
        if why is None:
            _end(run, body)
        else:
            run.blocked = run.blocked or why
    elif run.blocked is None and body.stray is not None:
        run.blocked = ("bug", failure_of(body.stray))
    elif run.blocked is None and (fault := body.locks.fault(shared=not body.is_stuck)) is not None:
        run.blocked = ("bug", failure_of(fault))  # what it keeps, others wait for
        run.moves_on = not body.is_stuck
    elif run.blocked is None and body.is_stuck:
        run.blocked = ("bug", f"waits for itself: {', '.join(body.waits_for()) or 'a join'}")


def too_many(run: Runner, key: str) -> tuple[str, str]:
    """Why a run with as many outcomes as one may have parks at its next act."""
    most = run.host.limits.outcomes
    return "bug", (
        f"The run has {most} outcomes, which is the most that one may have, and came to `{key}`. "
        "Fix: start a child process for each pass of the loop."
    )


def state_of(run: Runner, *, rests: bool) -> tuple[str, datetime | None]:
    """The state of a run after this transition, and when it is due."""
    if run.has_ended:
        return run.state_at_end, None
    if overdue.is_to_end(run):
        return ("parked" if run.state == "parked" else "waiting"), run.moment + children.AGAIN
    if not rests:
        _note_unparked(run, "running")
        return "running", overdue.until(run)
    # what the body has not come to does not move it, whatever becomes of it
    can_move = [
        act
        for act in run.open.values()
        if act.state not in {"parked", "held"} and act.key in run.acts
    ]
    moments = [moment for act in can_move for moment in _moments(run, act)]
    is_held = run.loaded.is_paused and not run.open
    if run.blocked is not None or not (can_move or is_held):
        _note_parked(run)
        limit = overdue.until(run)
        due = [*moments, *([] if limit is None else [limit])] if run.moves_on else []
        return "parked", min(due, default=limit)
    _note_unparked(run, "waiting")
    if (limit := overdue.until(run)) is not None:
        moments.append(limit)
    return "waiting", min(moments, default=None)


def _moments(run: Runner, act: OpenAct) -> list[datetime]:
    """When an open act needs the run: a step's next attempt, a wait's end and its reminders."""
    if act.kind in {"step", "lock"} and run.loaded.is_paused:
        return []
    return [moment for moment in (act.next_at, act.due_at) if moment is not None]


def _note_parked(run: Runner) -> None:
    if run.state == "parked" and not run.is_judged_anew:
        return
    run.is_judged_anew = False
    keys = sorted(key for key, act in run.open.items() if act.state == "parked")
    incidents = {act.incident_id for act in run.open.values() if act.incident_id is not None}
    incident = reference("inc", incidents.pop()) if len(incidents) == 1 else None
    payload = None
    if run.blocked is not None or run.drifted:
        why = next(iter(run.drifted.values()), "") if run.blocked is None else run.blocked[1]
        payload = run.sealer.seal(orjson.dumps({"why": why}))
    run.record(
        facts.RunParked(keys=tuple(keys), class_=_class_parked(run), incident=incident),
        payload=payload,
    )


def _note_unparked(run: Runner, state: str) -> None:
    if run.state == "parked" and state != "parked":
        run.record(facts.RunUnparked(by="retry"))


def why_parked(run: Runner) -> tuple[str, str]:
    """The reason and the addressee of a run that is parked."""
    if run.blocked is not None:
        is_overdue = run.blocked[0] == overdue.REASON
        return run.blocked[0], (run.process.owner or "it") if is_overdue else "maintainers"
    for act in run.open.values():
        if act.state == "parked":
            return act.reason or "unknown", act.owner or run.process.owner or "it"
    return "bug", "maintainers"


def _class_parked(run: Runner) -> Any:
    if run.blocked is not None:
        return run.blocked[0]
    for act in run.open.values():
        if act.state == "parked":
            known = act.trouble.failure_class or "outcome-unknown"
            return drifting.DRIFTED if act.reason == drifting.DRIFTED else known
    return "bug"


def _end(run: Runner, body: Body) -> None:
    error = body.error
    if error is None:
        _complete(run, body.value)
    elif isinstance(error, Cancelled) and overdue.ends_failed(run):
        run.judge.note_moved(ends=True)
        run.has_ended, run.state_at_end = True, "failed"
        run.record(
            facts.RunFailed(error="Overdue"),
            process=run.version,
            payload=run.sealer.seal(orjson.dumps({"message": overdue.said(run)})),
        )
    elif isinstance(error, Cancelled):
        _cancelled(run)
    elif is_declared(error, run.process.raises):
        run.judge.note_moved(ends=True)
        run.has_ended, run.state_at_end = True, "failed"
        key = error.key if isinstance(error, Overdue) else None
        run.record(
            facts.RunFailed(error=type(error).__name__, key=key),
            process=run.version,
            payload=run.sealer.seal(orjson.dumps({"message": str(error)})),
        )
    elif run.loaded.cancelling:  # an operator does not wait for mended code
        _cancelled(run)
    else:
        run.blocked = ("bug", failure_of(error))


def _cancelled(run: Runner) -> None:
    run.judge.note_moved(ends=True)
    run.has_ended, run.state_at_end = True, "cancelled"
    run.judge.leave()
    run.record(facts.RunCancelled(**_undone(run)))


def _undone(run: Runner) -> dict[str, tuple[str, ...]]:
    """Which promises were kept, and what stays, by the key of the undoing step."""
    undone = {"step.succeeded", "step.completed_by_hand"}
    kinds = {
        key: recorded.type
        for key, recorded in run.history.outcomes.items()
        if key.startswith("undo/")
    }
    return {
        "undone": tuple(sorted(key for key, kind in kinds.items() if kind in undone)),
        "kept": tuple(sorted(key for key, kind in kinds.items() if kind not in undone)),
    }


def _complete(run: Runner, value: object) -> None:
    try:
        limit = run.host.limits.outcome_bytes
        text, _ = run.process.result.round_trip(value, limit=limit)
    except NewelError as error:
        run.blocked = ("bug", str(error))
        return
    run.judge.note_moved(ends=True)
    payload = run.sealer.seal(text)
    elapsed = run.moment - run.loaded.started_at
    run.has_ended, run.state_at_end = True, "completed"
    run.record(
        facts.RunCompleted(
            outcome_digest=run.sealer.digest(payload),
            active_us=_microseconds(run.history.active()),
            elapsed_us=_microseconds(elapsed),
        ),
        process=run.version,
        payload=payload,
    )


def _microseconds(span: timedelta) -> int:
    return max(span // timedelta(microseconds=1), 0)
