"""A worker may die anywhere: before or after any commit, or in the middle of any call."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from newel.audit.leaf import leaf_hash
from newel.domain.values import Absent, Found
from newel.engine.worker import WorkerSettings
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.regions import section
from newel.flow.step import step
from newel.flow.waits import timer
from tests.engine.house import House
from tests.patience import PATIENCE_S

QUICK = WorkerSettings(look=timedelta(milliseconds=20))
FROZEN = WorkerSettings(
    look=timedelta(milliseconds=20), lease=timedelta(hours=2), heartbeat=timedelta(hours=1)
)
"""A worker whose heart does not beat within the test: what a stopped process looks like."""


class World:
    """What lies outside: effects by name, each made by a call that may die before its answer."""

    def __init__(self) -> None:
        self.effects: Counter[str] = Counter()
        self.lose_after: str | None = None
        self.lost = asyncio.Event()

    async def make(self, name: str) -> str:
        """Have an effect; the caller may never hear of it."""
        self.effects[name] += 1
        if self.lose_after == name:
            self.lost.set()
            await asyncio.Event().wait()
        return name


world = World()


async def _look(name: str) -> Found[str] | Absent:
    return Found(name) if world.effects[name] else Absent()


@step(verify=_look, timeout=timedelta(seconds=60))
async def make(name: str) -> str:
    """Make something exactly once."""
    return await world.make(name)


@process(subject=None, owner="it")
async def journey() -> tuple[str, ...]:
    """Sequence, fan-out, sections, a wait and a loop."""
    first = await make["first"]("first")
    found = await parallel(in_section(), make["b"]("b"), after(first))
    await timer("pause", after=timedelta(days=2))
    for number in range(2):
        with section("last"):
            await make[number](f"last{number}")
    return tuple(found)


async def in_section() -> str:
    """Make one thing in a section."""
    with section("left"):
        return await make("left/a")


async def after(first: str) -> str:
    """Two acts in one branch."""
    await make["c"](f"{first}/c")
    return await make["d"](f"{first}/d")


ALL = {"first", "left/a", "b", "first/c", "first/d", "last0", "last1"}


async def _finish(house: House, run: UUID) -> str:
    if await house.rested(run) == "waiting":
        await house.move_to_next(run)
    return await house.ended(run)


@pytest.fixture(autouse=True)
def _fresh_world() -> None:
    world.__init__()  # type: ignore[misc]  # every test has a world of its own


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("boundary", range(1, 9))
async def test_a_death_at_any_commit_changes_nothing(build, when, boundary):
    """Killed before or after the n-th commit: same end, each effect once, one unbroken stream."""
    async with build([journey], settings=QUICK) as house:
        async with house.doomed() as worker:
            died = asyncio.Event()
            real, count = worker.committer._commit, 0

            async def dying(batch):
                nonlocal count
                count += 1
                if count == boundary and when == "before":
                    died.set()
                    await asyncio.Event().wait()
                answer = await real(batch)
                if count == boundary:
                    died.set()
                    await asyncio.Event().wait()
                return answer

            worker.committer._commit = dying
            run = await house.start("journey")
            rest = asyncio.create_task(_finish(house, run))
            death = asyncio.create_task(died.wait())
            await asyncio.wait([rest, death], return_when=asyncio.FIRST_COMPLETED)
            rest.cancel()
            death.cancel()
            await asyncio.gather(rest, death, return_exceptions=True)
        async with house.worker():
            assert await _finish(house, run) == "completed"
        assert world.effects == Counter(ALL)
        await assert_unbroken(house, run)


@pytest.mark.parametrize("name", sorted(ALL))
async def test_a_death_between_effect_and_answer_is_resolved_by_looking(build, name):
    """Killed after the effect of any call, before its answer: verify adopts it, nothing doubles."""
    async with build([journey], settings=QUICK) as house:
        world.lose_after = name
        async with house.doomed():
            run = await house.start("journey")
            if name.startswith("last"):
                assert await house.rested(run) == "waiting"
                await house.move_to_next(run)
            await asyncio.wait_for(world.lost.wait(), PATIENCE_S)
        world.lose_after = None
        async with house.worker():
            assert await _finish(house, run) == "completed"
        assert world.effects == Counter(ALL)
        kinds = [kind for kind, _ in await house.events(run)]
        assert kinds.count("step.in_doubt") >= 1
        await assert_unbroken(house, run)


async def test_a_worker_that_wakes_after_its_lease_writes_nothing(build):
    """Another has taken over: the sleeper's batch is fenced and its runs are dropped silently."""
    async with build([journey], settings=FROZEN) as house:
        async with house.doomed() as sleeper:
            frozen, go_on = asyncio.Event(), asyncio.Event()
            real = sleeper.committer._commit

            async def freezing(batch):
                frozen.set()
                await go_on.wait()
                return await real(batch)

            sleeper.committer._commit = freezing
            run = await house.start("journey")
            await asyncio.wait_for(frozen.wait(), PATIENCE_S)
            await house.expire(sleeper)
            async with house.worker():
                assert await _finish(house, run) == "completed"
                before = await house.events(run)
                go_on.set()
                await asyncio.wait_for(sleeper.committer.drained(), PATIENCE_S)
            assert await house.events(run) == before
            assert sleeper._runs == {}
        assert world.effects == Counter(ALL)


