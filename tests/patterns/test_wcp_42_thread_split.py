"""Pattern 42, thread split: one thread becomes a number of threads of the same branch."""

from __future__ import annotations

from newel import parallel, process
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def trained(name: str) -> int:
    """Three slots at once."""
    return len(await parallel(*[do[slot](name) for slot in ("a", "b", "c")]))


async def play(run: Driver) -> None:
    """Exactly three, each with a key of its own."""
    assert await run.result() == 3
    assert sorted(book.order) == ["do[a]", "do[b]", "do[c]"]


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("three slots", trained.request("jane"), play)
)
