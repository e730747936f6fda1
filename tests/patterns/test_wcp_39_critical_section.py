"""Pattern 39, critical section: two regions of a case are never active at once."""

from __future__ import annotations

from newel import lock, parallel, process
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


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere = checks(
    Pattern("in a run", printed.request("jane"), play)
)
