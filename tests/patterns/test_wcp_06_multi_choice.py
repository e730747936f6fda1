"""Pattern 6, multi-choice: any subset of the branches, by data."""

from __future__ import annotations

from itertools import product

from newel import parallel, process
from tests.patterns.company import Hire, aws, book, github, salesforce
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def chosen(hire: Hire) -> int:
    """Whatever the hire needs."""
    await parallel(
        github.invite(hire.name) if hire.github else None,
        salesforce.create(hire.name) if hire.sales else None,
        aws.grant(hire.name, "cloud") if hire.cloud else None,
    )
    return 1


def case(github_: bool, sales: bool, cloud: bool) -> Pattern:
    """Exactly the chosen acts are made; the empty subset passes at once."""
    wanted = {"github.invite": github_, "salesforce.create": sales, "aws.grant": cloud}

    async def play(run: Driver) -> None:
        assert await run.result() == 1
        assert sorted(book.order) == sorted(key for key, is_wanted in wanted.items() if is_wanted)

    hire = Hire(github=github_, sales=sales, cloud=cloud)
    name = "+".join(key for key, is_wanted in wanted.items() if is_wanted) or "none"
    return Pattern(name, chosen.request(hire), play)


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    *[case(*chosen_) for chosen_ in product([False, True], repeat=3)]
)
