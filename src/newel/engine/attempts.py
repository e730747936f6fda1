"""One attempt: the code is called within its time, and how it ended is judged. Writes nothing.

In doubt an attempt begins with a look: `verify` answers whether the lost call had its effect.
Found: that is the outcome. Absent: the code is called, knowing that it follows a doubt. Neither
writes anything here; the run's Runner turns the end into facts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from newel.base.codec import OUTCOME_LIMIT
from newel.base.errors import (
    AlreadyDone,
    AuthFailed,
    Bug,
    LeaseLost,
    NewelError,
    OutcomeUnknown,
    StepError,
    Transient,
    Unwind,
)
from newel.connectors.capability import BY_HAND
from newel.domain.acts import OpenAct
from newel.domain.change import Change
from newel.domain.failures import judged
from newel.domain.retry import time_left
from newel.domain.values import Absent, AttemptInfo, Found, Observed, Unclear
from newel.engine.allowing import allowed_by
from newel.engine.calls import PLAIN, Call
from newel.engine.finished import Finished
from newel.engine.guarding import Guard
from newel.engine.joining import policy_of
from newel.engine.pace import monotonic
from newel.engine.redacting import personal_words, redacted
from newel.engine.runner import Runner
from newel.flow.act import StepAct
from newel.flow.context import ATTEMPT, DRIVEN, Attempting
from newel.flow.process import Process
from newel.store.riding import Ride

_LONGEST_MESSAGE: Final = 2_000
_LONGEST_CODE: Final = 100
_LONGEST_QUESTION_S: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What an attempt is made of: the call, its place, its limits.

    doubted_at: when the intent of an earlier attempt in doubt was recorded, or None. is_leaving:
    whether its branch ends with it, so that what turns out not to have happened is not made again.
    call: how the code is called. limit: of the outcome, in bytes.
    may_send: whether the worker may still make calls; False when its lease is in doubt.
    is_urgent: whether its calls go before others at a system's limit.
    is_approved: whether the call needs no approval, or has one. way: that was chosen for it; by
    hand it only looks. was_asked: whether a person was asked to do it; is_claimed: whether they
    have said that it is done. adopts: the account that they have said is the subject's. guard:
    asked before something is sent that takes access away; None for all else. process: whose run it
    is.
    """

    act: StepAct[Any]  # Any: each step has its own result
    run: UUID
    key: str
    attempt: int
    round: int
    idempotency_key: str
    began_at: datetime
    timeout: timedelta
    doubted_at: datetime | None = None
    call: Call = PLAIN
    limit: int = OUTCOME_LIMIT
    is_leaving: bool = False
    may_send: Callable[[], bool] = lambda: True
    is_urgent: bool = False
    is_approved: bool = True
    way: str | None = None
    was_asked: bool = False
    is_claimed: bool = False
    adopts: str | None = None
    guard: Callable[[], Awaitable[None]] | None = None
    process: Process[..., Any] | None = None  # Any: whatever its result is


Attempt: TypeAlias = Callable[[Begun], Coroutine[Any, Any, Finished]]  # Any: asyncio's own
"""What makes one attempt."""


def begun_of(
    run: Runner,
    opened: OpenAct,
    act: StepAct[Any],
    call: Call,
    limit: int,
    may_send: Callable[[], bool] = lambda: True,
    guard: Guard | None = None,
) -> Begun:
    """Make an attempt of an open step whose intent is durable."""
    trouble = opened.trouble
    timeout = act.step.options.timeout or run.host.limits.attempt_timeout
    began_at = opened.intended_at or run.host.now()
    if trouble.progress is not None and trouble.early is None:
        timeout = time_left(trouble.progress, policy_of(run, act), began_at, timeout)
    return Begun(
        act=act,
        run=run.id,
        key=opened.key,
        attempt=opened.attempt,
        round=opened.round,
        idempotency_key=run.idempotency_key(opened.key),
        began_at=began_at,
        timeout=timeout,
        doubted_at=trouble.doubted_at if trouble.doubt is not None else None,
        call=call,
        limit=limit,
        is_leaving=run.is_leaving(opened.key),
        may_send=may_send,
        is_urgent=policy_of(run, act).is_urgent,
        is_approved=_is_approved(run, act),
        way=trouble.way,
        was_asked=trouble.was_asked,
        is_claimed=trouble.is_claimed,
        adopts=trouble.adopts,
        guard=None if guard is None else guard.of(run, opened, act),
        process=run.process,
    )


def _is_approved(run: Runner, act: StepAct[Any]) -> bool:  # Any: its own result
    """Whether nothing more has to be approved before this call."""
    asks = act.step.options.facts.get("approval") is not None
    return not asks or allowed_by(run, act) is not None


async def attempt(begun: Begun) -> Finished:
    """Make one attempt; never raises but for cancellation of the task it runs in.

    Raises LeaseLost where the worker has lost its right before a call was sent: how the attempt
    ended is for the next owner to find out.
    A transaction that is left open waits for the outcome; it is over where there is none.
    """
    try:
        done = await _attempted(begun)
    except BaseException:
        _abandon(begun.call.ride)
        raise
    done.ride = begun.call.ride
    if isinstance(done.error, StepError):
        _abandon(done.ride)
    return done


async def _attempted(begun: Begun) -> Finished:
    observed = Observed()
    started = monotonic()
    done = Finished(
        key=begun.key, attempt=begun.attempt, began_at=begun.began_at, duration=timedelta(0)
    )
    try:
        async with asyncio.timeout(begun.timeout.total_seconds()):
            _keep(begun, await _carry_out(begun, observed, done), done)
    except AlreadyDone as settled:
        _keep(begun, settled.value, done)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        done.error = _judged(begun, error)  # something inside was cancelled, not the attempt
    except LeaseLost:
        raise
    except (Exception, Unwind, SystemExit) as error:  # noqa: BLE001 - where exceptions are judged
        done.error = _judged(begun, error)
    done.duration = timedelta(seconds=monotonic() - started)
    done.effect, done.calls = observed.effect, observed.calls
    done.would = observed.would
    return done


