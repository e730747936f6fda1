"""Operations on their own, outside any run: attempts as the engine makes them, time that jumps."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from newel.base.clock import FakeClock
from newel.domain.values import AttemptInfo, Effect, Observed
from newel.flow.context import ATTEMPT, Attempting
from newel.simulators.clock import SimulatedClock

__all__ = ["START", "Time", "attempt", "effect_of", "raised"]

Wrong = TypeVar("Wrong", bound=BaseException)

START: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)


@dataclass
class Time:
    """One time for connector and simulators: it stands, and a pause moves it."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    world: SimulatedClock = field(default_factory=lambda: SimulatedClock(standing_at=START))
    pauses: list[float] = field(default_factory=list)

    async def pause(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self.pauses.append(seconds)
        self.move(timedelta(seconds=seconds))

    def move(self, by: timedelta) -> None:
        """Let time pass for connector and simulators alike."""
        self.clock.move(by)
        self.world.advance(by)


@contextmanager
def attempt(
    time: Time,
    *,
    intended: datetime | None = None,
    follows_doubt: bool = False,
    way: str | None = None,
    is_claimed: bool = False,
    is_urgent: bool = False,
) -> Iterator[Observed]:
    """Stand inside an attempt; gives what the code in it reports.

    intended: when a call was intended whose answer was lost. follows_doubt: whether this attempt
    comes after such a call. way: which of its ways an operation goes. is_claimed: whether a person
    has said that it is done. is_urgent: whether its calls go before others.
    """
    observed = Observed()
    now = time.clock.now()
    info = AttemptInfo(
        run=UUID(int=1),
        key="test",
        number=1,
        round=1,
        idempotency_key="0" * 32,
        intended_at=intended or now,
        deadline=now + timedelta(seconds=20),
        follows_doubt=follows_doubt,
        began_at=now,
    )
    attempting = Attempting(
        info=info, observed=observed, is_urgent=is_urgent, way=way, is_claimed=is_claimed
    )
    token = ATTEMPT.set(attempting)
    try:
        yield observed
    finally:
        ATTEMPT.reset(token)


def effect_of(observed: Observed) -> Effect:
    """Give the reported effect, which there must be."""
    assert observed.effect is not None, "the operation reported no effect"
    return observed.effect


async def raised(awaitable: Awaitable[Any], kind: type[Wrong]) -> Wrong:  # Any: it is not looked at
    """Await something that must raise, and give the exception."""
    try:
        await awaitable
    except kind as wrong:
        return wrong
    message = f"{kind.__name__} was not raised"
    raise AssertionError(message)
