"""Pattern 5, simple merge: alternatives come together again without waiting."""

from __future__ import annotations

from newel import process
from tests.patterns.company import Hire, book, do, slack
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def merged(hire: Hire) -> str:
    """One of three ways, then the same act."""
    if hire.remote:
        await do["ship-laptop"](hire.name)
    elif hire.needs_laptop:
        await do["book-desk"](hire.name)
    return await slack.invite(hire.name)


def case(name: str, hire: Hire, *before: str) -> Pattern:
    """What follows the merge runs once, whichever arm came before, an empty one too."""

    async def play(run: Driver) -> None:
        assert await run.result() == "slack:jane"
        assert book.order == [*before, "slack.invite"]

    return Pattern(name, merged.request(hire), play)


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    case("remote", Hire(remote=True), "do[ship-laptop]"),
    case("office", Hire(), "do[book-desk]"),
    case("neither", Hire(needs_laptop=False)),
)
