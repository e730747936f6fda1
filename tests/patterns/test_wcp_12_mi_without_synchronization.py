"""Pattern 12, multiple instances without synchronization: start many, wait for none."""

from __future__ import annotations

from newel import approval, process, spawn, team
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def training(course: str) -> str:
    """A course takes as long as it takes."""
    await approval("attended", by=team("hr"))
    return await do["certificate"](course)


@process(subject=None, owner="it")
async def enrolled(courses: tuple[str, ...]) -> int:
    """Starts a run for each course."""
    for course in courses:
        await spawn(training[course], course)
    return len(courses)


async def play(run: Driver) -> None:
    """The runs exist, each once; the parent completes while they wait, and they outlive it."""
    assert await run.result() == 3
    children = await run.children("training")
    assert len(children) == 3
    assert {await child.state() for child in children} == {"waiting"}
    for child in children:
        await child.decide("attended")
    assert sorted([await child.result() for child in children]) == ["a", "b", "c"]
    assert sorted(book.done().values()) == [3]


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("three courses", enrolled.request(("a", "b", "c")), play, processes=(training,))
)
