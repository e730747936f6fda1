"""Pattern 40, interleaved routing: a set of acts in any order, one at a time."""

from __future__ import annotations

from newel import lock, parallel, process, section
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks

trainer = lock("trainer")


async def talk(topic: str) -> None:
    """One talk, from beginning to end."""
    with section(topic):
        async with trainer:
            await do["begins"](topic)
            await do["ends"](topic)


@process(subject=None, owner="it")
async def talks(topics: tuple[str, ...]) -> int:
    """All of them."""
    await parallel(*[talk(topic) for topic in topics])
    return len(topics)


async def play(run: Driver) -> None:
    """Each talk is held once, and none begins before another has ended."""
    assert await run.result() == 3
    for topic in ("security", "benefits", "tools"):
        begins = book.place(f"{topic}/do[begins]")
        assert book.order[begins + 1] == f"{topic}/do[ends]"
    assert len(book.order) == 6


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("three talks", talks.request(("security", "benefits", "tools")), play)
)
