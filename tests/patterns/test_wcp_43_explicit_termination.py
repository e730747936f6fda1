"""Pattern 43, explicit termination: reaching one end stops everything else."""

from __future__ import annotations

from newel import Event, approval, days, first_of, process, team, timer
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks

hire_withdrawn = Event("hire-withdrawn", str)


async def main_line(name: str) -> str:
    """What it is about, with an end deep inside."""
    for turn in range(3):
        if (await approval("done-yet", by=team("hr"))).approved:
            return f"after {turn}"
    return "never"


async def reminders(name: str) -> str:
    """Something that would go on for ever."""
    while True:
        await timer("week", after=days(7))
        await do["remind"](name)


@process(subject=None, owner="it")
async def whole(name: str) -> str:
    """One end stops the rest."""
    ended = await first_of(
        "whole-run",
        done=main_line(name),
        reminders=reminders(name),
        withdrawn=hire_withdrawn.wait(),
    )
    return ended.name


async def play_done(run: Driver) -> None:
    """A return deep inside ends the loop and the wait in one transaction."""
    await run.passes(days(8))
    await run.decide("done-yet", approved=False)
    await run.decide("done-yet#2")
    assert await run.result() == "done"
    assert await run.open() == set()
    assert await run.state() == "completed"
    assert book.order == ["do[remind]"]


async def play_withdrawn(run: Driver) -> None:
    """The message ends the main line and the loop."""
    await run.send(hire_withdrawn, "no")
    assert await run.result() == "withdrawn"
    assert await run.open() == set()


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("done", whole.request("jane"), play_done),
    Pattern("withdrawn", whole.request("jane"), play_withdrawn),
)
