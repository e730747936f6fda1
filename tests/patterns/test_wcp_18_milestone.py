"""Pattern 18, milestone: an act is allowed only while a state holds."""

from __future__ import annotations

from newel import Event, approval, first_of, milestone, process, team
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks

change_requested = Event("change-requested", str)
order_open = milestone("order-open")


async def fulfilled(order: str) -> str:
    """An order is open between two approvals."""
    await approval("opens", by=team("it"))
    await order_open.reach()
    await approval("packed", by=team("it"))
    await order_open.leave()
    await approval("shipped", by=team("it"))
    return order


async def changes(order: str) -> str:
    """Changes are made while the order is open."""
    while True:
        change = await change_requested.wait()
        if await order_open.holds("change-allowed"):
            await do[change](order)


@process(subject=None, owner="it")
async def fulfilment(order: str) -> str:
    """Both, until it is shipped."""
    won = await first_of("fulfilment", shipped=fulfilled(order), changes=changes(order))
    return won.name


async def play(run: Driver) -> None:
    """Of three requests only the one in between is applied, and every answer is recorded."""
    await run.send(change_requested, "early")
    await run.decide("opens")
    await run.send(change_requested, "within")
    await run.decide("packed")
    await run.send(change_requested, "late")
    assert book.order == ["do[within]"]
    await run.decide("shipped")
    assert await run.result() == "shipped"
    answers = [
        leaf["data"]["verb"]
        for leaf in await run.leaves()
        if leaf["type"] == "act.recorded" and leaf["step"]["key"].startswith("change-allowed")
    ]
    assert answers == ["lacks", "holds", "lacks"]
    assert await run.open() == set()


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("three requests", fulfilment.request("x"), play)
)
