"""The gate of a deployment: limits lie in the database, because all workers share them.

A worker takes up to a second's tokens at once and spends them in memory, so the steady cost is a
statement a second for each worker and bucket. Whoever finds a bucket empty takes its tokens all
the same and waits for them to drip in, for seconds at most: who comes next stands behind. Where
that would take longer the request is refused with a moment of its own, one after another, and the
step rests until then: a queue holds no coroutine. Those who have rested go before those who come
for the first time, so nobody is passed over for ever.

Blocks of other workers are seen when the tokens at hand are spent or a second old.
Source: connectors document, §6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Final, Protocol, runtime_checkable

from newel.base.clock import Clock
from newel.base.errors import StepError, Throttled
from newel.connectors.gate import Bucket, Gate, Lane, LimitHeaders, Pause, real_pause, reserved
from newel.flow.context import ATTEMPT
from newel.store import gates
from newel.store.database import LOST, Database

_FIRST_S: Final = 2.0
"""So long the first request of an attempt waits at the gate; a longer wait releases the run."""

_LATER_S: Final = 10.0
"""So long the later ones of an attempt wait: what it has done so far would be done again."""

_URGENT_S: Final = 15.0
"""So long whoever cannot wait stands in line: longer than all that the line may hold, a turn of
`_LATER_S`, so that nobody of them is sent behind those who rest, which may be hundreds."""

_OUTSIDE_S: Final = 5.0
_SHARED_RATE: Final = 5.0
_MOST_AT_ONCE: Final = 10
_FRESH_S: Final = 1.0
_AWAY: Final = timedelta(seconds=5)


@runtime_checkable
class Limited(Protocol):
    """A connector whose limits may be shared."""

    credential: str
    clock: Clock
    buckets: ClassVar[tuple[Bucket, ...]]

    def share(self, gate: Callable[[Limited, Pause], Gate]) -> None:
        """Let a gate that `gate` makes stand where only this worker's did."""
        ...


@dataclass(slots=True)
class _Held:
    """Tokens that this worker has taken of one bucket and not spent yet."""

    tokens: float = 0.0
    taken_at: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class SharedGate:
    """The gate of one credential, as one worker sees it."""

    def __init__(
        self,
        database: Database,
        credential: str,
        buckets: Iterable[Bucket],
        *,
        clock: Clock,
        pause: Pause = real_pause,
    ) -> None:
        """Take the budgets; the levels lie in the database."""
        self._database = database
        self._credential = credential
        self._budgets = {bucket.name: bucket for bucket in buckets}
        self._held: dict[str, _Held] = {}
        self._clock = clock
        self._pause = pause
        self.statements = 0

    async def admit(self, bucket: str, *, cost: int = 1, lane: Lane = "standard") -> None:
        """Take tokens, waiting a few seconds for them; raises Throttled if it takes longer."""
        held = self._held.setdefault(bucket, _Held())
        async with held.turn:
            if self._spend(held, cost):
                return
            given, wait = await self._taken(bucket, cost, lane)
            if given:
                held.tokens, held.taken_at = given - cost, self._clock.monotonic()
        if not given:
            raise Throttled(
                "The request waits for its turn: the budget for this system is used up.",
                retry_at=self._clock.now() + timedelta(seconds=wait),
                retry_after=timedelta(seconds=wait),
                bucket=bucket,
            )
        if wait > 0:
            await self._pause(wait)

    def _spend(self, held: _Held, cost: int) -> bool:
        is_fresh = self._clock.monotonic() - held.taken_at < _FRESH_S
        if held.tokens < cost or not is_fresh:
            return False
        held.tokens -= cost
        return True

    async def _taken(self, bucket: str, cost: int, lane: Lane) -> tuple[int, float]:
        budget = self._budgets.get(bucket) or self._budgets.get(bucket.partition(":")[0])
        attempting = ATTEMPT.get()
        patience, is_known = _OUTSIDE_S, False
        if attempting is not None:
            patience = _LATER_S if attempting.observed.calls else _FIRST_S
            is_known = attempting.info.number > 1 or bool(attempting.observed.calls)
        if lane == "urgent":
            patience = _URGENT_S
        rate = 0.0 if budget is None else budget.rate
        many = 1 if budget is not None and rate < _SHARED_RATE else min(rate, _MOST_AT_ONCE)
        asked = gates.Asked(
            rate=rate,
            capacity=0.0 if budget is None else budget.capacity,
            floor=0.0 if budget is None else reserved(budget, lane),
            cost=cost,
            want=max(cost, many if budget is not None else _MOST_AT_ONCE),
            patience=patience,
            may_jump=is_known or lane == "urgent",
        )
        self.statements += 1
        try:
            return await gates.take(self._database, self._credential, bucket, asked)
        except LOST as error:
            raise Throttled(
                "The limits cannot be read: the database does not answer.",
                retry_after=_AWAY,
                retry_at=self._clock.now() + _AWAY,
                bucket=bucket,
            ) from error

    async def observe(self, bucket: str, seen: LimitHeaders) -> None:
        """Lower the tokens to what an answer says is left; nothing raises them."""
        budget = self._budgets.get(bucket) or self._budgets.get(bucket.partition(":")[0])
        if seen.is_near:
            await self._counted_twice(bucket)
        if seen.remaining is None:
            return
        held = self._held.setdefault(bucket, _Held())
        held.tokens = min(held.tokens, seen.remaining)
        if budget is not None and seen.remaining < budget.capacity:
            self.statements += 1
            await gates.lower(self._database, self._credential, bucket, seen.remaining)
        if seen.remaining == 0 and seen.reset_at is not None:
            await self.block(bucket, seen.reset_at)

    async def _counted_twice(self, bucket: str) -> None:
        """Spend one token more, of those at hand or of all workers'."""
        held = self._held.setdefault(bucket, _Held())
        if held.tokens >= 1:
            held.tokens -= 1
            return
        with suppress(Throttled):  # the request is answered: nothing is held up by this one
            await self._taken(bucket, 1, "urgent")

    async def block(self, bucket: str, until: datetime) -> None:
        """Let nothing pass before a moment, on any worker."""
        self._held.setdefault(bucket, _Held()).tokens = 0.0
        self.statements += 1
        await gates.block(self._database, self._credential, bucket, until)

    async def report(self, verdict: StepError | None) -> None:
        """Nothing to note: circuits are the incidents'."""
