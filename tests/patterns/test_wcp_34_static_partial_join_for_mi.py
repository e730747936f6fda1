"""Pattern 34, static partial join for multiple instances: N of M copies, the rest finish."""

from __future__ import annotations

from newel import approval, n_of, process, team
from tests.patterns.company import book, conclude
from tests.patterns.harness import Driver, Pattern, checks


async def asked(who: str) -> str:
    """One reference."""
    await approval(f"reference[{who}]", by=team("hr"))
    return who


@process(subject=None, owner="it")
async def references(names: tuple[str, ...]) -> str:
    """Three references are enough."""
    three = await n_of("references", 3, *[asked(name) for name in names], losers="finish")
    return await conclude(*three.values)


async def play(run: Driver) -> None:
    """It is decided after the third of five; the late two are recorded and change nothing."""
    for name in "eca":
        assert book.order == []
        await run.decide(f"reference[{name}]")
    assert book.order == ["conclude"]
    for name in "bd":
        await run.decide(f"reference[{name}]")
    assert await run.result() == "e+c+a"
    assert book.order == ["conclude"]


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("three of five", references.request(tuple("abcde")), play)
)
