"""Pattern 26, cancel multiple instance activity: withdraw all copies."""

from __future__ import annotations

from newel import approval, group, process, team
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks


async def asked(vendor: str) -> str:
    """Ask a vendor, then wait for what it says."""
    await do[vendor](vendor)
    await approval(f"offer[{vendor}]", by=team("it"))
    return vendor


@process(subject=None, owner="it")
async def offers(vendors: tuple[str, ...]) -> str:
    """Ask all, unless nobody needs it any more."""
    async with group("offers") as asking:
        for vendor in vendors:
            asking.add(asked(vendor))
        if not (await approval("still-needed", by=team("hr"))).approved:
            await asking.cancel()
            return "cancelled"
    return "asked"


async def play(run: Driver) -> None:
    """Copies that are done, waiting and between rounds all end; the done one keeps its outcome."""
    await run.decide("offer[a]")
    await run.decide("still-needed", approved=False)
    assert await run.result() == "cancelled"
    trace = await run.trace()
    assert ("task.decided", "offer[a]") in trace
    assert ("wait.closed", "offer[b]") in trace
    assert ("step.cancelled", "do[c]") in trace
    assert sorted(book.order) == ["do[a]", "do[b]"]
    assert await run.open() == set()


async def play_needed(run: Driver) -> None:
    """Needed after all, the end of the block joins what is left."""
    book.down.clear()
    await run.retry("do[c]")
    await run.decide("still-needed")
    for vendor in "abc":
        assert await run.state() == "waiting"
        await run.decide(f"offer[{vendor}]")
    assert await run.result() == "asked"


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("cancelled", offers.request(("a", "b", "c")), play, down=("do[c]",)),
    Pattern("needed", offers.request(("a", "b", "c")), play_needed, down=("do[c]",)),
)
