"""Pattern 39, critical section: two regions of a case are never active at once."""

from __future__ import annotations

from uuid import UUID

from newel import hours, lock, parallel, process, timer
from tests.engine.house import OPERATOR
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks

printer = lock("badge-printer")


async def badge(name: str) -> None:
    """Print and laminate."""
    async with printer["badge"]:
        await do["print"](name)
        await do["laminate"](name)


async def parking(name: str) -> None:
    """A card from the same printer."""
    async with printer["parking"]:
        await do["card"](name)


@process(subject=None, owner="it")
async def printed(name: str) -> int:
    """Both."""
    await parallel(badge(name), parking(name))
    return 2


async def play(run: Driver) -> None:
    """The card is never printed between print and lamination."""
    assert await run.result() == 2
    assert book.place("do[laminate]") == book.place("do[print]") + 1
    assert len(book.order) == 3


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("in a run", printed.request("jane"), play)
)


shared = lock("shared-printer", shared=True)


@process(subject=None, owner="it")
async def alone(name: str) -> str:
    """Print and laminate, with no other run in between."""
    async with shared:
        await do["print", name](name)
        await do["laminate", name](name)
    return name


async def test_twenty_runs_on_three_workers_one_of_them_killed(build) -> None:
    """Across all runs there is one holder at a time; a death while holding loses nobody's turn."""
    async with build([alone]) as house:
        names = [f"n{number}" for number in range(20)]
        async with house.doomed() as doomed:
            runs = [await house.start("alone", name) for name in names]

            async def holds() -> bool:
                return bool(book.order)

            await doomed.notices.until(holds)
        async with house.worker(), house.worker(), house.worker():
            for run in runs:
                assert await house.ended(run) == "completed"
        left = await house.database.fetchval("select count(*) from newel.open_act")
    assert left == 0
    assert set(book.effects.values()) == {1}
    for name in names:
        printed = book.place(f"do[print,{name}]")
        assert book.order[printed + 1] == f"do[laminate,{name}]"


@process(subject=None, owner="it")
async def dried(name: str) -> str:
    """Hold the printer for an hour."""
    async with shared:
        await timer("dry", after=hours(1))
    return name


async def test_a_paused_run_lets_the_next_have_the_lock(build) -> None:
    """Who is first in order and cannot go on is passed, and comes to its turn later."""
    async with build([dried]) as house, house.worker():
        runs = [await house.start("dried", name) for name in ("first", "second", "third")]
        for run in runs:

            async def waits(run: UUID = run) -> bool:
                return await house.rested(run) == "waiting" and bool(await house.acts(run))

            await house.until(waits)
        await house.engine.pause(runs[1], actor=OPERATOR, reason="not now")
        for holder in (runs[0], runs[2], runs[1]):

            async def holds(holder: UUID = holder) -> bool:
                return "dry" in await house.acts(holder)

            if holder == runs[1]:
                await house.engine.resume(holder, actor=OPERATOR)
                house.poke()
            await house.until(holds)
            assert "dry" not in await house.acts(runs[1]) or holder == runs[1]
            await house.rested(holder)
            await house.move(hours(1))
            assert await house.ended(holder) == "completed"
