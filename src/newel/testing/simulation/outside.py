"""What lies outside: effects that are counted, answers that are lost, systems that are down.

A call that was sent has its effect even if the worker that sent it dies or sleeps: the effect is
the outside's own act, a moment later.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextvars import Context, copy_context
from datetime import timedelta
from random import Random
from typing import Final

from newel.base.errors import OutcomeUnknown, Throttled, Transient
from newel.engine.ticketing import Case, Issue
from newel.testing.desk import TicketDesk
from newel.testing.loop import Place, VirtualLoop
from newel.testing.simulation.weather import Weather

__all__ = ["Answered", "Outside", "Tracker"]

_LATENCY: Final = 0.2
_LOST_ANSWER: Final = 30.0


class Answered(Exception):
    """An answer that steps declare; what: what it was about."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"answered: {what}")


class Outside:
    """The systems that steps call. effects: by run and place of the body."""

    def __init__(self, loop: VirtualLoop, chance: Random, weather: Callable[[], Weather]) -> None:
        """Begin with everything up."""
        self.effects: Counter[str] = Counter()
        self.looking: Counter[Place | None] = Counter()
        self.is_down = False
        self.is_rough = True
        self._loop = loop
        self._chance = chance
        self._weather = weather
        self._own: Context = copy_context()  # no worker's place: it outlives all of them

    async def call(self, what: str, *, answers: bool) -> str:
        """Have an effect, or be told why not; answers: whether it says no."""
        # Nothing is awaited before the call is on its way: who falls asleep has sent it already.
        failure = self._failure()
        if failure is None and answers:
            failure = Answered(what)
        if failure is not None:
            await self._passed()
            raise failure
        made: asyncio.Future[None] = self._loop.create_future()
        self._loop.call_later(
            self._chance.random() * _LATENCY, self._make, what, made, context=self._own
        )
        await made
        if self.is_rough and self._chance.random() < self._weather().unheard:
            if self._chance.random() < 0.5:
                await asyncio.sleep(_LOST_ANSWER)
            raise OutcomeUnknown("the answer was lost")
        return what

    def _failure(self) -> Exception | None:
        if self.is_down:
            return Transient("nobody answers")
        if self.is_rough and self._chance.random() < self._weather().failing:
            if self._chance.random() < 0.3:
                return Throttled("too many", retry_after=timedelta(seconds=20))
            return Transient("not now")
        return None

    def _make(self, what: str, made: asyncio.Future[None]) -> None:
        self.effects[what] += 1
        if not made.done():
            made.set_result(None)

    async def look(self, what: str) -> bool:
        """Whether an effect is there."""
        place = self._loop.here()
        self.looking[place] += 1
        try:
            await self._passed()
            if self.is_down:
                raise Transient("nobody answers")
            return self.effects[what] > 0
        finally:
            self.looking[place] -= 1

    async def _passed(self) -> None:
        if self.is_rough:
            await asyncio.sleep(self._chance.random() * _LATENCY)

    # --- as a system with a probe ---------------------------------------------------------------

    name = "outside"
    title = "Outside"
    owner = "it"
    credential = "outside:1"

    async def probe(self) -> None:
        """Answer, unless it is down."""
        await self._passed()
        if self.is_down:
            raise Transient("nobody answers")


class Tracker(TicketDesk):
    """A tracker that opens what it is asked to, twice if asked twice; incidents: as asked for."""

    def __init__(self) -> None:
        """Begin without tickets."""
        super().__init__("tracker")
        self.incidents: list[str] = []

    async def open(self, case: Case) -> Issue:
        """Open a ticket."""
        await asyncio.sleep(0)
        self.incidents.append(case.incident)
        return await super().open(case)
