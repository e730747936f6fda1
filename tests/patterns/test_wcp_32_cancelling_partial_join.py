"""Pattern 32, cancelling partial join: N of M, the rest are withdrawn."""

from __future__ import annotations

from newel import n_of, process
from tests.patterns.company import Refused, book, conclude, signed
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it", raises=Refused)
async def offers(name: str) -> str:
    """Two of three offers are compared."""
    two = await n_of("offers", 2, signed("north"), signed("south"), signed("west"))
    return await conclude(*two.values)


async def play(run: Driver) -> None:
    """After the second the third is withdrawn."""
    await run.decide("west-signs")
    await run.decide("north-signs")
    assert await run.result() == "west+north"
    assert ("wait.closed", "south-signs") in await run.trace()
    assert await run.open() == set()


async def play_failed(run: Driver) -> None:
    """If two fail for good, the failures are raised, the third is withdrawn, nothing follows."""
    await run.decide("north-signs", approved=False)
    assert await run.state() == "waiting"
    await run.decide("west-signs", approved=False)
    assert await run.state() == "failed"
    assert book.order == []
    assert await run.open() == set()


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("two of three", offers.request("x"), play),
    Pattern("too few", offers.request("x"), play_failed),
)
