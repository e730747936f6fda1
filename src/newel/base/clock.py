"""Time comes in from outside: one protocol, the system's clock, and one that tests own.

Nobody below the engine reads a clock on their own. Due moments are judged by the database's
`newel.now()`; this clock serves code that runs without a database, and lengths of time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

__all__ = ["DEPLOYMENT", "Clock", "DeploymentClock", "FakeClock", "SystemClock"]


class Clock(Protocol):
    """Whoever can say what time it is."""

    def now(self) -> datetime:
        """Give the present moment, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never run backwards; only differences mean anything."""
        ...


class SystemClock:
    """The clock of the host."""

    __slots__ = ()

    def now(self) -> datetime:
        """Give the host's present moment, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give the host's monotonic seconds."""
        return time.monotonic()


class DeploymentClock:
    """The host's clock, moved with the clock of a test or demo deployment.

    offset: what the database adds in `newel.now()`; nought in production, where it cannot move.
    source: the clock that is moved: the host's, or that of a test which owns all time.
    """

    __slots__ = ("offset", "source")

    def __init__(self) -> None:
        """Begin as the host's clock."""
        self.offset = timedelta(0)
        self.source: Clock = SystemClock()

    def now(self) -> datetime:
        """Give the deployment's present moment, aware and in UTC."""
        return self.source.now() + self.offset

    def monotonic(self) -> float:
        """Give monotonic seconds; moving the clock does not touch them."""
        return self.source.monotonic()


DEPLOYMENT: Final = DeploymentClock()
"""The clock of the deployment this program works for; its worker moves it."""


class FakeClock:
    """A clock that stands still until it is moved; for tests and simulations."""

    __slots__ = ("_monotonic", "_now")

    def __init__(self, now: datetime) -> None:
        """Begin at an aware moment; the monotonic seconds begin at nought."""
        if now.tzinfo is None:
            message = f"A clock needs an aware moment, not {now!r}."
            raise ValueError(message)
        self._now = now.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Give the moment the clock was last moved to."""
        return self._now

    def monotonic(self) -> float:
        """Give the seconds the clock was moved by since it was made."""
        return self._monotonic

    def move(self, by: timedelta) -> datetime:
        """Move forwards and give the new moment; backwards is refused."""
        if by < timedelta(0):
            message = f"A clock only moves forwards, not by {by}."
            raise ValueError(message)
        self._now += by
        self._monotonic += by.total_seconds()
        return self._now

    def move_to(self, moment: datetime) -> datetime:
        """Move forwards to an aware moment and give it."""
        return self.move(moment - self._now)
