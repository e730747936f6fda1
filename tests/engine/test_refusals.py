"""What cannot work is refused: when it is registered, or at the first try, and parks the run."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from newel import Person, Retry, process, section, step
from newel.base.errors import DefinitionError, Refused
from newel.engine.runner import Limits
from newel.engine.worker import WorkerSettings
from tests.engine.house import House


@step(in_doubt="repeat")
async def grant(what: str) -> str:
    """Grant something."""
    return what


async def _why(house: House, run: Any) -> str:
    """What the parked run says of itself."""
    assert await house.rested(run) == "parked"
    assert (await house.row(run))["parked_reason"] == "bug"
    payload = await house.database.fetchval(
        "select payload from newel.event where stream_id = $1 and type = 'run.parked'", run
    )
    return str(payload.decode(errors="replace"))


async def _said(house: House, run: Any, key: str) -> str:
    """What the parked step says of itself."""
    assert await house.rested(run) == "parked"
    act = (await house.acts(run))[key]
    assert act["reason"] == "bug"
    return str(act["detail"]["message"])


class TestBodies:
    """Bodies that await what cannot rest, or share a key."""

    async def test_gather_parks_the_run_and_hurts_nobody_else(self, build):
        """The worker goes on with other runs; the message names place and replacement."""

        @process(subject=None, owner="it")
        async def gathering() -> None:
            await asyncio.gather(grant["a"]("a"), grant["b"]("b"))

        @process(subject=None, owner="it")
        async def grouping() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(asyncio.sleep(1))

        @process(subject=None, owner="it")
        async def fine() -> str:
            return await grant("x")

        async with build([gathering, grouping, fine], reads=False) as house, house.worker():
            wrong = await house.start("gathering")
            other = await house.start("grouping")
            why = await _why(house, wrong)
            assert "F105" in why
            assert "test_refusals:" in why
            assert "await parallel(" in why
            assert "asyncio.TaskGroup" in await _why(house, other)
            assert await house.ended(await house.start("fine")) == "completed"
            assert [kind for kind, _ in await house.events(wrong)] == ["run.started", "run.parked"]

    async def test_a_refusal_that_the_body_swallows_parks_it_all_the_same(self, build):
        """Nothing that comes after it is begun."""

        @process(subject=None, owner="it")
        async def swallowing() -> str:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(grant("a"), 1)
            return await grant["b"]("b")

        async with build([swallowing], reads=False) as house, house.worker():
            run = await house.start("swallowing")
            assert "asyncio.wait_for" in await _why(house, run)
            assert [kind for kind, _ in await house.events(run)] == ["run.started", "run.parked"]

    async def test_a_value_that_does_not_survive_is_a_bug_at_the_first_outcome(self, build):
        """A naive moment names no time anywhere else."""

        @step(in_doubt="repeat")
        async def naive() -> datetime:
            return datetime(2026, 1, 5)  # noqa: DTZ001 - the mistake under test

        @process(subject=None, owner="it")
        async def asking() -> str:
            return str(await naive())

        async with build([asking]) as house, house.worker():
            run = await house.start("asking")
            assert "without a time zone" in await _said(house, run, "naive")

    async def test_a_step_inside_a_step_names_both_and_the_way_out(self, build):
        """Its message is the step's failure."""

        @step(in_doubt="repeat")
        async def outer() -> str:
            return await grant("x")

        @process(subject=None, owner="it")
        async def nesting() -> str:
            return await outer()

        async with build([nesting]) as house, house.worker():
            run = await house.start("nesting")
            said = await _said(house, run, "outer")
            assert "`grant` was awaited inside the step `outer`" in said
            assert "`grant.plain(…)`" in said

    async def test_an_act_that_is_awaited_twice_parks_the_run(self, build):
        """One call is one act."""

        @process(subject=None, owner="it")
        async def reusing() -> str:
            act = grant("x")
            return await act + await act

        async with build([reusing], reads=False) as house, house.worker():
            run = await house.start("reusing")
            assert "awaited twice" in await _why(house, run)


