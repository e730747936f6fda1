"""Pattern 38, general synchronizing merge: wait for whatever can still arrive, cycles included."""

from __future__ import annotations

from itertools import product

from newel import approval, parallel, process, team
from tests.patterns.company import Hire, book, conclude, do
from tests.patterns.harness import Driver, Pattern, checks


async def laptop_branch(hire: Hire) -> None:
    """A cycle inside the branch."""
    while not (await approval("laptop-fits", by=team("hr"))).approved:
        await do["laptop"](hire.name)


async def phone_branch(hire: Hire) -> None:
    """Or the branch falls silent."""
    if not hire.remote:
        await do["phone"](hire.name)


@process(subject=None, owner="it")
async def equipped(hire: Hire) -> str:
    """Hand over when neither can bring anything more."""
    await parallel(laptop_branch(hire), phone_branch(hire))
    return await conclude(hire.name)


def case(passes: int, remote: bool) -> Pattern:
    """One hand-over, never while a pass is open."""

    async def play(run: Driver) -> None:
        for turn in range(passes):
            key = "laptop-fits" if turn == 0 else f"laptop-fits#{turn + 1}"
            await run.decide(key, approved=False)
            assert "conclude" not in book.order
        await run.decide("laptop-fits" if passes == 0 else f"laptop-fits#{passes + 1}")
        assert await run.result() == "jane"
        assert book.order[-1] == "conclude"
        assert len(book.order) == passes + (not remote) + 1

    return Pattern(f"{passes} passes, {remote}", equipped.request(Hire(remote=remote)), play)


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    *[case(*chosen) for chosen in product([0, 1, 3], [False, True])]
)
