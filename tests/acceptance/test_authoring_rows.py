"""Rows of the authoring document's table B that run time alone can show."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from newel import approval, parallel, process, section, step, team
from newel.base.errors import Refused
from newel.store import workers
from newel.testing import interleavings, running
from tests.acceptance import desks
from tests.engine.house import OPERATOR, House, opened
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]


async def _decide(house: House, run, key: str, *, approved: bool = True) -> None:
    """Let Mary decide the open task of a key."""
    task = await house.database.fetchval(
        "select id from newel.task where run_id = $1 and key = $2 and state = 'open'", run, key
    )
    mary = await house.engine.actor("mary@example.test", via="api")
    await house.engine.decide(task, approved=approved, actor=mary, comment="so")
    house.poke()


@pytest.fixture
async def house_of(database_url: str, tmp_path):
    """Give a maker of houses over given processes."""

    @contextlib.asynccontextmanager
    async def made(*processes):
        house = await opened(database_url, tmp_path / "kek", processes)
        try:
            yield house
        finally:
            await house.database.close()

    return made


async def test_b3_a_slow_call_ends_and_is_recorded_before_the_run_is_let_go(house_of):
    """B3: an approval beside a slow step: nothing is cancelled, nothing runs without an owner."""
    begun, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @step(in_doubt="repeat")
    async def slow() -> str:
        begun.set()
        await go_on.wait()
        ended.set()
        return "slow"

    @process(subject=None, owner="it")
    async def beside() -> str:
        decision, text = await parallel(approval("agree", by=team("hr")), slow())
        return f"{text} {decision.approved}"

    async with house_of(beside) as house, house.worker():
        run = await house.start("beside")
        await asyncio.wait_for(begun.wait(), PATIENCE_S)
        row = await house.row(run)
        assert row["worker_id"] is not None, "somebody owns the run while the call is in flight"
        go_on.set()
        assert await house.rested(run) == "waiting"
        assert ended.is_set()
        assert ("step.succeeded", "slow") in await house.events(run)
        await _decide(house, run, "agree")
        assert await house.ended(run) == "completed"
        assert Counter(key for _, key in await house.events(run))["slow"] == 2


async def test_b6_the_same_item_twice_parks_with_both_places(house_of):
    """B6: a fan-out over a list that holds an item twice is told at once, before anything runs."""

    @step(in_doubt="repeat")
    async def grant(name: str) -> str:
        return name

    @process(subject=None, owner="it")
    async def fan_out(names: tuple[str, ...]) -> int:
        return len(await parallel(*[grant[name](name) for name in names]))

    async with house_of(fan_out) as house, house.worker():
        wrong = await house.start("fan_out", ["api", "web", "api"])
        assert await house.rested(wrong) == "parked"
        payload = await house.database.fetchval(
            "select payload from newel.event where stream_id = $1 and type = 'run.parked'", wrong
        )
        assert b"`grant[api]`" in payload
        assert b"test_authoring_rows.py:" in payload
        right = await house.start("fan_out", ["api", "web"])
        assert await house.ended(right) == "completed"


async def test_b6_the_same_item_twice_is_told_in_every_order():
    """B6: whichever branch was first, and however far the others are; nothing runs twice."""
    done: Counter[str] = Counter()

    @step(in_doubt="repeat")
    async def share(name: str) -> str:
        done[name] += 1
        return name

    @process(subject=None, owner="it")
    async def sharing(names: tuple[str, ...]) -> int:
        await parallel(*[share[name](name) for name in names])
        return len(names)

    for order in interleavings(20):
        done.clear()
        async with running(sharing.request(("web", "api", "own", "api")), order=order) as run:
            assert (run.state, run.row["parked_reason"]) == ("parked", "bug")
            assert "`share[api]`" in run.waits_for()
        assert set(done.values()) == {1}


@step(in_doubt="repeat")
async def grant(account: str, repository: str) -> None:
    """Grant a repository."""


@process(subject=None, owner="it")
async def granting(a: str, rs: tuple[str, ...]) -> None:
    """A fan-out whose branches share a key."""
    await parallel(*[grant(a, r) for r in rs])


async def test_b5_a_fan_out_without_an_item_is_refused(house_of):
    """B5: F302 with the line, and the call as it should be; nothing is registered."""
    with pytest.raises(Refused) as refused:
        async with house_of(granting):
            pass
    (only,) = refused.value.findings
    line = inspect.getsourcelines(granting.function)[1] + 3
    assert (only.code, only.line, only.level) == ("F302", line, "error")
    assert only.fix.startswith("`grant[r](a, r)`, or ")


async def test_b7_a_loop_counts_its_passes_and_repeats_none(house_of):
    """B7: `draft`, `draft#2`, `draft#3`; a restart in the third pass repeats nothing."""
    made: list[int] = []

    @step(in_doubt="repeat")
    async def draft(number: int) -> int:
        made.append(number)
        return number

    @process(subject=None, owner="it")
    async def drafting() -> int:
        number = 0
        while True:
            number = await draft(number + 1)
            if (await approval("fine", by=team("hr"))).approved:
                return number

    async with house_of(drafting) as house:
        async with house.worker():
            run = await house.start("drafting")
            await house.rested(run)
            for key in ("fine", "fine#2"):
                await _decide(house, run, key, approved=False)
                await house.rested(run)
        async with house.worker():
            await _decide(house, run, "fine#3")
            assert await house.ended(run) == "completed"
        keys = [key for kind, key in await house.events(run) if kind == "step.succeeded"]
        assert keys == ["draft", "draft#2", "draft#3"]
        assert made == [1, 2, 3]


async def chosen() -> bool:
    """Somebody confirms what was chosen."""
    return (await approval("confirm", by=team("it"))).approved


@process(subject=None, owner="it")
async def equipped_twice() -> bool:
    """A laptop and a phone, without a section."""
    laptop = await chosen()
    phone = await chosen()
    return laptop and phone


async def test_b8_a_helper_called_twice_without_a_section_is_refused(house_of):
    """B8: F301 names both lines of the calls, and the section that is missing."""
    with pytest.raises(Refused) as refused:
        async with house_of(equipped_twice):
            pass
    (only,) = refused.value.findings
    first = inspect.getsourcelines(equipped_twice.function)[1] + 3
    assert only.code == "F301"
    assert f"`confirm` is used at line {first} and line {first + 1}:" in only.what
    assert only.fix == '`with section("…"):` around one of them.'


async def test_b8_sections_tell_two_calls_of_a_helper_apart(house_of):
    """B8 (run time): with sections the keys are `laptop/confirm` and `phone/confirm`."""

    async def ordered() -> bool:
        return (await approval("confirm", by=team("it"))).approved

    @process(subject=None, owner="it")
    async def equipping() -> bool:
        with section("laptop"):
            laptop = await ordered()
        with section("phone"):
            phone = await ordered()
        return laptop and phone

    async with house_of(equipping) as house, house.worker():
        run = await house.start("equipping")
        for key in ("laptop/confirm", "phone/confirm"):
            await house.rested(run)
            await _decide(house, run, key)
        assert await house.ended(run) == "completed"


async def test_b16_an_act_in_finally_runs_once_at_the_real_end(house_of):
    """B16: parking and waiting do not run it, whatever Python does; the real end does."""
    cleaned: list[str] = []
    broken = [True]

    @step(in_doubt="repeat")
    async def shaky() -> str:
        if broken:
            raise KeyError("typo")
        return "fine"

    @step(in_doubt="repeat")
    async def clean() -> None:
        cleaned.append("x")

    @process(subject=None, owner="it")
    async def tidy() -> str:
        try:
            return await shaky()
        finally:
            await clean()

    async with house_of(tidy) as house:
        async with house.worker():
            run = await house.start("tidy")
            assert await house.rested(run) == "parked"
            assert cleaned == []
        broken.clear()
        async with house.worker():
            mary = await house.engine.actor("mary@example.test", via="api")
            await house.engine.retry(run, "shaky", actor=mary)
            house.poke()
            assert await house.ended(run) == "completed"
            assert cleaned == ["x"]
            keys = [key for kind, key in await house.events(run) if kind == "step.succeeded"]
            assert keys == ["shaky", "clean"]


@pytest.mark.parametrize("when", ["code", "before", "in", "after"])
async def test_b17_rows_and_outcome_come_together_whenever_the_worker_dies(
    house_of, database, database_url, tmp_path, when
):
    """B17: killed -9 in the step's SQL, before, in and after its commit: both there, or neither."""
    await database.execute(desks.TABLES)
    async with house_of(desks.seating) as house:
        run = (await house.engine.start("seating", "jane", actor=OPERATOR)).run
        mortal = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.acceptance.desks", database_url, str(tmp_path / "kek"), when),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
        )
        assert await asyncio.wait_for(mortal.wait(), 60) == -9
        rows = await database.fetchval("select count(*) from company.desk where holder = 'jane'")
        outcomes = ("step.succeeded", "reserve") in await house.events(run)
        assert (rows, outcomes) == ((1, True) if when == "after" else (0, False))
        await house.database.execute(
            "update newel.worker set lease_until = clock_timestamp() - interval '1 second'"
        )
        async with house.database.transaction() as connection:
            await workers.take_over(connection)
        async with house.worker():
            assert await house.ended(run) == "completed"
        rows = await database.fetch("select number from company.desk where holder = 'jane'")
        assert [row["number"] for row in rows] == [1]
        succeeded = [event for event in await house.events(run) if event[0] == "step.succeeded"]
        assert succeeded == [("step.succeeded", "reserve")]


async def test_b25_what_cannot_be_kept_is_refused_where_it_is_written(house_of):
    """B25: a set at decoration (F702); a naive moment at the first outcome, never at a replay."""
    with pytest.raises(Refused, match=r"test_authoring_rows:\d+:\d+ F702 error: `set\[str\]`"):

        @step
        async def wrong() -> set[str]:
            return set()

    @step(in_doubt="repeat")
    async def naive() -> datetime:
        return datetime(2026, 1, 5)  # noqa: DTZ001 - the mistake under test

    @process(subject=None, owner="it")
    async def asking() -> str:
        return str(await naive())

    async with house_of(asking) as house, house.worker():
        run = await house.start("asking")
        assert await house.rested(run) == "parked"
        act = (await house.acts(run))["naive"]
        assert act["reason"] == "bug"
        assert "without a time zone" in act["detail"]["message"]
        assert ("step.succeeded", "naive") not in await house.events(run)
