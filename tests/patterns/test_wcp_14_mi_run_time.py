"""Pattern 14, multiple instances with a number known at run time."""

from __future__ import annotations

from newel import hours, parallel, process
from tests.patterns.company import book, github
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def granted(name: str, has: tuple[str, ...]) -> int:
    """One grant for each repository that the team has."""
    repositories = await github.listed(name, has)
    found = await parallel(*[github.grant[each](name, each) for each in repositories])
    return len(found)


def case(number: int) -> Pattern:
    """Each is granted once, whether there are none or many."""
    has = tuple(f"r{n}" for n in range(number))

    async def play(run: Driver) -> None:
        assert await run.result() == number
        assert sorted(book.order[1:]) == sorted(f"github.grant[{each}]" for each in has)

    return Pattern(f"{number} repositories", granted.request("jane", has), play)


async def play_parked(run: Driver) -> None:
    """One that is parked holds up the join and nobody else."""
    await run.passes(hours(2))
    assert await run.open() == {"github.grant[b]"}
    assert sorted(book.order[1:]) == ["github.grant[a]", "github.grant[c]"]
    book.down.clear()
    await run.retry("github.grant[b]")
    assert await run.result() == 3


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    case(0),
    case(1),
    case(3),
    Pattern(
        "one parked",
        granted.request("jane", ("a", "b", "c")),
        play_parked,
        down=("github.grant[b]",),
    ),
)


async def test_two_hundred_items(build) -> None:
    """As many as a large team has are granted on a real database, each once."""
    from tests.patterns.harness import on_postgresql

    pattern = case(200)
    async with on_postgresql(build, pattern) as run:
        await pattern.play(run)
