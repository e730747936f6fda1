"""Pattern 27, complete multiple instance activity: end the open copies, keep the finished."""

from __future__ import annotations

from newel import approval, days, group, process, team, timer
from tests.patterns.company import book, conclude
from tests.patterns.harness import Driver, Pattern, checks


async def review(person: str) -> str:
    """Somebody's opinion."""
    decision = await approval(f"review[{person}]", by=team("it"))
    return f"{person}:{decision.approved}"


@process(subject=None, owner="it")
async def reviewed(reviewers: tuple[str, ...]) -> str:
    """What is there after five days counts."""
    async with group("reviews", str) as reviews:
        for person in reviewers:
            reviews.add(review(person))
        await timer("reviews-close", after=days(5))
        await reviews.complete()
        opinions = await reviews.join()
    return await conclude(*opinions)


def case(*order: str) -> Pattern:
    """The opinions are exactly those that were in by then, in order of arrival."""

    async def play(run: Driver) -> None:
        for person in order:
            await run.decide(f"review[{person}]")
        await run.passes(days(6))
        assert await run.result() == "+".join(f"{person}:True" for person in order)
        assert await run.open() == set()
        assert book.order == ["conclude"]

    return Pattern(" ".join(order) or "nobody", reviewed.request(("a", "b", "c")), play)


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    case(), case("b", "a"), case("c", "a", "b")
)
