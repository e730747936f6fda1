"""Looking without touching: the half of an operation that `verify` and previews are made of.

An operation looks before it acts. Run while looking, its body goes on for as long as it only
reads, and ends with `WouldChange` at the first request that could change the other system. So
the look-up that creates and the look-up that verifies are one piece of code, and cannot
disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from newel.base.clock import Clock
from newel.connectors.capability import BY_HAND, Route
from newel.domain.values import Effect
from newel.flow.context import ATTEMPT

__all__ = [
    "AFTER_DOUBT",
    "WouldChange",
    "adopts",
    "believe",
    "doubt_age",
    "intent_age",
    "is_looking",
    "looking",
    "on_way",
    "report",
    "starts_at",
    "was_asked",
    "way",
]

_LOOKING: Final[ContextVar[bool]] = ContextVar("newel_looking", default=False)
_WAY: Final[ContextVar[Route | None]] = ContextVar("newel_way", default=None)
AFTER_DOUBT: Final = "found after unknown outcome"


class WouldChange(Exception):
    """The operation would now change the other system; operation: as the vendor names it."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        super().__init__(f"{operation} would change the system")


@contextmanager
def looking() -> Iterator[None]:
    """Let nothing but reads leave, in this task, until the block ends."""
    token = _LOOKING.set(True)
    try:
        yield
    finally:
        _LOOKING.reset(token)


def is_looking() -> bool:
    """Say whether only reads may leave."""
    return _LOOKING.get()


@contextmanager
def on_way(path: Route) -> Iterator[None]:
    """Let an operation that has several ways go this one, in this task, until the block ends."""
    token = _WAY.set(path)
    try:
        yield
    finally:
        _WAY.reset(token)


def way() -> Route | None:
    """Say which of its ways the operation goes; None for one that has no choice."""
    return _WAY.get()


def believe(what: str) -> None:
    """Go on only when a person has said that it is done, because nothing can be looked up.

    what: the change, as the vendor names it. Raises WouldChange before.
    """
    attempting = ATTEMPT.get()
    if attempting is None or not attempting.is_claimed:
        raise WouldChange(what)


def was_asked() -> bool:
    """Say whether a person was asked to do it by hand, after newel had looked in vain."""
    attempting = ATTEMPT.get()
    return attempting is not None and attempting.was_asked


def adopts() -> str | None:
    """Give the id of the account that a person has said is the subject's; None if nobody has."""
    attempting = ATTEMPT.get()
    return None if attempting is None else attempting.adopts


def report(effect: Effect) -> None:
    """Hand what the operation did to the attempt around it; outside an attempt to nobody.

    What is found in doubt counts as changed by us: the lost call has made it. What is found after
    work by hand was made by a person; whether they were asked for it, the engine knows.
    What was there before says nothing of what came with it.
    """
    attempting = ATTEMPT.get()
    if attempting is None:
        return
    if (path := _WAY.get()) is not None:
        effect = replace(effect, path=path)
    if path == BY_HAND:
        attempting.observed.effect = replace(effect, also=())
        return
    in_doubt = is_looking() or attempting.info.follows_doubt
    if in_doubt and not effect.changed:
        evidence = f"{effect.evidence}, {AFTER_DOUBT}" if effect.evidence else AFTER_DOUBT
        effect = replace(effect, changed=True, evidence=evidence)
    attempting.observed.effect = effect if effect.changed else replace(effect, also=())


def doubt_age(clock: Clock) -> timedelta | None:
    """Say how long ago the lost call was intended; None if no call was lost.

    Both moments come from the clock of the attempt where it gives them. An attempt that begins
    with its own intent follows a look that has found nothing: that was the doubt's end.
    """
    attempting = ATTEMPT.get()
    if attempting is None:
        return None
    info = attempting.info
    if is_looking() or (info.follows_doubt and info.intended_at != info.began_at):
        return intent_age(clock)
    return None


def intent_age(clock: Clock) -> timedelta | None:
    """Say how long ago the intent was recorded; None outside an attempt."""
    attempting = ATTEMPT.get()
    if attempting is None:
        return None
    return max(starts_at(clock) - attempting.info.intended_at, timedelta(0))


def starts_at(clock: Clock) -> datetime:
    """Give the moment the attempt began, else the clock's present moment."""
    attempting = ATTEMPT.get()
    if attempting is None or attempting.info.began_at is None:
        return clock.now()
    return attempting.info.began_at
