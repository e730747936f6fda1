"""Pattern 19, cancel activity: withdraw one act."""

from __future__ import annotations

from newel import Event, first_of, hours, process
from tests.patterns.company import announce, book, do
from tests.patterns.harness import Driver, Pattern, checks

laptop_withdrawn = Event("laptop-withdrawn", str)


@process(subject=None, owner="it")
async def laptop(name: str) -> str:
    """Order one, unless it is withdrawn."""
    won = await first_of("laptop", ordered=do["order"](name), withdrawn=laptop_withdrawn.wait())
    if won.name == "withdrawn":
        await announce("withdrawn")
    return won.name


async def play_ordered(run: Driver) -> None:
    """It is ordered: the wait for a withdrawal is closed with it."""
    assert await run.result() == "ordered"
    assert await run.open() == set()
    assert book.order == ["do[order]"]


async def play_between_rounds(run: Driver) -> None:
    """Withdrawn between rounds: no attempt starts afterwards."""
    begun = len(book.begun)
    await run.send(laptop_withdrawn, "no")
    assert await run.result() == "withdrawn"
    book.down.clear()
    await run.passes(hours(3))
    assert book.begun.count("do[order]") == begun
    assert ("step.cancelled", "do[order]") in await run.trace()
    assert book.order == ["announce"]


async def play_parked(run: Driver) -> None:
    """Withdrawn while a person was asked to look: it is closed, and nothing is left open."""
    await run.passes(hours(2))
    await run.send(laptop_withdrawn, "no")
    assert await run.result() == "withdrawn"
    assert await run.open() == set()


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("ordered", laptop.request("jane"), play_ordered),
    Pattern("between rounds", laptop.request("jane"), play_between_rounds, down=("do[order]",)),
    Pattern("parked", laptop.request("jane"), play_parked, down=("do[order]",)),
)


@process(subject=None, owner="it")
async def outrun(name: str) -> str:
    """An act in the air loses against a quick one."""
    won = await first_of("laptop", slow=do["slow"](name), quick=do["quick"](name))
    await announce(won.name)
    return won.name


async def play_in_the_air(run: Driver) -> None:
    """In mid-attempt it is never broken off: its late outcome is recorded, once."""
    assert await run.result() == "quick"
    late = [
        leaf
        for leaf in await run.leaves()
        if leaf["type"] == "step.succeeded" and leaf["step"]["key"] == "do[slow]"
    ]
    assert [leaf["data"].get("late") for leaf in late] in ([True], [])
    assert set(book.effects.values()) == {1}


(
    test_late_on_postgresql,
    test_late_in_any_order,
    test_late_with_a_crash_anywhere,
    test_late_drawn,
) = checks(
    Pattern(
        "in the air",
        outrun.request("jane"),
        play_in_the_air,
        until=(("do[slow]", "announce"),),
        is_free=True,
    )
)
