"""Pattern 36, dynamic partial join for multiple instances: N of copies, more being added."""

from __future__ import annotations

from newel import Event, approval, first_of, group, process, team
from tests.patterns.company import book, conclude
from tests.patterns.harness import Driver, Pattern, checks

more_people = Event("more-people", tuple[str, ...])


async def interview(person: str) -> str:
    """One answer."""
    await approval(f"interview[{person}]", by=team("hr"))
    return person


@process(subject=None, owner="it")
async def panel(people: tuple[str, ...]) -> str:
    """Three answers are enough, and more people may come."""
    async with group("interviews", str) as interviews:
        batch = people
        answers: tuple[str, ...] = ()
        while not answers:
            for person in batch:
                interviews.add(interview(person))
            won = await first_of("panel", enough=interviews.join(need=3), more=more_people.wait())
            if won.name == "enough":
                answers = won.value
            else:
                batch = won.value
    return await conclude(*answers)


async def play(run: Driver) -> None:
    """The third answer comes between additions: decided once, open interviews are withdrawn."""
    await run.decide("interview[b]")
    await run.send(more_people, ("c",))
    await run.decide("interview[c]")
    await run.send(more_people, ("d", "e"))
    assert book.order == []
    await run.decide("interview[e]")
    assert await run.result() == "b+c+e"
    assert book.order == ["conclude"]
    trace = await run.trace()
    assert ("wait.closed", "interview[a]") in trace
    assert ("wait.closed", "interview[d]") in trace
    assert await run.open() == set()


async def play_at_once(run: Driver) -> None:
    """Enough before anybody is added."""
    for person in "abc":
        await run.decide(f"interview[{person}]")
    assert await run.result() == "a+b+c"


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("between additions", panel.request(("a", "b")), play),
    Pattern("before any addition", panel.request(("a", "b", "c", "d")), play_at_once),
)
