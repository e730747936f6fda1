"""Pattern 17, interleaved parallel routing: a partial order, never two at once."""

from __future__ import annotations

from newel import lock, parallel, process
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks

desk = lock("desk")


async def it_visits(name: str) -> None:
    """Hardware before software."""
    async with desk["hardware"]:
        await do["fit"](name)
        await do["fitted"](name)
    async with desk["software"]:
        await do["install"](name)
        await do["installed"](name)


async def facilities_visit(name: str) -> None:
    """The chair, whenever nobody else stands at the desk."""
    async with desk["chair"]:
        await do["adjust"](name)
        await do["adjusted"](name)


@process(subject=None, owner="it")
async def visits(name: str) -> int:
    """Both, one at a time."""
    await parallel(it_visits(name), facilities_visit(name))
    return 3


async def play(run: Driver) -> None:
    """Hardware comes before software, the chair anywhere, and nothing comes between."""
    assert await run.result() == 3
    pairs = [book.order[place : place + 2] for place in range(0, 6, 2)]
    assert sorted(pairs) == [
        ["do[adjust]", "do[adjusted]"],
        ["do[fit]", "do[fitted]"],
        ["do[install]", "do[installed]"],
    ]
    assert book.place("do[fit]") < book.place("do[install]")


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("three visits", visits.request("jane"), play)
)
