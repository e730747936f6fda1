"""`milestone`: a state that holds and ceases (patterns document, §1)."""

from __future__ import annotations

from newel.flow.milestones import milestone
from newel.flow.parallel import parallel
from newel.flow.process import process
from tests.unit.flow.acting import one
from tests.unit.flow.driving import Driving, started

is_open = milestone("is-open")


async def opening() -> None:
    """Reach the milestone after one act, and leave it after another."""
    await one("open")
    await is_open.reach()
    await one("close")
    await is_open.leave()


async def asking(name: str) -> bool:
    """Ask after an act."""
    await one(name)
    return await is_open.holds(f"is[{name}]")


@process(subject=None)
async def asked_three_times() -> object:
    """Before, between, behind."""
    return await parallel(opening(), asking("a"), asking("b"), asking("c"))


def test_it_holds_from_reach_to_leave_in_the_order_of_the_journal():
    """The answer is recorded, and every replay gives the same."""
    run = started(asked_three_times)
    for key in ("a", "open", "b", "close", "c"):
        run.give(f"work[{key}]")
    assert run.value == (None, False, True, False)
    assert run.decided["is[a]"].verb == "lacks"
    assert run.decided["is[b]"].verb == "holds"
    assert Driving.again(asked_three_times, run).value == run.value


def test_reached_waits_until_it_holds_and_passes_where_it_does():
    """All that wait are woken at once."""

    async def waiting(name: str) -> None:
        await is_open.reached(f"wait[{name}]")
        await one(name)

    @process(subject=None)
    async def body() -> object:
        await parallel(opening(), waiting("a"), waiting("b"))
        await is_open.reach()
        return await is_open.reached("wait[c]")

    run = started(body)
    assert run.resting == ["work[open]"]
    run.give("work[open]")
    assert set(run.resting) == {"work[close]", "work[a]", "work[b]"}
    assert set(Driving.again(body, run).resting) == set(run.resting)
    for key in ("close", "b", "a"):
        run.give(f"work[{key}]")
    assert run.value is True
