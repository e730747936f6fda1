"""Pattern 41, thread merge: a known number of threads of the same branch become one."""

from __future__ import annotations

from newel import parallel, process
from tests.patterns.company import book, conclude, do
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def keys(name: str) -> str:
    """Three keys are cut, and handed over once."""
    cut = await parallel(*[do[door](door) for door in ("main", "office", "archive")])
    return await conclude(*cut)


async def play(run: Driver) -> None:
    """Handed over once, with three results, after the last."""
    assert await run.result() == "main+office+archive"
    assert book.order.count("conclude") == 1
    assert book.order[-1] == "conclude"


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("three keys", keys.request("jane"), play)
)
