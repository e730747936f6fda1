"""Pausing a system: its steps wait without attempts, on every worker, until it is resumed."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from newel import process, step
from newel.base.errors import NotFound, NotWaiting, ReasonMissing, Transient
from tests.engine.house import OPERATOR

WHY = "the vendor moves us to another region tonight"
called: list[str] = []
gates: dict[str, asyncio.Event] = {}
ill: set[str] = set()


class Outside:
    """A system, as much of it as the engine knows."""

    name = "outside"
    title = "Outside"
    owner = "it"
    credential = "outside:1"

    async def probe(self) -> None:
        """Answer always."""


@step(system="outside", in_doubt="repeat", timeout=timedelta(seconds=600))
async def call(name: str) -> None:
    """Call the system; wait at the gate, if there is one, and fail where the system is ill."""
    called.append(name)
    if name in gates:
        await gates[name].wait()
    if name in ill:
        message = "the system does not answer"
        raise Transient(message)


@step(in_doubt="repeat")
async def elsewhere(name: str) -> None:
    """Do something that concerns no system."""
    called.append(f"elsewhere/{name}")


@process(subject=None)
async def caller(name: str) -> None:
    """Do something, then call the system."""
    await elsewhere(name)
    await call(name)


@pytest.fixture(autouse=True)
def _fresh():
    for each in (called, gates, ill):
        each.clear()


@pytest.fixture
def opened(build):
    """Give a house with the system, and two workers in it."""
    return lambda **more: build([caller], systems=[Outside()], **more)


async def waits(house, how_many: int) -> None:
    """Wait until so many steps wait as rows, and no worker has their runs."""

    async def resting() -> bool:
        found: int = await house.database.fetchval(
            "select count(*) from newel.open_act a join newel.run r on r.id = a.run_id "
            "where a.state = 'retrying' and a.reason = 'place' and r.worker_id is null"
        )
        return found == how_many

    await house.until(resting)


async def told(house, kind: str) -> list[dict[str, Any]]:
    """Give the leaves of one type in the system's stream."""
    rows = await house.database.fetch(
        "select e.entry from newel.event e join newel.audit_stream s on s.id = e.stream_id "
        "where s.name = 'system/outside' and e.type = $1 order by e.seq",
        kind,
    )
    return [json.loads(row["entry"]) for row in rows]


async def test_steps_of_a_paused_system_wait_and_go_on_when_it_is_resumed(opened):
    """No attempt is made while it is paused, nothing fails, and all go on; both are recorded."""
    async with opened() as house, house.worker(), house.worker():
        await house.engine.systems.pause("outside", actor=OPERATOR, reason=WHY)
        runs = [await house.start("caller", f"run-{n}") for n in range(5)]
        await waits(house, 5)
        await house.move(timedelta(hours=3))
        await waits(house, 5)
        assert sorted(called) == [f"elsewhere/run-{n}" for n in range(5)]
        assert await house.database.fetchval("select count(*) from newel.incident") == 0
        await house.engine.systems.resume("outside", actor=OPERATOR, reason="it has moved")
        for run in runs:
            assert await house.ended(run) == "completed"
        assert sorted(called[5:]) == [f"run-{n}" for n in range(5)]
        kinds = [kind for kind, _ in await house.events(runs[0])]
        assert kinds.count("step.queued") == 1
        assert "step.attempt_failed" not in kinds
        (paused,), (resumed,) = (
            await told(house, "connector.paused"),
            await told(house, "connector.resumed"),
        )
        assert paused["actor"] == resumed["actor"]
        assert (paused["reason"]["code"], WHY in json.dumps(paused)) == ("system", False)


async def test_what_is_in_flight_ends_and_is_recorded(opened):
    """A pause in the middle of an attempt stops nothing that has left already."""
    gates["first"] = asyncio.Event()
    async with opened() as house, house.worker():
        first = await house.start("caller", "first")

        async def begun() -> bool:
            return "first" in called

        await house.until(begun)
        await house.engine.systems.pause("outside", actor=OPERATOR, reason=WHY)
        second = await house.start("caller", "second")
        await waits(house, 1)
        gates["first"].set()
        assert await house.ended(first) == "completed"
        assert "second" not in called
        await house.engine.systems.resume("outside", actor=OPERATOR, reason=WHY)
        assert await house.ended(second) == "completed"


