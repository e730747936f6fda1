"""Pattern 33, generalized AND-join: messages queue per branch, the join fires once for each set."""

from __future__ import annotations

from newel import Event, parallel, process
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks

laptop_arrived = Event("laptop-arrived", str)
dock_arrived = Event("dock-arrived", str)


@process(subject=None, owner="it")
async def handed_over(last: str) -> str:
    """Pairs are handed over in order of arrival."""
    pairs = []
    while True:
        laptop, dock = await parallel(laptop_arrived.wait(), dock_arrived.wait())
        pairs.append(await do[laptop](f"{laptop}{dock}"))
        if laptop == last:
            return " ".join(pairs)


async def play(run: Driver) -> None:
    """Three laptops come before the first dock: three pairs, none lost, none paired twice."""
    for laptop in ("l1", "l2", "l3"):
        await run.send(laptop_arrived, laptop)
    assert book.order == []
    for dock in ("d1", "d2", "d3"):
        await run.send(dock_arrived, dock)
    assert await run.result() == "l1d1 l2d2 l3d3"
    assert book.order == ["do[l1]", "do[l2]", "do[l3]"]


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("three pairs", handed_over.request("l3"), play)
)
