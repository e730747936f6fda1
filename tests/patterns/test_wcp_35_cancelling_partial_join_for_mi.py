"""Pattern 35, cancelling partial join for multiple instances: N of M copies, the rest withdrawn."""

from __future__ import annotations

from newel import approval, n_of, process, team
from tests.patterns.company import conclude
from tests.patterns.harness import Driver, Pattern, checks


async def asked(who: str) -> str:
    """One reference."""
    await approval(f"reference[{who}]", by=team("hr"))
    return who


@process(subject=None, owner="it")
async def references(names: tuple[str, ...]) -> str:
    """Three references are enough."""
    three = await n_of("references", 3, *[asked(name) for name in names])
    return await conclude(*three.values)


async def play(run: Driver) -> None:
    """The open requests are closed in the transaction of the third."""
    for name in "eca":
        await run.decide(f"reference[{name}]")
    assert await run.result() == "e+c+a"
    trace = await run.trace()
    assert trace.count(("wait.closed", "reference[b]")) == 1
    assert trace.count(("wait.closed", "reference[d]")) == 1


async def play_few(run: Driver) -> None:
    """Fewer copies than are needed are refused before anything is asked."""
    assert await run.state() == "parked"
    assert await run.open() == set()


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("three of five", references.request(tuple("abcde")), play),
    Pattern("too few", references.request(("a",)), play_few),
)