async def test_who_has_waited_long_is_called_as_well(opened):
    """Whoever has looked in vain meanwhile is due at once when the system is resumed."""
    async with opened() as house:
        async with house.worker():
            await house.engine.systems.pause("outside", actor=OPERATOR, reason=WHY)
            runs = [await house.start("caller", f"run-{n}") for n in range(2)]
            await waits(house, 2)
            await house.move(timedelta(hours=3))
            for run in runs:
                await house.rested(run)
        await house.engine.systems.resume("outside", actor=OPERATOR, reason=WHY)
        due = await house.database.fetchval(
            "select count(*) from newel.run where wake_at <= newel.now()"
        )
        assert due == 2


async def test_a_step_that_is_tried_again_waits_as_well(opened):
    """The next attempt of a step that has failed is not made before the system is resumed."""
    ill.add("x")
    async with opened() as house, house.worker():
        run = await house.start("caller", "x")
        assert await house.rested(run) == "waiting"
        tries = len(called)
        await house.engine.systems.pause("outside", actor=OPERATOR, reason=WHY)
        ill.clear()
        await house.move(timedelta(seconds=30))
        await waits(house, 1)
        assert len(called) == tries
        await house.engine.systems.resume("outside", actor=OPERATOR, reason=WHY)
        assert await house.ended(run) == "completed"
        assert len(called) == tries + 1


async def test_what_a_dead_worker_began_waits_as_well(opened):
    """Who takes the run over writes it down once and lets it rest: nobody spins until the end."""
    gates["x"] = asyncio.Event()
    async with opened() as house:
        async with house.doomed():
            run = await house.start("caller", "x")

            async def begun() -> bool:
                return "x" in called

            await house.until(begun)
            await house.engine.systems.pause("outside", actor=OPERATOR, reason=WHY)
        gates["x"].set()
        async with house.worker():
            await waits(house, 1)
            assert called == ["elsewhere/x", "x"]
            await house.engine.systems.resume("outside", actor=OPERATOR, reason=WHY)
            assert await house.ended(run) == "completed"
        assert called == ["elsewhere/x", "x", "x"]
        kinds = [kind for kind, _ in await house.events(run)]
        assert (kinds.count("step.in_doubt"), kinds.count("step.queued")) == (1, 1)


async def test_a_paused_system_stays_paused_and_keeps_its_limit(opened, build):
    """A deploy changes nothing of it; afterwards as many are called at once as the code allows."""
    names = ["a", "b", "c"]
    gates.update({name: asyncio.Event() for name in names})
    async with opened(at_most={"outside": 2}) as house:
        await house.engine.systems.pause("outside", actor=OPERATOR, reason=WHY)
    async with opened(at_most={"outside": 1}) as house, house.worker():
        runs = [await house.start("caller", name) for name in names]
        await waits(house, 3)
        await house.engine.systems.resume("outside", actor=OPERATOR, reason=WHY)
        for n in range(3):

            async def begun(so_many: int = n + 1) -> bool:
                return len([name for name in called if name in gates]) == so_many

            await house.until(begun)
            gates[called[-1]].set()
        for run in runs:
            assert await house.ended(run) == "completed"


async def test_what_cannot_be_paused_is_refused_with_its_reason(opened):
    """No reason, no such system, paused already, not paused: each is said, and nothing changes."""
    async with opened() as house:
        systems = house.engine.systems
        with pytest.raises(ReasonMissing):
            await systems.pause("outside", actor=OPERATOR, reason=" ")
        with pytest.raises(NotFound):
            await systems.pause("fax", actor=OPERATOR, reason=WHY)
        with pytest.raises(NotWaiting, match="not paused"):
            await systems.resume("outside", actor=OPERATOR, reason=WHY)
        await systems.pause("outside", actor=OPERATOR, reason=WHY)
        with pytest.raises(NotWaiting, match="paused already"):
            await systems.pause("outside", actor=OPERATOR, reason=WHY)
        with pytest.raises(ReasonMissing):
            await systems.resume("outside", actor=OPERATOR, reason="")
        assert len(await told(house, "connector.paused")) == 1
