"""Pattern 25, cancel region: withdraw a named set of acts, across two branches."""

from __future__ import annotations

from newel import approval, parallel, process, scope, team
from tests.patterns.company import book, google
from tests.patterns.harness import Driver, Pattern, checks

hardware = scope("hardware")


async def it(name: str) -> bool:
    """A laptop inside the region, an account outside."""
    async with hardware:
        await approval("order-laptop", by=team("it"))
    await google.create(name)
    return hardware.cancelled


async def facilities(name: str) -> bool:
    """A desk, inside the region too."""
    async with hardware:
        await approval("book-desk", by=team("facilities"))
    return hardware.cancelled


async def manager(name: str) -> None:
    """Who works from home needs neither."""
    if (await approval("works-from-home", by=team("hr"))).approved:
        await hardware.cancel()


@process(subject=None, owner="it")
async def equipped(name: str) -> str:
    """All three."""
    laptop, desk, _ = await parallel(it(name), facilities(name), manager(name))
    return f"{laptop} {desk}"


async def play_early(run: Driver) -> None:
    """Exactly what is open inside ends; what stands outside goes on."""
    await run.decide("works-from-home")
    assert await run.result() == "True True"
    trace = await run.trace()
    assert ("wait.closed", "order-laptop") in trace
    assert ("wait.closed", "book-desk") in trace
    assert book.order == ["google.create"]
    assert await run.open() == set()


async def play_late(run: Driver) -> None:
    """What has ended inside before stays ended."""
    await run.decide("order-laptop")
    await run.decide("works-from-home")
    assert await run.result() == "False True"
    assert book.order == ["google.create"]


async def play_after(run: Driver) -> None:
    """After both have ended there is nothing to cancel."""
    await run.decide("order-laptop")
    await run.decide("book-desk")
    await run.decide("works-from-home")
    assert await run.result() == "False False"


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("early", equipped.request("jane"), play_early),
    Pattern("late", equipped.request("jane"), play_late),
    Pattern("after both", equipped.request("jane"), play_after),
)
