"""Pattern 37, local synchronizing merge: how many branches are live is known where they started."""

from __future__ import annotations

from itertools import product

from newel import approval, parallel, process, team
from tests.patterns.company import Hire, book, conclude, do
from tests.patterns.harness import Driver, Pattern, checks


async def phone_branch(hire: Hire) -> None:
    """A phone, if it is wanted and allowed."""
    if hire.wants_phone and (await approval("phone", by=team("hr"))).approved:
        await do["phone"](hire.name)


@process(subject=None, owner="it")
async def equipped(hire: Hire) -> str:
    """Hand over once, after the last live branch."""
    await parallel(phone_branch(hire), do["laptop"](hire.name) if hire.needs_laptop else None)
    return await conclude(hire.name)


def case(wants_phone: bool, allowed: bool, needs_laptop: bool) -> Pattern:
    """One hand-over, without waiting for a branch that is dead."""

    async def play(run: Driver) -> None:
        if wants_phone:
            assert "conclude" not in book.order
            await run.decide("phone", approved=allowed)
        assert await run.result() == "jane"
        assert ("do[phone]" in book.order) is (wants_phone and allowed)
        assert book.order[-1] == "conclude"
        assert book.order.count("conclude") == 1

    hire = Hire(wants_phone=wants_phone, needs_laptop=needs_laptop)
    return Pattern(f"{wants_phone} {allowed} {needs_laptop}", equipped.request(hire), play)


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    *[case(*chosen) for chosen in product([False, True], repeat=3) if chosen[0] or not chosen[1]]
)
