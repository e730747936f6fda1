"""Pattern 11, implicit termination: the case ends when nothing is left to do."""

from __future__ import annotations

from newel import group, hours, process
from tests.patterns.company import book, do, google
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def side_work(name: str) -> int:
    """Work beside the main line."""
    async with group("side-work") as side:
        side.add(do["badge"](name))
        side.add(do["training"](name))
        await google.create(name)
    return 3


async def play(run: Driver) -> None:
    """The run ends with the last of the three, whichever it is."""
    assert await run.result() == 3
    assert sorted(book.order) == ["do[badge]", "do[training]", "google.create"]


async def play_parked(run: Driver) -> None:
    """With one of them parked the run is not over."""
    await run.passes(hours(2))
    assert await run.state() == "parked"
    assert sorted(book.order) == ["do[training]", "google.create"]
    book.down.clear()
    await run.retry("do[badge]")
    assert await run.result() == 3


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("all", side_work.request("jane"), play),
    Pattern("main last", side_work.request("jane"), play, until=(("google.create", "do[badge]"),)),
    Pattern("side last", side_work.request("jane"), play, until=(("do[badge]", "google.create"),)),
    Pattern("parked", side_work.request("jane"), play_parked, down=("do[badge]",)),
)
