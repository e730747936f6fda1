# ruff: noqa: D102 - what a driver does is said once, in the protocol
"""Checks e and f: the trace is a path of the drawing, and the rest of a run keeps to its plan.

After every verb of a play the plan is made anew. At the end each of these plans is held against
what has happened: what was not needed any more has not come, and what was to come has.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from newel import Event
from newel.domain.patterns import Pattern
from newel.drawing.drawing import drawing_of
from newel.drawing.plan import Plan, Planned
from newel.testing.running import Run
from tests.patterns.harness import InMemory
from tests.unit.drawing.acceptor import Paths, steps


class Foreseeing(InMemory):
    """A run in memory whose plan is made after every verb, and judged at the end."""

    def __init__(self, run: Run[Any]) -> None:
        super().__init__(run)
        self.plans: list[tuple[Plan, set[str]]] = []
        self.look()

    def look(self) -> None:
        """Make the plan, and note which keys there are so far."""
        self.plans.append((self.run.plan(), self._keys()))

    def _keys(self) -> set[str]:
        return {key for _, key in self.run.trace() if key}

    async def decide(self, key: str, *, approved: bool = True) -> None:
        await super().decide(key, approved=approved)
        self.look()

    async def send(
        self, event: Event[Any], payload: object, *, match: str | None = None, id_: str = ""
    ) -> str:
        fate = await super().send(event, payload, match=match, id_=id_)
        self.look()
        return fate

    async def cancel(self) -> None:
        await super().cancel()
        self.look()

    async def retry(self, key: str) -> None:
        await super().retry(key)
        self.look()

    async def passes(self, span: timedelta) -> None:
        await super().passes(span)
        self.look()

    def judge(self) -> None:
        """Hold every plan against what has happened since."""
        self.look()
        happened, is_whole = self._keys(), self.run.state == "completed"
        for plan, before in self.plans:
            assert plan.elsewhere == (), plan.elsewhere
            for line in plan.lines:
                later = {key for key in happened if _is_of(line, key)}
                if line.forecast == "not-needed":
                    assert later <= before, f"{line} has come all the same"
                if line.forecast == "will-run" and is_whole and ":" not in line.node:
                    assert later, f"{line} has never come"
        paths = Paths(drawing_of(self.run.process))
        trace = steps(self.run.trace())
        assert paths.wrong(trace) == ""
        damaged = paths.damaged(trace)
        assert damaged is None or paths.wrong(damaged) != ""
        if is_whole:
            last, _ = self.plans[-1]
            assert all(line.state or line.forecast == "not-needed" for line in last.lines)


def _is_of(line: Planned, key: str) -> bool:
    if ":" in line.node:
        return False
    return key == line.key if line.key is not None else Pattern.parsed(line.node).matches(key)