async def test_two_workers_share_many_runs_and_nothing_is_done_twice(build):
    """Twenty runs, two workers: each run ends once, every stream is unbroken."""

    @step(in_doubt="repeat")
    async def count(name: str) -> None:
        world.effects[name] += 1

    @process(subject=None, owner="it")
    async def many(name: str) -> None:
        await count["one"](f"{name}/1")
        await parallel(count["two"](f"{name}/2"), count["three"](f"{name}/3"))

    async with build([many], settings=QUICK) as house, house.worker(), house.worker():
        runs = [await house.start("many", f"r{number}") for number in range(20)]
        for run in runs:
            assert await house.ended(run) == "completed"
            await assert_unbroken(house, run)
        expected = {f"r{number}/{part}" for number in range(20) for part in (1, 2, 3)}
        assert world.effects == Counter(expected)


async def test_a_thousand_waiting_runs_survive_a_restart(build):
    """Runs that wait hold nothing in a worker: after a restart none is lost."""

    @process(subject=None, owner="it")
    async def sleeper() -> None:
        await timer("morning", after=timedelta(days=1))

    async with build([sleeper], settings=QUICK) as house:
        async with house.worker() as worker:
            runs = [await house.start("sleeper") for _ in range(1000)]

            async def all_wait() -> bool:
                how_many: int = await house.database.fetchval(
                    "select count(*) from newel.run where state = 'waiting' and worker_id is null"
                )
                return how_many == 1000

            await house.until(all_wait)
            assert worker._runs == {}
            assert worker._attempts == {}
        await house.move(timedelta(days=1, minutes=1))
        async with house.worker():

            async def all_done() -> bool:
                how_many: int = await house.database.fetchval(
                    "select count(*) from newel.run where state = 'completed'"
                )
                return how_many == 1000

            await house.until(all_done)
        assert len(runs) == 1000


async def assert_unbroken(house: House, run: UUID) -> None:
    """The run's stream has no gap, each leaf names the one before, and the row is its head."""
    rows = await house.database.fetch(
        "select seq, entry from newel.event where stream_id = $1 order by seq", run
    )
    leaves = await house.leaves(run)
    previous = b""
    for number, (row, leaf) in enumerate(zip(rows, leaves, strict=True), start=1):
        assert (row["seq"], leaf["seq"], leaf["prev"]) == (number, number, previous.hex())
        previous = leaf_hash(row["entry"])
    head = await house.row(run)
    assert (head["seq"], head["head"]) == (len(rows), previous)
    states = [leaf["run_state"] for leaf in leaves if "run_state" in leaf]
    assert states[-1] == head["state"]
    open_acts = await house.acts(run)
    assert head["finished_at"] is None or open_acts == {}
