"""Plain functions: in threads that cannot be cut off, and in processes that can."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from newel import parallel, process, step, this_attempt
from newel.engine.calls import CallSettings
from newel.engine.worker import WorkerSettings
from tests.engine import heavy
from tests.patience import PATIENCE_S

SHORT = timedelta(milliseconds=80)


def _quick(unit):
    """The same step with hardly any time."""
    unit.options = replace(unit.options, timeout=SHORT)
    return unit


async def test_a_plain_function_runs_in_a_thread_and_knows_its_attempt(build):
    """It is awaited and typed like any other; the loop is not held up by it."""
    seen: list[str] = []

    @step(in_doubt="repeat")
    def load(name: str) -> str:
        seen.append(threading.current_thread().name)
        return f"{name} {this_attempt().key}"

    @process(subject=None, owner="it")
    async def loading() -> str:
        one, two = await parallel(load["a"]("x"), load["b"]("y"))
        return one + two

    async with build([loading]) as house, house.worker():
        run = await house.start("loading")
        assert await house.ended(run) == "completed"
        assert all(name.startswith("newel-step-") for name in seen)


async def test_a_thread_that_is_late_leaves_its_outcome_unknown(build):
    """It cannot be cut off: a person is asked, and what it gives later is not taken."""
    let_go = threading.Event()

    @step
    def hang() -> str:
        let_go.wait(30)
        return "late"

    @process(subject=None, owner="it")
    async def hanging() -> str:
        return str(await _quick(hang)())

    async with build([hanging], reads=False) as house, house.worker():
        run = await house.start("hanging")
        assert await house.rested(run) == "parked"
        assert (await house.acts(run))["hang"]["reason"] == "unknown"
        let_go.set()


async def test_what_found_no_free_thread_was_not_begun(build):
    """With the pool full a step is tried again like any that could not be reached."""
    let_go = threading.Event()
    begun: list[str] = []

    @step
    def hang(name: str) -> None:
        begun.append(name)
        let_go.wait(30)

    @process(subject=None, owner="it")
    async def crowd() -> None:
        await parallel(_quick(hang["a"])("a"), _quick(hang["b"])("b"))

    settings = WorkerSettings(calls=CallSettings(threads=1))
    async with build([crowd], settings=settings, reads=False) as house, house.worker():
        run = await house.start("crowd")
        await house.rested(run)
        acts = await house.acts(run)
        assert begun == ["a"]
        assert acts["hang[a]"]["reason"] == "unknown"
        assert acts["hang[b]"]["state"] == "retrying"
        let_go.set()


async def test_heavy_work_gets_a_process_of_its_own(build):
    """Arguments and result cross over; the attempt is known there; the process is used again."""

    @process(subject=None, owner="it")
    async def counting() -> str:
        first = await heavy.count["one"]((1, 2))
        second = await heavy.count["two"]((3,))
        assert first.total == 3
        return "same" if first.process == second.process != os.getpid() else "other"

    async with build([counting]) as house, house.worker():
        run = await house.start("counting")
        assert await house.ended(run) == "completed"
        journal = await house.database.fetch(
            "select payload from newel.event where stream_id = $1 and type = 'run.completed'", run
        )
        assert b'"same"' in journal[0]["payload"]


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        (heavy.die, "unknown"),
        (heavy.lose, "unknown"),
        (_quick(heavy.sleep_for_long), "unknown"),
        (heavy.blunder, "bug"),
    ],
    ids=["dies", "loses", "hangs", "blunders"],
)
async def test_how_another_process_ends_is_how_the_step_ends(build, unit, reason):
    """Its death and its time-out leave a doubt; its faults are judged like any step's."""

    @process(subject=None, owner="it")
    async def heavy_work() -> None:
        await unit()

    async with build([heavy_work]) as house, house.worker():
        run = await house.start("heavy_work")
        assert await house.rested(run) == "parked"
        assert [act["reason"] for act in (await house.acts(run)).values()] == [reason]


async def test_an_answer_crosses_over(build):
    """A declared exception is raised in the process, not judged as a fault."""

    @process(subject=None, owner="it", raises=heavy.TooMany)
    async def too_many() -> None:
        await heavy.count((1, 2, 3, 4))

    async with build([too_many]) as house, house.worker():
        run = await house.start("too_many")
        assert await house.ended(run) == "failed"


async def test_no_process_outlives_its_worker(build):
    """When the worker leaves, the processes of its steps are gone."""

    @process(subject=None, owner="it")
    async def counting() -> int:
        return (await heavy.count((1, 2))).total

    async with build([counting]) as house:
        async with house.worker() as worker:
            run = await house.start("counting")
            assert await house.ended(run) == "completed"
            (child,) = worker._caller._processes._idle
        assert await asyncio.wait_for(child.wait(), PATIENCE_S) != 0
