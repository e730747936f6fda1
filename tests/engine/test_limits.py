"""Priorities, places and limits of time: kept over all workers, and given back by the dead."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from newel import approval, days, process, step, team, timer
from newel.base.errors import InvalidInput
from newel.domain.limits import OnOverdue
from tests.engine.house import OPERATOR

gates: dict[str, asyncio.Event] = {}
order: list[str] = []
active: set[str] = set()
most: list[int] = []


@pytest.fixture(autouse=True)
def _fresh():
    for each in (gates, order, active, most):
        each.clear()


async def _pass(name: str) -> None:
    order.append(name)
    active.add(name)
    most.append(len(active))
    try:
        if name in gates:
            await gates[name].wait()
    finally:
        active.discard(name)


@step(in_doubt="repeat", timeout=timedelta(seconds=600))
async def work(name: str) -> None:
    """Work until the gate opens, if there is one."""
    await _pass(name)


@step(system="github", in_doubt="repeat", timeout=timedelta(seconds=600))
async def call(name: str) -> None:
    """Call a system that takes few at once."""
    await _pass(name)


@process(subject=None)
async def free(name: str) -> None:
    """Run without limits."""
    await work(name)


@process(subject=None, at_most=2)
async def narrow(name: str) -> None:
    """Run two at a time."""
    await work(name)


@process(subject=None, at_most=1)
async def patient(name: str) -> None:
    """Wait for a day, and hold no place meanwhile."""
    await timer("a-day", after=days(1))
    await work(name)


@process(subject=None)
async def caller(name: str) -> None:
    """Call the system."""
    await call(name)


async def count(house, statement: str, *values: object) -> int:
    """A number that the database tells."""
    found: int = await house.database.fetchval(statement, *values)
    return found


# --- priorities -----------------------------------------------------------------------------


@process(subject=None, priority="low", at_most=1)
async def background(name: str) -> None:
    """Work when nothing else is to be done."""
    await work(name)


async def test_the_most_urgent_goes_first_and_then_the_oldest(build):
    """A start may be more urgent than its process says."""
    async with build([background]) as house:
        runs = [
            await house.start("background", name, priority=priority)
            for name, priority in [
                ("low-1", None), ("low-2", None), ("normal", "normal"), ("high", "high"),
            ]
        ]  # fmt: skip
        async with house.worker():
            for run in runs:
                await house.ended(run)
    assert order == ["high", "normal", "low-1", "low-2"]


async def test_a_priority_that_is_none_is_refused(build):
    """The caller is told which there are."""
    async with build([free]) as house:
        with pytest.raises(InvalidInput, match="is none of high, normal, low"):
            await house.start("free", "x", priority="now")


# --- places of a process --------------------------------------------------------------------


async def test_a_process_has_its_places_over_all_workers(build):
    """Two of twelve runs are active at any time on three workers, in the order of their start."""
    names = [f"run-{n:02}" for n in range(12)]
    gates.update({name: asyncio.Event() for name in names})
    async with build([narrow]) as house:
        runs = [await house.start("narrow", name) for name in names]
        async with house.worker(), house.worker(), house.worker():
            for n, name in enumerate(names):

                async def begun(so_many: int = min(n + 2, 12)) -> bool:
                    return len(order) == so_many

                await house.until(begun)
                gates[name].set()
            for run in runs:
                await house.ended(run)
    assert max(most) == 2
    assert (set(order[:2]), order[2:]) == (set(names[:2]), names[2:])


async def test_a_run_that_rests_holds_no_place(build):
    """Five runs of a process with one place all wait for their timers at once."""
    async with build([patient]) as house:
        runs = [await house.start("patient", str(n)) for n in range(5)]
        async with house.worker():
            for run in runs:
                assert await house.rested(run) == "waiting"
            await house.move(timedelta(days=1))
            for run in runs:
                assert await house.ended(run) == "completed"
    assert max(most) == 1


async def test_the_places_of_the_dead_come_back_with_their_lease(build):
    """A worker that died in a run held its place as long as its lease, and no longer."""
    gates["first"] = asyncio.Event()
    async with build([patient, narrow]) as house:
        first = await house.start("narrow", "first")
        second = await house.start("narrow", "first")
        async with house.doomed():

            async def both() -> bool:
                return len(order) == 2

            await house.until(both)
        gates["first"].set()
        async with house.worker():
            assert await house.ended(first) == await house.ended(second) == "completed"


async def test_those_without_a_limit_pass_those_that_wait(build):
    """A full process holds up no other, however much of it is due."""
    gates["stuck"] = asyncio.Event()
    async with build([background, free]) as house:
        stuck = await house.start("background", "stuck")
        queue = [await house.start("background", f"later-{n}") for n in range(20)]
        async with house.worker():
            other = await house.start("free", "other")
            assert await house.ended(other) == "completed"
            assert set(order) <= {"stuck", "other"}
            gates["stuck"].set()
            for run in (stuck, *queue):
                await house.ended(run)


async def test_open_runs_come_under_a_limit_and_out_of_it(build):
    """A deploy that limits a process limits what is open; one that lifts it frees all."""

    def version(at_most):
        @process(name="grown", subject=None, at_most=at_most)
        async def grown(name: str) -> None:
            """Change between versions."""
            await work(name)

        return grown

    names = ["a", "b", "c"]
    gates.update({name: asyncio.Event() for name in names})
    async with build([version(None)]) as house:
        runs = [await house.start("grown", name) for name in names]
    async with build([version(1)]) as house, house.worker():

        async def first() -> bool:
            return order == ["a"]

        await house.until(first)
        assert await count(house, "select count(*) from newel.run where worker_id is null") == 2
        async with build([version(None)]) as lifted, lifted.worker():

            async def all_of_them() -> bool:
                return sorted(order) == names

            await lifted.until(all_of_them)
            for gate in gates.values():
                gate.set()
            for run in runs:
                await lifted.ended(run)


# --- places of a system ---------------------------------------------------------------------


async def test_a_system_is_called_so_many_times_at_once(build):
    """Two attempts of twelve on two workers; the others wait as rows without an intent."""
    names = [f"run-{n:02}" for n in range(12)]
    gates.update({name: asyncio.Event() for name in names})
    async with build([caller], at_most={"github": 2}) as house:
        runs = [await house.start("caller", name) for name in names]
        async with house.worker(), house.worker():
            for n in range(12):

                async def begun(so_many: int = min(n + 2, 12)) -> bool:
                    return len(order) == so_many

                await house.until(begun)
                if n == 0:

                    async def queued() -> bool:
                        return (
                            await count(
                                house,
                                "select count(*) from newel.open_act a join newel.run r "
                                "on r.id = a.run_id where a.reason = 'place' and "
                                "a.intended_at is null and r.worker_id is null",
                            )
                            == 10
                        )

                    await house.until(queued)
                gates[order[n]].set()
            for run in runs:
                await house.ended(run)
        first, *_ = [(await house.events(run)) for run in runs[2:]]
    assert max(most) == 2
    assert [kind for kind, _ in first].count("step.queued") == 1


async def test_who_waits_longest_is_called_first(build):
    """Newcomers wait behind all who wait, even where a place is free at that moment."""
    names = ["a", "b", "c", "d"]
    gates.update({name: asyncio.Event() for name in names})
    async with build([caller], at_most={"github": 1}) as house, house.worker():
        runs = []
        for name in names:
            runs.append(await house.start("caller", name))

            async def there(so_many: int = len(runs)) -> bool:
                return so_many == await count(house, "select count(*) from newel.open_act")

            await house.until(there)
        for name in names:
            gates[name].set()
        for run in runs:
            await house.ended(run)
    assert order == names


async def test_an_attempt_of_the_dead_frees_its_place(build):
    """The intent of a worker whose lease has run out counts no more."""
    gates["a"] = asyncio.Event()
    async with build([caller], at_most={"github": 1}) as house:
        first = await house.start("caller", "a")
        async with house.doomed():

            async def begun() -> bool:
                return order == ["a"]

            await house.until(begun)
        second = await house.start("caller", "b")
        gates["a"].set()
        async with house.worker():
            assert await house.ended(second) == "completed"
            assert await house.ended(first) == "completed"


# --- limits of time -------------------------------------------------------------------------


def long(overdue: OnOverdue, *, name: str = "long"):
    """A process that may take ninety days and waits for somebody who never answers."""

    @process(name=name, subject=None, within=days(90), overdue=overdue, owner="hr")
    async def waits(name: str) -> None:
        """Wait for an answer."""
        try:
            await approval("answer", by=team("hr"))
        finally:
            await work["finally"](f"finally-{name}")
        await work(name)

    return waits


async def test_a_run_is_overdue_at_its_limit_and_never_before(build):
    """The moment is a due row like any other."""
    async with build([long("park")]) as house, house.worker():
        run = await house.start("long", "x")
        assert await house.rested(run) == "waiting"
        started = (await house.row(run))["started_at"]
        due = await house.move_to_next(run)
        assert due == started + days(90)

        async def parked() -> bool:
            return (await house.row(run))["state"] == "parked"

        await house.until(parked)
        row = await house.row(run)
        assert (row["parked_reason"], row["parked_with"]) == ("overdue", "hr")
        leaves = await house.leaves(run)
        assert leaves[-1]["type"] == "run.parked"
        assert leaves[-1]["data"]["class"] == "overdue"
        assert leaves[-1]["occurred_at"] >= due.isoformat().replace("+00:00", "")
        assert order == [], "parking runs nothing of the body"


async def test_a_parked_overdue_run_keeps_what_comes_and_goes_on_when_it_is_let(build):
    """A decision is recorded meanwhile; retry lets the run go on, without a limit."""
    async with build([long("park")]) as house, house.worker():
        run = await house.start("long", "x")
        await house.rested(run)
        await house.move(days(91))

        async def parked() -> bool:
            return (await house.row(run))["state"] == "parked"

        await house.until(parked)
        decider = await house.engine.actor("hr@example.test", via="api")
        await house.engine.decide(await house.task(run), approved=True, actor=decider)
        house.poke()
        assert await house.rested(run) == "parked"
        assert order == []
        await house.engine.retry(run, actor=OPERATOR)
        house.poke()
        assert await house.ended(run) == "completed"
    assert order == ["finally-x", "x"]


@pytest.mark.parametrize(("overdue", "state"), [("cancel", "cancelled"), ("fail", "failed")])
async def test_a_run_ends_at_its_limit_with_its_promises_kept(build, overdue, state):
    """What stands in `finally` still happens, what would have followed does not."""
    async with build([long(overdue)]) as house, house.worker():
        run = await house.start("long", "x")
        await house.rested(run)
        await house.move(days(90))
        assert await house.ended(run) == state
        events = [kind for kind, _ in await house.events(run)]
        last = (await house.leaves(run))[-1]
    assert order == ["finally-x"]
    assert events.count("run.cancel_requested") == 1
    assert (last["data"].get("error") == "Overdue") == (state == "failed")


async def test_the_limit_cuts_no_attempt(build):
    """An attempt in flight ends and is recorded; then the run parks."""

    @process(subject=None, within=days(1))
    async def slow(name: str) -> None:
        """Work once, and once more."""
        await work[1](name)
        await work[2]("never")

    gates["x"] = asyncio.Event()
    async with build([slow]) as house, house.worker():
        run = await house.start("slow", "x")

        async def begun() -> bool:
            return order == ["x"]

        await house.until(begun)
        await house.move(days(2))

        async def noticed() -> bool:
            return (await house.row(run))["wake_at"] is None

        await house.until(noticed)
        gates["x"].set()

        async def parked() -> bool:
            return (await house.row(run))["state"] == "parked"

        await house.until(parked)
        kinds = await house.events(run)
    assert ("step.succeeded", "work[1]") in kinds
    assert order == ["x"]


async def test_a_run_that_ends_in_time_is_never_overdue(build):
    """The limit leaves no trace in a run that kept it."""

    @process(subject=None, within=days(1), overdue="fail")
    async def quick(name: str) -> None:
        """Work."""
        await work(name)

    async with build([quick]) as house, house.worker():
        run = await house.start("quick", "x")
        assert await house.ended(run) == "completed"
        await house.move(days(2))
        assert (await house.row(run))["is_overdue"] is False
