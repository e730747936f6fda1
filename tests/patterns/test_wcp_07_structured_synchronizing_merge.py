"""Pattern 7, structured synchronizing merge: wait for exactly the branches that were chosen."""

from __future__ import annotations

from itertools import product

from newel import parallel, process
from tests.patterns.company import Hire, aws, book, conclude, github, salesforce
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def merged(hire: Hire) -> str:
    """Whatever the hire needs, then a report."""
    _, seat, _ = await parallel(
        github.invite(hire.name) if hire.github else None,
        salesforce.create(hire.name) if hire.sales else None,
        aws.grant(hire.name, "cloud") if hire.cloud else None,
    )
    return await conclude(seat or "no seat")


def case(github_: bool, sales: bool, cloud: bool) -> Pattern:
    """The report is made once, after the last chosen branch, and waits for no other."""
    hire = Hire(github=github_, sales=sales, cloud=cloud)

    async def play(run: Driver) -> None:
        assert await run.result() == ("salesforce:jane" if sales else "no seat")
        assert len(book.order) == github_ + sales + cloud + 1
        assert book.order[-1] == "conclude"

    return Pattern(f"{github_} {sales} {cloud}", merged.request(hire), play)


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    *[case(*chosen) for chosen in product([False, True], repeat=3)]
)
