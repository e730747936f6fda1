"""Attempts: whatever a step's code does, it ends as an outcome, a next attempt or a question."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from newel.base.errors import AlreadyDone, Cancelled, OutcomeUnknown, Suspended, Transient
from newel.domain.people import Person
from newel.domain.values import Absent, Found, Unclear
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.step import Step, step
from newel.flow.waits import approval, timer
from tests.engine.house import OPERATOR, House
from tests.patience import PATIENCE_S


async def kinds_of(house: House, run) -> Counter[str]:
    """How often each type of event stands in a run's journal."""
    return Counter(kind for kind, _ in await house.events(run))


class TestUnclear:
    """`verify` could not tell whether the lost call had its effect."""

    async def test_it_looks_again_three_times_and_then_asks(self, build):
        """After 5, 20 and 60 seconds a person decides; no effect is doubled meanwhile."""
        calls: list[str] = []

        async def look() -> Found[str] | Absent | Unclear:
            calls.append("look")
            return Unclear("the search lags behind")

        @step(verify=look)
        async def make() -> str:
            calls.append("make")
            raise OutcomeUnknown("the answer was lost")

        @process(subject=None, owner="it")
        async def once() -> str:
            return await make()

        async with build([once]) as house, house.worker():
            run = await house.start("once")
            pauses = []
            while await house.rested(run) == "waiting":
                row = await house.row(run)
                pauses.append(round((row["wake_at"] - row["as_of"]).total_seconds()))
                await house.move_to_next(run)
            assert calls == ["make", "look", "look", "look", "look"]
            assert pauses[1:] == [5, 20, 60]
            act = (await house.acts(run))["make"]
            assert (act["state"], act["reason"]) == ("parked", "unknown")
            await house.engine.complete_by_hand(
                run, "make", "made", evidence="seen", actor=OPERATOR, reason="it is there"
            )
            house.poke()
            assert await house.ended(run) == "completed"

    async def test_what_may_be_repeated_is_repeated_in_the_end(self, build):
        """`in_doubt="repeat"`: after the last look the step is simply made again."""
        calls: list[str] = []

        async def look() -> Found[str] | Absent | Unclear:
            return Unclear()

        @step(verify=look, in_doubt="repeat")
        async def make() -> str:
            calls.append("make")
            if len(calls) == 1:
                raise OutcomeUnknown("the answer was lost")
            return "made"

        @process(subject=None, owner="it")
        async def twice() -> str:
            return await make()

        async with build([twice]) as house, house.worker():
            run = await house.start("twice")
            while await house.rested(run) == "waiting":
                await house.move_to_next(run)
            assert await house.ended(run) == "completed"
            assert calls == ["make", "make"]


@pytest.mark.parametrize(
    "message", ["nul \0 byte", "half a pair \ud800", "x" * 100_000, "line\nbreak \x7f"]
)
async def test_whatever_a_system_says_can_be_written(build, message):
    """What JSON or PostgreSQL cannot hold is replaced; the step goes on as its class says."""
    answers = [Transient(message, code=message), None]

    @step(in_doubt="repeat")
    async def told() -> str:
        error = answers.pop(0)
        if error is not None:
            raise error
        return "done"

    @process(subject=None, owner="it")
    async def telling() -> str:
        return await told()

    async with build([telling]) as house, house.worker():
        run = await house.start("telling")
        assert await house.rested(run) == "waiting"
        await house.move_to_next(run)
        assert await house.ended(run) == "completed"


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), SystemExit(3), Suspended(), Cancelled()], ids=repr
)
async def test_what_a_steps_code_may_not_raise_is_a_bug_of_the_step(build, error):
    """It parks the step; neither the run nor the worker ends with it."""

    @step(in_doubt="repeat")
    async def wild() -> None:
        raise error

    @step(in_doubt="repeat")
    async def tame() -> None:
        """Run beside it."""

    @process(subject=None, owner="it")
    async def both() -> None:
        await parallel(wild(), tame())

    async with build([both]) as house, house.worker():
        run = await house.start("both")
        assert await house.rested(run) == "parked"
        acts = await house.acts(run)
        assert [(key, act["reason"]) for key, act in acts.items()] == [("wild", "bug")]


async def test_a_plain_function_runs_in_a_thread(build):
    """The worker's loop goes on meanwhile."""
    threads: list[str] = []

    @step(in_doubt="repeat")
    def count(name: str) -> int:
        threads.append(threading.current_thread().name)
        return len(name)

    @process(subject=None, owner="it")
    async def counting() -> int:
        return await count("four")

    async with build([counting]) as house, house.worker():
        assert await house.ended(await house.start("counting")) == "completed"
        assert threads != [threading.current_thread().name]


async def test_an_attempt_that_takes_too_long_is_an_unknown_outcome(build):
    """Its own time-out ends the call; what may have happened is asked about."""

    @step(timeout=timedelta(milliseconds=50))
    async def slow() -> None:
        await asyncio.Event().wait()

    @process(subject=None, owner="it")
    async def waiting() -> None:
        await slow()

    async with build([waiting]) as house, house.worker():
        run = await house.start("waiting")
        assert await house.rested(run) == "parked"
        assert (await house.acts(run))["slow"]["reason"] == "unknown"
        assert (await kinds_of(house, run))["step.in_doubt"] == 1


