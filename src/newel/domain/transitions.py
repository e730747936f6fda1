"""What becomes of a step whose attempt ended badly: tried again, parked, or given up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from newel.base.errors import NoCapacity, NotReady, OutcomeUnknown, StepError, Throttled
from newel.domain.acts import Trouble
from newel.domain.failures import USES_ROUNDS, ParkedReason, parked_for
from newel.domain.retry import (
    Again,
    Exhausted,
    Retry,
    after_failure,
    after_not_ready,
    after_throttle,
    begun,
    not_before,
)

UNCLEAR_PAUSES: Final = (timedelta(seconds=5), timedelta(seconds=20), timedelta(seconds=60))
MAX_CRASHES: Final = 3
"""Workers that may die in one attempt before a person has to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """The step is tried again at `at`; `round_failed` says that a counted round ended with it."""

    at: datetime
    trouble: Trouble
    round_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """A person has to look; `rounds_used` says whether the schedule was used up."""

    reason: ParkedReason
    trouble: Trouble
    round_failed: bool = False
    rounds_used: bool = False


Next = Repeat | Park


def after_error(
    trouble: Trouble,
    error: StepError,
    *,
    policy: Retry,
    began_at: datetime,
    now: datetime,
    seed: str,
    in_doubt: Literal["verify", "repeat", "ask"],
    settle: Sequence[timedelta] = (),
) -> Next:
    """Decide what follows a failed attempt.

    began_at: when the attempt's intent was recorded. in_doubt: how a lost answer is resolved.
    settle: when what the step makes is expected to be visible, from the first attempt on.
    Source: product document, §5.1 and §5.2.
    """
    progress = trouble.progress or begun(began_at)
    trouble = replace(
        trouble,
        progress=progress,
        failure_class=error.failure_class,
        message=error.message,
        status=error.status,
        operation=error.operation,
        request_id=error.request_id,
        failed_at=now,
    )
    reason = parked_for(error)
    if isinstance(error, Throttled):
        if trouble.early is not None:  # it keeps its turn, and takes it when it may
            asked = after_throttle(begun(now), policy, now, reset_at=_reset(error, now))
            assert isinstance(asked, Again), "a series that begins now is not over"
            return Repeat(at=asked.at, trouble=trouble)
        asked = after_throttle(progress, policy, now, reset_at=_reset(error, now))
        return _scheduled(trouble, asked, reason)
    if isinstance(error, OutcomeUnknown):
        trouble = replace(trouble, doubt="lost_answer", doubted_at=trouble.doubted_at or began_at)
        if in_doubt == "ask":
            return Park(reason="unknown", trouble=trouble)
        reason = "outage"
    elif isinstance(error, NoCapacity) and error.until is not None and error.until > now:
        return Repeat(at=error.until, trouble=replace(trouble, early=None, held_at=None))
    elif error.failure_class not in USES_ROUNDS:
        return Park(reason=reason, trouble=replace(trouble, early=None, held_at=None))
    if trouble.early is not None:
        return _as_before(trouble, reason, now)
    if isinstance(error, NotReady):
        following = after_not_ready(progress, policy, now, seed=seed, settle=settle)
        return _scheduled(trouble, following, reason)
    following = after_failure(progress, policy, now, seed=seed)
    return _scheduled(trouble, not_before(following, policy, error.retry_at), reason)


def after_unclear(trouble: Trouble, *, now: datetime) -> Repeat | Park:
    """Decide what follows a `verify` that could not tell: look again a few times, then ask."""
    if trouble.unclear < len(UNCLEAR_PAUSES):
        at = now + UNCLEAR_PAUSES[trouble.unclear]
        return Repeat(at=at, trouble=replace(trouble, unclear=trouble.unclear + 1))
    return Park(reason="unknown", trouble=trouble)


def _as_before(trouble: Trouble, reason: ParkedReason, earliest: datetime) -> Next:
    """An uncounted attempt has failed: the step does what it did before it was asked."""
    settled = replace(trouble, early=None, held_at=None)
    if trouble.early == "parked":
        return Park(reason=reason, trouble=settled)
    return Repeat(at=max(trouble.held_at or earliest, earliest), trouble=settled)


def _scheduled(trouble: Trouble, answer: Again | Exhausted, reason: ParkedReason) -> Next:
    failed = trouble.failed_rounds
    match answer:
        case Again(at=at, progress=progress, round_failed=round_failed):
            rounds = failed + 1 if round_failed else failed
            moved = replace(trouble, progress=progress, failed_rounds=rounds)
            return Repeat(at=at, trouble=moved, round_failed=round_failed)
        case Exhausted(progress=progress):
            moved = replace(trouble, progress=progress, failed_rounds=failed + 1)
            return Park(reason=reason, trouble=moved, round_failed=True, rounds_used=True)


def _reset(error: Throttled, now: datetime) -> datetime | None:
    if error.retry_at is not None:
        return error.retry_at
    return None if error.retry_after is None else now + error.retry_after
