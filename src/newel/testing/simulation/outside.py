"""What lies outside: effects that are counted, answers that are lost, systems that are down.

A call that was sent has its effect even if the worker that sent it dies or sleeps: the effect is
the outside's own act, a moment later.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import Context, copy_context
from datetime import timedelta
from random import Random
from typing import Final

from newel.base.errors import OutcomeUnknown, Throttled, Transient
from newel.engine.ticketing import Case, Issue
from newel.testing.loop import Place, VirtualLoop

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

    def __init__(self, loop: VirtualLoop, chance: Random, *, failing: float, unheard: float) -> None:
        """Begin with everything up."""
        self.effects: Counter[str] = Counter()
        self.looking: Counter[Place | None] = Counter()
        self.is_down = False
        self.is_rough = True
        self._loop = loop
        self._chance = chance
        self._failing = failing
        self._unheard = unheard
        self._own: Context = copy_context()  # no worker's place: it outlives all of them

    async def call(self, what: str, *, answers: bool) -> str:
        """Have an effect, or be told why not; answers: whether it says no."""
        await self._passed()
        if self.is_down:
            raise Transient("nobody answers")
        if self.is_rough and self._chance.random() < self._failing:
            if self._chance.random() < 0.3:
                raise Throttled("too many", retry_after=timedelta(seconds=20))
            raise Transient("not now")
        if answers:
            raise Answered(what)
        made: asyncio.Future[None] = self._loop.create_future()
        self._loop.call_later(
            self._chance.random() * _LATENCY, self._make, what, made, context=self._own
        )
        await made
        if self.is_rough and self._chance.random() < self._unheard:
            if self._chance.random() < 0.5:
                await asyncio.sleep(_LOST_ANSWER)
            raise OutcomeUnknown("the answer was lost")
        return what

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
    credential = "outside:1"

    async def probe(self) -> None:
        """Answer, unless it is down."""
        await self._passed()
        if self.is_down:
            raise Transient("nobody answers")


class Tracker:
    """A tracker that opens what it is asked to, twice if asked twice."""

    credential = "tracker:1"
    channel = "tracker"

    def __init__(self) -> None:
        """Begin without tickets."""
        self.opened: list[str] = []

    async def find(self, case: Case) -> Issue | None:
        """Give the first ticket of an incident."""
        return self._issue(case) if case.incident in self.opened else None

    async def open(self, case: Case) -> Issue:
        """Open a ticket."""
        await asyncio.sleep(0)
        self.opened.append(case.incident)
        return self._issue(case)

    async def comment(self, issue: Issue, key: str, text: str) -> None:
        """Take a comment."""

    async def close(self, issue: Issue) -> None:
        """Close a ticket."""

    def _issue(self, case: Case) -> Issue:
        return Issue(channel=self.channel, key=f"OPS-{self.opened.index(case.incident)}", url="")
