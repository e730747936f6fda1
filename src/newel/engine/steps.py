"""The life of a step inside a run: intended, attempted, done; tried again, in doubt, parked.

These functions turn what happened into facts and rows of the Change in the making. They do no
I/O; what they need to know of incidents was read before (`IncidentView`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast

import orjson

from newel.audit import catalogue as facts
from newel.base.errors import AuthFailed, Cancelled, OutcomeUnknown, StepError
from newel.base.errors import StepFailed as GivenUp
from newel.base.ids import reference
from newel.domain.acts import OpenAct
from newel.domain.change import Intent
from newel.domain.failures import PARKING, USES_ROUNDS
from newel.domain.retry import Progress, begun, next_round
from newel.domain.transitions import MAX_CRASHES, Park, Repeat, after_error, after_unclear
from newel.engine import by_hand, granting, joining, ownership
from newel.engine.branches import Ready
from newel.engine.finished import Finished
from newel.engine.granting import Before
from newel.engine.history import Recorded
from newel.engine.joining import IncidentView, doubt_policy, escalate, join, policy_of, watch
from newel.engine.outcomes import answer, answer_payload
from newel.engine.runner import Circuit, Runner
from newel.flow.act import StepAct

_MICROSECOND: Final = timedelta(microseconds=1)
_TURN: Final = timedelta(seconds=1)
_COUNTED: Final = USES_ROUNDS | {OutcomeUnknown.failure_class}
_UNCALLED: Final = timedelta(seconds=30)
DIED: Final = "its worker died in every attempt"
"""Why a step is handed to a person that may be what its workers die of."""
PLACE: Final = "place"
"""Why a step rests that waits for its turn at a system."""


def arrive(run: Runner, key: str, act: StepAct[Any]) -> None:
    """Begin a step that the body has come to, or go on with one that is open."""
    open_act = run.open.get(key)
    if run.loaded.is_paused:
        return  # no new intents; an attempt in flight ends as it would
    if open_act is None:
        _first(run, key, act)
        return
    is_amended = by_hand.asks_anew(run, open_act, act)
    if open_act.state == "attempting":
        if key not in run.attempting:
            _after_crash(run, open_act, act)
    elif open_act.state == "retrying" and (
        open_act.next_at is None or open_act.next_at <= run.as_of
    ):
        _again(run, open_act, act)
    if is_amended:
        run.change.also("open_act", open_act.row(run.id))


def _first(run: Runner, key: str, act: StepAct[Any]) -> None:
    step = act.step
    opened = OpenAct(
        key=key,
        kind="step",
        state="attempting",
        opened_at=run.moment,
        attempt=run.history.attempts.get(key, 0),
        fingerprint=run.fingerprint(act),
        effect_key=step.effect_key(act.args, act.kwargs),
        system=step.options.system,
        credential=getattr(step.owner, "credential", None),
    )
    run.open[key] = opened
    by_hand.choose(run, opened, act)
    if _is_held_back(run, opened, act):
        opened.trouble = replace(opened.trouble, progress=begun(run.moment))
        _withhold(run, opened, act)
    elif run.host.is_leaving:
        _rest(run, opened, run.moment)
    elif granting.is_being_made(run, opened):
        _rest(run, opened, run.moment + _TURN)
    else:
        _in_turn(run, opened)


def _again(run: Runner, opened: OpenAct, act: StepAct[Any]) -> None:
    by_hand.choose(run, opened, act)
    if opened.trouble.early is None and _is_held_back(run, opened, act):
        _withhold(run, opened, act)
        return
    if run.host.is_leaving:
        _rest(run, opened, run.moment)
        return
    if granting.is_being_made(run, opened):
        _rest(run, opened, run.moment + _TURN)
        return
    if run.host.places.has_to_queue(run.id, opened.system):
        if opened.reason != PLACE:
            _queue(run, opened)
            return
        if not run.host.places.is_called(run.id, opened.system):
            _rest(run, opened, run.moment + _UNCALLED)
            return
    if not by_hand.looks_again(run, opened, act):
        opened.fingerprint = run.fingerprint(act)
        _intend(run, opened)


def _in_turn(run: Runner, opened: OpenAct) -> None:
    """Intend it, or wait for a place where the system has none."""
    if run.host.places.has_to_queue(run.id, opened.system):
        _queue(run, opened)
    else:
        _intend(run, opened)


def _queue(run: Runner, opened: OpenAct) -> None:
    """Wait for a place at the system, without an intent; the oldest who waits is called first."""
    opened.reason = PLACE
    _note(run, opened, facts.StepQueued())
    _rest(run, opened, run.moment + _UNCALLED)


def _intend(run: Runner, opened: OpenAct) -> None:
    opened.state = "attempting"
    opened.attempt += 1
    opened.next_at = None
    opened.reason = opened.owner = None
    opened.intended_at = run.moment
    opened.worker_id, opened.worker_epoch = run.host.worker, run.host.epoch
    run.intend(opened, opened.round)
    detail = opened.trouble.row()
    run.change.intents.append(
        Intent(
            opened.key,
            opened.attempt,
            opened.intended_at,
            opened.fingerprint,
            opened.effect_key,
            opened.system,
            opened.credential,
            orjson.dumps(detail).decode() if detail else None,
        )
    )


def _after_crash(run: Runner, opened: OpenAct, act: StepAct[Any]) -> None:
    """An intent without an outcome: its worker died, or lost its lease, in the attempt."""
    how = doubt_policy(act)
    trouble = opened.trouble
    opened.trouble = trouble = replace(
        trouble,
        progress=trouble.progress or begun(opened.intended_at or run.moment),
        doubt="crash",
        doubted_at=trouble.doubted_at or opened.intended_at,
        redone=trouble.redone or trouble.doubt is not None,
        # Whoever finds an attempt of its own has lost its lease in it, and has not died of it.
        crashes=trouble.crashes + (opened.worker_id != run.host.worker),
    )
    if by_hand.is_by_hand(opened) or act.step.options.transactional:
        # It has only looked; or its rows and its outcome are not there, both of them.
        opened.trouble = trouble = replace(trouble, doubt=None, doubted_at=None)
    else:
        _note(run, opened, facts.StepInDoubt(cause="crash", policy=how))
    if trouble.crashes >= MAX_CRASHES:
        opened.trouble = replace(trouble, message=DIED)
        _park(run, opened, "bug", None)
    elif how == "ask":
        _park(run, opened, "unknown", None)
    elif how == "repeat" and not act.step.options.transactional:
        opened.trouble = replace(trouble, doubt=None, doubted_at=None)
        if run.is_leaving(opened.key):
            _give_up(run, opened)
            return
        _note(run, opened, facts.StepResolved(how="redone"))
        _in_turn(run, opened)
    else:
        _in_turn(run, opened)


def is_due_again(run: Runner, done: Finished) -> bool:
    """Whether an attempt that was undone is to be made again: its key is still open for it."""
    opened = run.open.get(done.key)
    if opened is not None and opened.attempt == done.attempt:
        return True
    run.attempting.discard(done.key)
    return False


def finish(run: Runner, done: Finished, view: IncidentView | None, before: Before) -> None:
    """Take the end of an attempt into the run, and let the body run ahead.

    before: what the subject held of what the step gives or takes.
    """
    run.moment = max(run.host.now(), run.moment)  # one transition is one moment
    opened = run.open.get(done.key)
    act = run.acts.get(done.key)
    if opened is not None and opened.attempt > done.attempt:
        return  # what it came to was recorded, and the next attempt is under way
    run.attempting.discard(done.key)
    if opened is None or not isinstance(act, StepAct) or opened.attempt != done.attempt:
        return  # an operator has resolved the key meanwhile; its outcome stands
    if opened.state != "attempting":
        return  # what it came to was recorded before the run was read again
    if done.absent:
        opened.trouble = replace(opened.trouble, doubt=None, doubted_at=None)
        _note(run, opened, facts.StepResolved(how="absent"))
        _give_up(run, opened)
    elif done.not_yet and run.is_leaving(opened.key):
        _give_up(run, opened)
    elif done.not_yet:
        by_hand.not_yet(run, opened, act)
    elif done.error is None and not done.unclear:
        _succeed(run, opened, act, done, before)
    elif isinstance(done.error, StepError) or done.unclear:
        _fail(run, opened, act, done, view)
    else:
        assert done.error is not None, "an attempt without a result has an error"
        _answer(run, opened, done.error, done, cause="answer")


def _give_up(run: Runner, opened: OpenAct) -> None:
    """Withdraw a step whose branch is leaving, now that nothing of it is in flight or in doubt."""
    opened.state = "retrying"
    run.stop(opened.key)


def _succeed(
    run: Runner, opened: OpenAct, act: StepAct[Any], done: Finished, before: Before
) -> None:
    if opened.trouble.doubt is not None:
        _note(run, opened, facts.StepResolved(how="adopted" if done.adopted else "redone"))
    is_redone = opened.trouble.redone or (opened.trouble.doubt is not None and not done.adopted)
    payload = run.sealer.seal(done.text)
    effect = granting.effect_of(act.step, done.effect, done.value)
    by_hand.withdraw(run, opened)
    if by_hand.is_by_hand(opened):
        done.effect = effect = by_hand.seen(opened, effect)
    if opened.trouble.adopts is not None:
        done.effect = effect = ownership.adopted(opened, effect)
    late = run.is_leaving(opened.key) or None
    seq = _note(
        run,
        opened,
        facts.StepSucceeded(
            outcome_digest=run.sealer.digest(payload),
            changed=None if done.effect is None else done.effect.changed,
            adopted=True if done.adopted or (effect is not None and effect.adopted) else None,
            late=late,
            would=done.would,
            duration_us=done.duration // _MICROSECOND,
        ),
        payload=payload,
    )
    at = run.entries.latest
    ready = Ready(None, Cancelled(), at) if late else Ready(done.value, None, at)
    if effect is not None:
        granting.record(run, opened, act, effect, before, seq=seq, calls=done.calls)
    _closed(run, opened, "step.succeeded", seq)
    if opened.incident_id is not None:
        run.host.answered(opened.credential)
    if is_redone and run.on_redone is not None:
        run.on_redone(run, opened, act, effect)
    if run.on_outcome is not None:
        run.on_outcome(run, done.key, done.value)
    run.resume(done.key, ready, seq)


def _answer(
    run: Runner,
    opened: OpenAct,
    error: Exception,
    done: Finished,
    *,
    cause: Literal["answer", "given_up"],
) -> None:
    act = run.acts[opened.key]
    assert isinstance(act, StepAct), "only a step has an answer"
    text = answer_payload(error, act.step.options.raises)
    late = run.is_leaving(opened.key) or None
    payload = run.sealer.seal(text)
    seq = _note(
        run,
        opened,
        facts.StepFailed(
            error=type(error).__name__,
            cause=cause,
            outcome_digest=run.sealer.digest(payload),
            late=late,
            duration_us=done.duration // _MICROSECOND,
        ),
        payload=payload,
    )
    _closed(run, opened, "step.failed", seq)
    if run.on_outcome is not None:
        run.on_outcome(run, done.key, error)
    given = Cancelled() if late else answer(opened.key, act, text)
    run.resume(done.key, Ready(None, given, run.entries.latest), seq)


def _fail(
    run: Runner, opened: OpenAct, act: StepAct[Any], done: Finished, view: IncidentView | None
) -> None:
    now = run.moment
    if done.redone and opened.trouble.doubt is not None:  # the lost call had no effect
        opened.trouble = replace(opened.trouble, doubt=None, doubted_at=None, redone=True)
        _note(run, opened, facts.StepResolved(how="redone"))
    before = opened.trouble
    if done.unclear:
        following: Repeat | Park = after_unclear(before, now=now)
        if isinstance(following, Park) and act.step.options.in_doubt == "repeat":
            following = Repeat(at=now, trouble=replace(before, doubt=None, doubted_at=None))
        unclear = OutcomeUnknown("whether it happened cannot be told yet", code="unclear")
        _note_failure(run, opened, unclear, done, following)
    else:
        assert isinstance(done.error, StepError), "a failed attempt has a class"
        following = after_error(
            before,
            done.error,
            policy=policy_of(run, act),
            began_at=done.began_at,
            now=now,
            seed=f"{run.id}/{opened.key}",
            in_doubt=doubt_policy(act),
            settle=joining.settle_times(act),
        )
        _note_failure(run, opened, done.error, done, following)
        if following.trouble.doubt == "lost_answer" and before.doubt is None:
            _note(run, opened, facts.StepInDoubt(cause="lost_answer", policy=doubt_policy(act)))
    attempts = 1 if before.progress is None else before.progress.slot + 1  # of this round
    is_urgent = policy_of(run, act).is_urgent
    opened.trouble = replace(following.trouble, crashes=0, is_urgent=is_urgent)
    if run.is_leaving(opened.key) and opened.trouble.doubt is None:
        _give_up(run, opened)
        return
    if isinstance(following, Repeat):
        if following.round_failed:
            _note_round(run, opened, following.at, attempts=attempts)
            watch(run, opened, view)
        _rest(run, opened, following.at)
        return
    if following.round_failed:
        _note_round(run, opened, None, attempts=attempts)
    if before.early is not None and following.reason == "outage" and opened.incident_id is not None:
        _park(run, opened, following.reason, None, stays=True)
        return
    if following.rounds_used and act.step.options.exhausted == "fail":
        said = (opened.trouble.message or "",)
        _answer(run, opened, GivenUp(key=opened.key, failures=said), done, cause="given_up")
        return
    if ownership.is_decided(opened, done.error):
        _rest(run, opened, now)
        return
    ownership.ask(run, opened, act, done.error)
    _park(run, opened, following.reason, view)


def _note_failure(
    run: Runner, opened: OpenAct, error: StepError, done: Finished, following: Repeat | Park
) -> None:
    again = following.at if isinstance(following, Repeat) else None
    # the code of a step is no personal data; its message may be, so it travels sealed
    payload = run.sealer.seal(
        orjson.dumps(
            {
                "message": error.message,
                "calls": [granting.call_facts(call) for call in done.calls],
                **_attempt_facts(run, opened, error, done),
            }
        )
    )
    _note(
        run,
        opened,
        facts.StepAttemptFailed(
            class_=_class(error.failure_class),
            code=error.code or (str(error.status) if error.status else type(error).__name__),
            http=None if not done.calls else granting.http_facts(done.calls[-1]),
            next_at=again,
        ),
        payload=payload,
    )
    run.history.ended(opened.key, run.moment)


def _attempt_facts(
    run: Runner, opened: OpenAct, error: StepError, done: Finished
) -> dict[str, object]:
    """Where an attempt stood in the schedule, and how it ended (product document, §5.2 no. 4)."""
    before = opened.trouble
    progress = before.progress or begun(done.began_at)
    return {
        "series": progress.series,
        "round": progress.round,
        "slot": progress.slot,
        "cause": _cause(opened),
        "counted": before.early is None and error.failure_class in _COUNTED,
        "started_at": done.began_at,
        "ended_at": run.moment,
        "class": error.failure_class,
        "status": error.status,
        "provider_request_id": error.request_id,
    }


def _cause(opened: OpenAct) -> str:
    """Why an attempt was made."""
    trouble = opened.trouble
    if trouble.early is not None:
        return "early"
    if trouble.doubt == "crash":
        return "takeover"
    progress = trouble.progress
    if progress is not None and progress.series > 1 and (progress.round, progress.slot) == (1, 0):
        return "operator"
    return "schedule"


def _class(name: str) -> facts.FailureClass:
    return cast("facts.FailureClass", name)  # the names are those of base.errors; leaves check them


def _note_round(
    run: Runner,
    opened: OpenAct,
    next_at: datetime | None,
    *,
    attempts: int,
    payload: bytes | None = None,
) -> None:
    _note(
        run,
        opened,
        facts.StepRoundFailed(
            class_=_class(opened.trouble.failure_class or "transient"),
            attempts=attempts,
            next_round_at=next_at,
        ),
        payload=payload,
    )


def _rest(run: Runner, opened: OpenAct, at: datetime) -> None:
    opened.state = "retrying"
    opened.next_at = at
    run.change.also("open_act", opened.row(run.id))


def _park(
    run: Runner,
    opened: OpenAct,
    reason: str,
    view: IncidentView | None,
    *,
    stays: bool = False,
) -> None:
    """Put a step down until somebody or something frees it.

    stays: with the incident that it waits for already; else with that of its own cause, if any.
    """
    act = run.acts.get(opened.key)
    if isinstance(act, StepAct):
        opened.trouble = replace(
            opened.trouble,
            # A step that was only tried once more in between has been parked all the time.
            parked_at=opened.trouble.parked_at or run.moment,
            is_urgent=policy_of(run, act).is_urgent,
            asks=act.step.options.on_heal == "ask",
            gives=act.step.options.grants is not None,
            looks=act.step.verify is not None,
        )
    incident: str | None
    if stays and opened.incident_id is not None:
        incident = reference("inc", opened.incident_id)
    else:
        incident = escalate(run, opened, view)
    opened.state = "parked"
    opened.reason = reason
    opened.owner = _owner(run, opened, view)
    opened.next_at = None
    _note(
        run,
        opened,
        facts.StepParked(
            class_=_class(opened.trouble.failure_class or "outcome-unknown"),
            rounds=opened.trouble.failed_rounds,
            owner=opened.owner,
            incident=incident,
        ),
    )
    run.change.also("open_act", opened.row(run.id))


def _owner(run: Runner, opened: OpenAct, view: IncidentView | None) -> str:
    addressee = joining.addressee_of(opened)
    if addressee == "owner":
        return run.process.owner or "it"
    return view.owner if view is not None and addressee == "it" else addressee


def _is_held_back(run: Runner, opened: OpenAct, act: StepAct[Any]) -> bool:
    circuit = run.host.circuit(opened.credential)
    if circuit is None or not circuit.is_open:
        return False
    if circuit.is_refused:
        return _cause(opened) != "operator"
    if policy_of(run, act).is_urgent:
        return False
    return (circuit.lead_run, circuit.lead_key) != (run.id, opened.key)


def _withhold(run: Runner, opened: OpenAct, act: StepAct[Any]) -> None:
    """The circuit is open: a due round is not tried, and counts like a failed one.

    The step waits for its next round now, and not for a place: whoever waits for one is called, and
    each call would be a round.
    """
    opened.reason = opened.owner = None
    circuit = run.host.circuit(opened.credential)
    assert circuit is not None, "only an open circuit withholds"
    progress = opened.trouble.progress or begun(run.moment)
    if circuit.is_refused:
        _wait_for_credential(run, opened, circuit, progress)
        return
    opened.trouble = replace(
        opened.trouble,
        progress=progress,
        failed_rounds=opened.trouble.failed_rounds + 1,
        failure_class=opened.trouble.failure_class or "transient",
        message=circuit.last_error or "the system has an open outage",
        failed_at=run.moment,
    )
    if opened.incident_id is None:
        join(run, opened, circuit.incident)
    following = next_round(progress, policy_of(run, act), run.moment, seed=f"{run.id}/{opened.key}")
    at = getattr(following, "at", None)
    withheld = {"cause": "withheld", "incident": reference("inc", circuit.incident)}
    payload = run.sealer.seal(orjson.dumps({**withheld, "message": circuit.last_error}))
    _note_round(run, opened, at, attempts=0, payload=payload)
    if at is None:
        _park(run, opened, "outage", None, stays=True)
    else:
        opened.trouble = replace(opened.trouble, progress=following.progress)
        _rest(run, opened, at)


def _wait_for_credential(
    run: Runner, opened: OpenAct, circuit: Circuit, progress: Progress
) -> None:
    """Park without a call: asking with a refused credential is how accounts get locked."""
    opened.trouble = replace(
        opened.trouble,
        progress=progress,
        failure_class=AuthFailed.failure_class,
        message=circuit.last_error or "the credential is refused",
        failed_at=run.moment,
    )
    if opened.incident_id is None:
        join(run, opened, circuit.incident)
    _park(run, opened, PARKING[AuthFailed.failure_class].reason, None, stays=True)


# --- writing --------------------------------------------------------------------------------


def _note(run: Runner, opened: OpenAct, fact: Any, *, payload: bytes | None = None) -> int:
    return run.record(
        fact,
        key=opened.key,
        attempt=opened.attempt,
        round_=opened.round,
        system=opened.system,
        payload=payload,
    )


def _closed(run: Runner, opened: OpenAct, kind: str, seq: int) -> None:
    run.open.pop(opened.key, None)
    run.change.closed.append(opened.key)
    now = run.moment
    run.history.ended(opened.key, now)
    run.history.outcomes[opened.key] = Recorded(seq, kind, now, b"", None)
