"""Pattern 9, structured discriminator: the first arrival continues, the rest finish."""

from __future__ import annotations

from newel import approval, first_of, process, team
from tests.patterns.company import book, conclude
from tests.patterns.harness import Driver, Pattern, checks


async def asked(whom: str) -> str:
    """Ask somebody for a reference."""
    decision = await approval(f"asks[{whom}]", by=team("hr"))
    return f"{whom}:{decision.approved}"


@process(subject=None, owner="it")
async def discriminated(name: str) -> str:
    """Whoever answers first is heard."""
    first = await first_of(
        "reference", former=asked("former"), agency=asked("agency"), losers="finish"
    )
    return await conclude(first.value)


async def play(run: Driver) -> None:
    """What follows starts after the first; the second still ends, and nothing follows twice."""
    await run.decide("asks[agency]")
    assert book.order == ["conclude"]
    assert await run.waiting() == {"asks[former]"}
    assert await run.state() == "waiting"
    await run.decide("asks[former]", approved=False)
    assert await run.result() == "agency:True"
    assert book.order == ["conclude"]
    assert ("task.decided", "asks[former]") in await run.trace()


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("agency first", discriminated.request("jane"), play)
)