async def test_what_is_done_already_is_a_success(build):
    """`AlreadyDone` carries the value."""

    @step
    async def join() -> str:
        raise AlreadyDone("member")

    @process(subject=None, owner="it")
    async def joining() -> str:
        return await join()

    async with build([joining]) as house, house.worker():
        run = await house.start("joining")
        assert await house.ended(run) == "completed"
        assert (await kinds_of(house, run))["step.succeeded"] == 1


async def test_a_result_that_cannot_be_kept_is_a_bug_of_the_step(build):
    """What was annotated and what was returned differ: it shows on day one."""

    @step(in_doubt="repeat")
    async def wrong() -> int:
        return "text"  # type: ignore[return-value]  # the mistake under test

    @process(subject=None, owner="it")
    async def using() -> int:
        return await wrong()

    async with build([using]) as house, house.worker():
        run = await house.start("using")
        assert await house.rested(run) == "parked"
        assert (await house.acts(run))["wrong"]["reason"] == "bug"


class TestMistakesOfTheBody:
    """A call that cannot be opened is told to the body; it parks the run, and no worker."""

    async def test_an_argument_that_cannot_be_written(self, build):
        """The sibling goes on to its end first."""

        @step(in_doubt="repeat")
        async def take(number: int) -> int:
            return number

        @process(subject=None, owner="it")
        async def mistaken() -> None:
            await parallel(take["a"]("text"), take["b"](2))  # type: ignore[arg-type]  # the mistake

        async with build([mistaken]) as house, house.worker():
            run = await house.start("mistaken")
            assert await house.rested(run) == "parked"
            assert (await house.row(run))["parked_reason"] == "bug"
            assert ("step.succeeded", "take[b]") in await house.events(run)

    async def test_an_approval_by_somebody_who_was_never_registered(self, build):
        """A person made up in the body has no reference."""

        @process(subject=None, owner="it")
        async def mistaken() -> bool:
            nobody = Person(name="N", email="n@example.com")
            return (await approval("yes", by=nobody)).approved

        async with build([mistaken]) as house, house.worker():
            run = await house.start("mistaken")
            assert await house.rested(run) == "parked"
            assert (await house.row(run))["parked_reason"] == "bug"
            assert await house.database.fetchval("select count(*) from newel.task") == 0

    async def test_a_fault_that_is_mended_lets_the_run_go_on(self, build):
        """After the fix an operator replays it; what was done stays done."""
        is_broken, calls = True, []

        @step(in_doubt="repeat")
        async def work() -> str:
            calls.append("work")
            return "done"

        @process(subject=None, owner="it")
        async def mended() -> str:
            value = await work()
            if is_broken:
                raise KeyError("typo")
            await timer("pause", after=timedelta(days=1))
            return value

        async with build([mended]) as house, house.worker():
            run = await house.start("mended")
            assert await house.rested(run) == "parked"
            await house.engine.retry(run, actor=OPERATOR)
            house.poke()
            assert await house.rested(run) == "parked"
            is_broken = False
            await house.engine.retry(run, actor=OPERATOR)
            house.poke()

            async def waits() -> bool:
                return str((await house.row(run))["state"]) == "waiting"

            await house.until(waits)
            assert await house.rested(run) == "waiting"
            await house.move_to_next(run)
            assert await house.ended(run) == "completed"
            assert calls == ["work"]


class World:
    """Things that exist once each, by name; made by a call that takes a while."""

    def __init__(self) -> None:
        self.things: set[str] = set()
        self.made: list[str] = []
        self.making = asyncio.Event()
        self.go_on = asyncio.Event()

    def step(self) -> Step[[str, str], str]:
        """Look, and create what is not there: two of them beside each other would both create."""

        @step(in_doubt="repeat")
        async def create(name: str, caller: str) -> str:
            if name in self.things:
                return "found"
            self.making.set()
            await self.go_on.wait()
            self.made.append(caller)
            self.things.add(name)
            return "made"

        options = replace(create.options, natural_key="{name}")
        return Step(create.function, "create", options)


async def test_two_branches_that_make_the_same_thing_go_one_after_another(build):
    """The second waits for the first, and then finds what was made."""
    world = World()
    create = world.step()

    @process(subject=None, owner="it")
    async def both() -> tuple[str, str]:
        return await parallel(create["a"]("x", "a"), create["b"]("x", "b"))

    async with build([both]) as house, house.worker():
        run = await house.start("both")
        await asyncio.wait_for(world.making.wait(), PATIENCE_S)
        world.go_on.set()
        assert await house.rested(run) == "waiting"
        await house.move_to_next(run)
        assert await house.ended(run) == "completed"
        assert len(world.made) == 1


async def test_two_runs_that_make_the_same_thing_go_one_after_another(build):
    """At most one unresolved intent for one effect: the second run's call comes later."""
    world = World()
    create = world.step()

    @process(subject=None, owner="it")
    async def making(caller: str) -> str:
        return await create("x", caller)

    async with build([making]) as house, house.worker():
        first = await house.start("making", "first")
        await asyncio.wait_for(world.making.wait(), PATIENCE_S)
        world.making.clear()
        second = await house.start("making", "second")
        third = await house.start("making", "third")
        world.go_on.set()
        for run in (first, second, third):
            assert await house.ended(run) == "completed"
        assert world.made == ["first"]
        assert not world.making.is_set()
