"""Limits that belong to a credential: how fast its requests may leave, and until when none may.

Every request passes a gate. This module has the protocol and a gate in memory, which serves one
worker; a deployment's gate lies in the database, because the limits are the vendor's and all
workers share them. Budgets are 80 % of the documented limits (connectors document, §6.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from newel.base.clock import Clock
from newel.base.errors import StepError, Throttled

__all__ = [
    "Bucket",
    "Gate",
    "Lane",
    "LimitHeaders",
    "MemoryGate",
    "Pause",
    "real_pause",
    "reserved",
]

Lane = Literal["standard", "urgent"]
Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds; tests pass one that moves their clock."""

LONGEST_PAUSE: Final = 5.0
"""Seconds that a request waits at the gate; a longer wait releases the run."""

_KEPT_FOR_URGENT: Final = 0.2
_SMALLEST_SHARED: Final = 5.0


async def real_pause(seconds: float) -> None:
    """Wait in real time."""
    await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A budget: `rate` requests a second on average, `capacity` of them at once.

    name: `system.what`; a bucket used as `name:item` has one such budget per item.
    """

    name: str
    rate: float
    capacity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitHeaders:
    """What an answer said about the limit: requests left, and when the count starts anew.

    is_near: the system says that we come near it; what was just sent then counts twice, which
    halves the pace. used: how much is used, 0 to 1, of an allowance that comes back by itself in
    the course of a day.
    """

    remaining: int | None = None
    reset_at: datetime | None = None
    is_near: bool = False
    used: float | None = None


class Gate(Protocol):
    """Whoever lets requests pass."""

    async def admit(self, bucket: str, *, cost: int = 1, lane: Lane = "standard") -> None:
        """Take tokens, waiting up to five seconds; raises Throttled with the moment if longer."""
        ...

    async def observe(self, bucket: str, seen: LimitHeaders) -> None:
        """Lower the tokens to what an answer says is left; nothing raises them."""
        ...

    async def block(self, bucket: str, until: datetime) -> None:
        """Let nothing pass before a moment."""
        ...

    async def report(self, verdict: StepError | None) -> None:
        """Take note of how a request ended; None is a success."""
        ...


@dataclass(slots=True)
class _Level:
    tokens: float
    filled_at: float
    blocked_until: datetime | None = None


def reserved(budget: Bucket, lane: Lane) -> float:
    """Keep a fifth for the urgent lane, where a fifth is at least one request."""
    if lane == "urgent" or budget.capacity < _SMALLEST_SHARED:
        return 0.0
    return budget.capacity * _KEPT_FOR_URGENT


class MemoryGate:
    """The gate of one worker: token buckets in memory; circuits are the deployment's gate's."""

    def __init__(
        self, buckets: Iterable[Bucket], *, clock: Clock, pause: Pause = real_pause
    ) -> None:
        self._budgets = {bucket.name: bucket for bucket in buckets}
        self._levels: dict[str, _Level] = {}
        self._clock = clock
        self._pause = pause

    async def admit(self, bucket: str, *, cost: int = 1, lane: Lane = "standard") -> None:
        """Take tokens, waiting up to five seconds; a name without a budget passes freely."""
        level = self._levels.get(bucket)
        budget = self._budgets.get(bucket) or self._budgets.get(bucket.partition(":")[0])
        wait = self._blocked(level)
        if budget is not None:
            level = level or self._made(bucket, budget.capacity)
            self._refill(level, budget)
            floor = reserved(budget, lane)
            wait = max(wait, (floor + cost - level.tokens) / budget.rate)
        if wait > LONGEST_PAUSE:
            raise Throttled(
                "The request waits for its turn: the budget for this system is used up.",
                retry_at=self._clock.now() + timedelta(seconds=wait),
                retry_after=timedelta(seconds=wait),
                bucket=bucket,
            )
        if level is not None:
            # Taken before the wait, so that whoever comes next queues behind.
            level.tokens -= cost
        if wait > 0:
            await self._pause(wait)

    async def observe(self, bucket: str, seen: LimitHeaders) -> None:
        """Lower the tokens to what an answer says is left."""
        level = self._levels.get(bucket)
        if level is not None and seen.is_near:
            level.tokens -= 1
        if level is not None and seen.remaining is not None:
            level.tokens = min(level.tokens, seen.remaining)
        if seen.remaining == 0 and seen.reset_at is not None:
            await self.block(bucket, seen.reset_at)

    async def block(self, bucket: str, until: datetime) -> None:
        """Let nothing pass before a moment; a later moment known already stays."""
        level = self._levels.get(bucket) or self._made(bucket, 0.0)
        if level.blocked_until is None or level.blocked_until < until:
            level.blocked_until = until

    async def report(self, verdict: StepError | None) -> None:
        """Nothing to note: circuits are kept by the deployment's gate."""

    def _made(self, bucket: str, tokens: float) -> _Level:
        level = _Level(tokens, self._clock.monotonic())
        self._levels[bucket] = level
        return level

    def _blocked(self, level: _Level | None) -> float:
        if level is None or level.blocked_until is None:
            return 0.0
        left = (level.blocked_until - self._clock.now()).total_seconds()
        if left <= 0:
            level.blocked_until = None
        return max(left, 0.0)

    def _refill(self, level: _Level, budget: Bucket) -> None:
        now = self._clock.monotonic()
        level.tokens = min(budget.capacity, level.tokens + (now - level.filled_at) * budget.rate)
        level.filled_at = now
