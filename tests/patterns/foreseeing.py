# ruff: noqa: D102 - what a driver does is said once, in the protocol
"""Checks e, f and g: the trace is a path of the drawing and of its BPMN, and keeps to the plan.

Two judges of paths are asked, and must agree; a damaged trace is refused by both. Where BPMN has
constructs of the same meaning, an engine that others wrote executes the export, and makes the same
acts.

After every verb of a play the plan is made anew. At the end each of these plans is held against
what has happened: what was not needed any more has not come, and what was to come has.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

from newel import Event
from newel.domain.patterns import Pattern
from newel.drawing.drawing import drawing_of
from newel.drawing.plan import Plan, Planned
from newel.testing.running import Run
from tests.patterns.harness import InMemory
from tests.unit.drawing.acceptor import Paths
from tests.unit.drawing.executing import Execution
from tests.unit.drawing.happenings import happenings
from tests.unit.drawing.tokens import Tokens

EXACT: Final = frozenset({
    1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 16, 19, 21, 23, 29, 35, 37, 38, 41, 42, 43,
})  # fmt: skip
"""Patterns for which BPMN has a construct of the same meaning (patterns document, §5)."""


class Foreseeing(InMemory):
    """A run in memory whose plan is made after every verb, and judged at the end."""

    def __init__(self, run: Run[Any]) -> None:
        super().__init__(run)
        self.plans: list[tuple[Plan, set[str]]] = []
        self.rests: list[int] = []
        self.look()

    def look(self) -> None:
        """Make the plan, and note which keys there are so far, and how much has happened."""
        self.plans.append((self.run.plan(), self._keys()))
        self.rests.append(len(list(happenings(self.run.audit()))))

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
        if is_whole:
            last, _ = self.plans[-1]
            assert all(line.state or line.forecast == "not-needed" for line in last.lines)
        self._judge_path()

    def _judge_path(self) -> None:
        """Let both judges say that it is a path, and let another engine go it."""
        drawing, state = drawing_of(self.run.process), self.run.state
        paths, tokens = Paths(drawing), Tokens(drawing.graph, drawing.patterns)
        trace = list(happenings(self.run.audit()))
        assert paths.wrong(trace) == ""
        ways = tokens.path(trace, state=state)
        assert ways is not None
        damaged = paths.damaged(trace)
        if damaged is not None:
            assert paths.wrong(damaged) != ""
            assert tokens.path(damaged, state=state) is None
        if not _is_exact(self.run.process.function.__module__):
            return
        execution = Execution(drawing, trace, ways)
        assert execution.play(trace, self.rests) == []
        assert state != "completed" or execution.ended() == []
        if damaged is not None:
            assert Execution(drawing, damaged, ways).play(damaged) != []


def _is_exact(module: str) -> bool:
    number = re.search(r"test_wcp_(\d\d)_", module)
    return number is not None and int(number[1]) in EXACT


def _is_of(line: Planned, key: str) -> bool:
    if ":" in line.node:
        return False
    return key == line.key if line.key is not None else Pattern.parsed(line.node).matches(key)
