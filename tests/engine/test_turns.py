"""Turns at a system with one place: who is called comes, who cannot come keeps nobody out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from newel import process, step
from newel.audit.leaf import Actor
from newel.base.errors import Transient
from newel.engine.engine import Engine
from newel.testing.scene import CONSOLE
from newel.testing.stage import Stage

OPERATOR = Actor(type="service", id="svc_test")
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


class Outside:
    """A system that is down for as long as a test says so."""

    name = "outside"
    title = "Outside"
    owner = "it"
    credential = "outside:1"

    def __init__(self) -> None:
        self.called: list[tuple[str, float]] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.is_down = False

    async def probe(self) -> None:
        """Answer, unless it is down."""
        if self.is_down:
            raise Transient("down")

    @step(system="outside", in_doubt="repeat", timeout=timedelta(seconds=600))
    async def call(self, name: str) -> None:
        """Take a call; one with a gate lasts until that is open, one while it is down fails."""
        self.called.append((name, asyncio.get_running_loop().time()))
        if name in self.gates:
            await self.gates[name].wait()
        if self.is_down:
            await asyncio.sleep(20)
            raise Transient("no answer")


outside = Outside()


@pytest.fixture(autouse=True)
def _as_new():
    outside.called.clear()
    outside.gates.clear()
    outside.is_down = False


@process(subject=None)
async def caller(name: str) -> None:
    """Call once."""
    await outside.call(name)


class Narrow(Stage):
    """A stage whose system takes one call at a time."""

    at_most: ClassVar = {"outside": 1}

    def _engine(self, processes):
        return Engine(
            self.database,
            self.vault,
            processes,
            connectors=[outside],
            worker=self._settings,
            reads=False,
            console_url=CONSOLE,
            at_most=self.at_most,
        )

    def begin(self, name):
        """Start a run; answers with its id."""
        return self.run(self.engine.start("caller", name, actor=OPERATOR)).run

    def until(self, what, seconds=60):
        """Drive until something is so."""
        self.loop.drive(what, deadline=self.loop.time() + seconds)
        assert what()

    def act(self, run):
        """The open act of a run, if there is one."""
        return next((row for row in self.rows("open_act") if row["run_id"] == run), None)

    def queued(self, name):
        """Start a run whose call finds no place, and wait until it rests."""
        run = self.begin(name)
        self.until(lambda: (self.act(run) or {}).get("reason") == "place")
        return run


class Wide(Narrow):
    """A stage whose system takes any number of calls."""

    at_most: ClassVar = {}


def names():
    """Whose calls the system has taken, in their order."""
    return [name for name, _ in outside.called]


def test_a_paused_run_that_was_called_keeps_nobody_out():
    """It rests without a moment when it was called: the next comes at once, not in ten seconds."""
    outside.gates["a"] = asyncio.Event()
    stage = Narrow([caller], begins=MONDAY)
    with stage.open():
        stage.begin("a")
        stage.until(lambda: names() == ["a"])
        older = stage.queued("b")
        stage.queued("c")
        stage.run(stage.engine.pause(older, actor=OPERATOR, reason="not now"))
        stage.until(lambda: stage.loop.time() >= 5)
        free_at = stage.loop.time()
        outside.gates["a"].set()
        stage.until(lambda: "c" in names())
        assert names() == ["a", "c"]
        assert outside.called[-1][1] - free_at < 2


def test_whoever_waits_for_a_place_when_the_system_falls_ill_keeps_its_rounds():
    """Being called is no round: nobody is parked before the first hour is half over."""
    outside.is_down = True
    stage = Narrow([caller], begins=MONDAY)
    with stage.open():
        for number in range(30):
            stage.begin(f"r{number:02}")
        stage.until(lambda: bool(stage.rows("incident")), 600)
        at = stage.loop.time() + 600
        stage.until(lambda: stage.loop.time() >= at, 601)
        acts = stage.rows("open_act")
        assert {row["state"] for row in acts} <= {"retrying", "attempting"}
        assert max((row["detail"] or {}).get("failed_rounds", 0) for row in acts) <= 2


@pytest.mark.parametrize("stage_of", [Narrow, Wide])
def test_who_is_called_when_a_system_is_resumed_comes_at_once(stage_of):
    """Nobody looks in vain before their worker has learnt of it."""
    stage = stage_of([caller], begins=MONDAY)
    with stage.open():
        pause, resume = stage.engine.systems.pause, stage.engine.systems.resume
        stage.run(pause("outside", actor=OPERATOR, reason="moving house"))
        runs = [stage.queued(f"r{number}") for number in range(6)]
        at = stage.loop.time() + 5
        stage.until(lambda: stage.loop.time() >= at)
        before = {row["id"]: row["readings"] for row in stage.rows("run")}
        resumed_at = stage.loop.time()
        stage.run(resume("outside", actor=OPERATOR, reason="moved"))
        stage.until(lambda: len(outside.called) == 6)
        assert outside.called[0][1] - resumed_at < 0.2
        after = {row["id"]: row["readings"] for row in stage.rows("run")}
        assert {run: after[run] - before[run] for run in runs} == dict.fromkeys(runs, 1)