def let_ride(change: Change | None, done: Finished) -> None:
    """Let the transaction of an attempt ride with its outcome; undo it where that is not told."""
    if change is not None and any(
        event.key == done.key
        and event.attempt == done.attempt
        and event.type in {"step.succeeded", "step.failed"}
        for event in change.events
    ):
        change.ride = done.ride
    else:
        done.leave()


def _abandon(ride: Ride | None) -> None:
    if ride is not None:
        ride.abandon()


async def _carry_out(begun: Begun, observed: Observed, done: Finished) -> object:
    """Look first where it is in doubt, then call; gives the result, None where it is unclear."""
    act = begun.act
    DRIVEN.set(None)
    if begun.way == BY_HAND and act.step.verify is not None:
        return await _looked(begun, observed, done)
    if begun.doubted_at is not None and act.step.verify is not None:
        info = _info(begun, begun.doubted_at, follows_doubt=True)
        ATTEMPT.set(_attempting(begun, info, observed))
        match await act.step.verify(*act.args, **act.kwargs):
            case Found(value):
                done.adopted = True
                return value
            case Unclear():
                done.unclear = True
                return None
            case Absent() if begun.is_leaving:
                done.absent = True
                return None
            case Absent():
                done.redone = True
    follows = begun.doubted_at is not None
    info = _info(begun, begun.began_at, follows_doubt=follows)
    ATTEMPT.set(_attempting(begun, info, observed))
    return await begun.call.make(act)


async def _looked(begun: Begun, observed: Observed, done: Finished) -> object:
    """Look whether a person has done it; gives the result, None where that is not so."""
    act = begun.act
    assert act.step.verify is not None, "what is done by hand can be looked at"
    info = _info(begun, begun.began_at, follows_doubt=False)
    ATTEMPT.set(_attempting(begun, info, observed))
    match await act.step.verify(*act.args, **act.kwargs):
        case Found(value):
            return value
        case _:
            done.not_yet = True
            return None


def _keep(begun: Begun, value: object, done: Finished) -> None:
    """Pass the result through its type now, so that what does not survive shows on day one."""
    if done.unclear or done.not_yet:
        return
    try:
        done.text, done.value = begun.act.step.result.round_trip(value, limit=begun.limit)
    except NewelError as error:
        done.error = Bug(f"the result of {begun.key} cannot be kept: {error}")


def _judged(begun: Begun, error: BaseException) -> Exception:
    if isinstance(error, begun.act.step.options.raises):
        return error
    found = judged(error)
    if isinstance(found, OutcomeUnknown) and found is not error and not begun.call.leaves_doubt:
        found = Transient(f"it was not begun in time ({type(error).__name__})")
    if found is not error:
        found.__cause__ = error
    found.message = _impersonal(begun, found.message)
    return _kept(found)


def _impersonal(begun: Begun, message: str) -> str:
    """What failed, without what the call's own arguments say of a person."""
    act = begun.act
    try:
        arguments = act.step.signature.bind_partial(*act.args, **act.kwargs).arguments
    except TypeError:  # a call that does not fit the step; that is what has failed
        return message
    return redacted(message, personal_words(arguments))


def _kept(error: StepError) -> StepError:
    """Let an error say only what JSON and PostgreSQL can hold."""
    error.message = _storable(error.message, _LONGEST_MESSAGE)
    error.code = None if error.code is None else _storable(error.code, _LONGEST_CODE)
    return error


def _storable(text: str, longest: int) -> str:
    """What a system said, as JSON and PostgreSQL can hold it."""
    return str(text)[:longest].encode(errors="replace").decode().replace("\0", "?")


def _attempting(begun: Begun, info: AttemptInfo, observed: Observed) -> Attempting:
    return Attempting(
        info,
        observed,
        may_send=begun.may_send,
        is_urgent=begun.is_urgent,
        is_approved=begun.is_approved,
        way=begun.way,
        was_asked=begun.was_asked,
        is_claimed=begun.is_claimed,
        adopts=begun.adopts,
        guard=begun.guard,
        process=begun.process,
    )


def _info(begun: Begun, intended_at: datetime, *, follows_doubt: bool) -> AttemptInfo:
    return AttemptInfo(
        run=begun.run,
        key=begun.key,
        number=begun.attempt,
        round=begun.round,
        idempotency_key=begun.idempotency_key,
        intended_at=intended_at,
        began_at=begun.began_at,
        deadline=begun.began_at + begun.timeout,
        follows_doubt=follows_doubt,
    )


async def asked(question: Callable[[], Awaitable[object]]) -> StepError | None:
    """Ask a connector something cheap; answers with what went wrong, whatever it was.

    A `check()` that answers without being content counts as a refusal. A system's own words are
    left out: a call's arguments say what is personal in them, and a question has none.
    """
    try:
        async with asyncio.timeout(_LONGEST_QUESTION_S):
            answer = await question()
    except Exception as error:  # noqa: BLE001 - a stranger's code must not end the worker
        found = judged(error)
        if found.status is not None:
            code = f" ({found.code})" if found.code else ""
            found.message = (
                f"The system answered {found.status}{code} when it was asked whether it is well"
            )
        return _kept(found)
    return None if getattr(answer, "ok", True) else AuthFailed("The credential is refused.")
