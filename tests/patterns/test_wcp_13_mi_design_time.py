"""Pattern 13, multiple instances with a number known at design time."""

from __future__ import annotations

from newel import approval, parallel, process, team
from tests.patterns.company import book, conclude
from tests.patterns.harness import Driver, Pattern, checks

AREAS = ("it", "finance", "facilities")


async def signed(area: str) -> str:
    """One area signs off."""
    await approval(f"sign-off[{area}]", by=team(area))
    return area


@process(subject=None, owner="it")
async def closed(name: str) -> str:
    """All three sign, then the file is closed."""
    areas = await parallel(*[signed(area) for area in ("it", "finance", "facilities")])
    return await conclude(*areas)


def case(*order: str) -> Pattern:
    """The file is closed after all three, in this order of signing."""

    async def play(run: Driver) -> None:
        for area in order:
            assert book.order == []
            await run.decide(f"sign-off[{area}]")
        assert await run.result() == "it+finance+facilities"

    return Pattern(" ".join(order), closed.request("jane"), play)


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    case("it", "finance", "facilities"),
    case("facilities", "finance", "it"),
    case("finance", "it", "facilities"),
)