class TestLimits:
    """How much one run may keep."""

    async def test_a_result_that_is_too_large_parks_its_step(self, build):
        """With its size, the limit and what to do instead."""

        @step(in_doubt="repeat")
        async def write() -> str:
            return "x" * 3_000

        @process(subject=None, owner="it")
        async def writing() -> str:
            return await write()

        settings = WorkerSettings(limits=Limits(outcome_bytes=2_000))
        async with build([writing], settings=settings) as house, house.worker():
            run = await house.start("writing")
            said = await _said(house, run, "write")
            assert "3002 bytes" in said
            assert "at most 2000" in said

    async def test_a_run_with_too_many_outcomes_parks(self, build):
        """It says so and proposes a child for each pass; what it has done stays."""

        @process(subject=None, owner="it")
        async def counting() -> None:
            for number in range(10):
                await grant[number]("x")

        settings = WorkerSettings(limits=Limits(outcomes=3))
        async with build([counting], settings=settings) as house, house.worker():
            run = await house.start("counting")
            why = await _why(house, run)
            assert "3 outcomes" in why
            assert "child process" in why
            kinds = [kind for kind, _ in await house.events(run)]
            assert kinds.count("step.succeeded") == 3

    async def test_a_step_that_says_nothing_of_its_time_has_the_engines(self, build):
        """After it the outcome is unknown, and a person is asked."""

        @step
        async def endless() -> None:
            await asyncio.Event().wait()

        @process(subject=None, owner="it")
        async def waiting() -> None:
            await endless()

        limits = Limits(attempt_timeout=timedelta(milliseconds=50))
        async with (
            build([waiting], settings=WorkerSettings(limits=limits)) as house,
            house.worker(),
        ):
            run = await house.start("waiting")
            assert await house.rested(run) == "parked"
            assert (await house.acts(run))["endless"]["reason"] == "unknown"


class TestRegistration:
    """F701 to F708, each with a twin that is accepted."""

    async def test_two_steps_of_one_name_are_refused_with_both_places(self, build):
        """F707; the same step at two places is one step."""

        def made(answer: str) -> Any:
            @step(name="pay")
            async def pay() -> str:
                return answer

            @step(name="pay")
            async def other() -> str:
                return answer

            return pay, other

        one, other = made("x")

        @process(subject=None, owner="it")
        async def twice() -> str:
            return str(await one() + await other())

        @process(subject=None, owner="it")
        async def once() -> str:
            with section("a"):
                first = await one()
            with section("b"):
                return str(first + await one())

        with pytest.raises(Refused, match="F707 error: Two steps are named `pay`") as refused:
            async with build([twice], reads=False):
                pass
        assert str(refused.value).count("test_refusals:") == 3
        async with build([once]):
            pass

    async def test_a_process_about_nobody_in_particular_is_refused(self, build):
        """F705: no person in the input, or two; one, or saying so, is enough."""

        @dataclass(frozen=True)
        class Claim:
            employee: Person
            amount: int

        @dataclass(frozen=True)
        class Swap:
            one: Person
            other: Person

        @process(owner="it")
        async def claiming(claim: Claim) -> None:
            del claim

        @process(owner="it")
        async def swapping(swap: Swap) -> None:
            del swap

        @process(owner="it", subject=lambda swap: swap.one)
        async def told(swap: Swap) -> None:
            del swap

        globals().update(Claim=Claim, Swap=Swap)  # where annotations are looked up
        with pytest.raises(Refused, match="F705 error: Cannot tell whom `swapping`"):
            async with build([swapping]):
                pass
        async with build([claiming, told]):
            pass

    async def test_all_findings_come_at_once_and_in_order(self, build):
        """One look shows everything that is to be mended."""

        @process(owner="it")
        async def first(when: Any) -> set[str]:
            return {str(when)}

        @process(owner="it")
        async def second() -> None:
            """Be about nobody."""

        with pytest.raises(Refused) as refused:
            async with build([second, first]):
                pass
        found = refused.value.findings
        assert [each.code for each in found] == ["F702", "F702", "F705", "F705"]
        assert [str(each) for each in found] == str(refused.value).splitlines()
        assert [each.line for each in found] == sorted(each.line for each in found)


def test_a_retry_that_does_not_fit_is_refused_where_it_is_written():
    """F706; the profile that fits is accepted."""
    with pytest.raises(DefinitionError, match="F706"):
        Retry(rounds=9, within=timedelta(minutes=10))
    assert Retry(rounds=3, within=timedelta(minutes=10)).rounds == 3
