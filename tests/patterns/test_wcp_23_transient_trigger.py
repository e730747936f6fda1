"""Pattern 23, transient trigger: an event nobody waits for is lost."""

from __future__ import annotations

from newel import Event, approval, hours, process, team
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks

courier_rings = Event("courier-rings", str, buffered=False)


@process(subject=None, owner="it")
async def delivery(name: str) -> str:
    """Wait for the courier, once somebody is there."""
    await approval("somebody-is-there", by=team("it"))
    courier = await courier_rings.wait(within=hours(2))  # newel: allow F407 because it may end
    return await do["sign"](courier)


async def play(run: Driver) -> None:
    """Sent before the wait opens it is lost, as the sender is told; sent while open it is taken."""
    assert await run.send(courier_rings, "too early") == "lost"
    await run.decide("somebody-is-there")
    assert await run.waiting() == {"courier-rings"}
    assert await run.send(courier_rings, "in time") == "delivered"
    assert await run.result() == "in time"
    assert book.order == ["do[sign]"]


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("too early, then in time", delivery.request("x"), play)
)
