"""`parallel`: everyone as far as they can, then rest; failures surface when all have ended."""

from __future__ import annotations

import pytest

from newel.base.errors import Cancelled
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.step import step
from tests.unit.flow.driving import Driving, started


@step
async def work(name: str) -> str:
    """Some work."""
    return name


async def two(name: str) -> str:
    """Two acts in a row."""
    first = await work[f"{name}1"](name)
    return first + await work[f"{name}2"](name)


def test_branches_start_in_order_and_each_goes_as_far_as_it_can():
    """A branch that rests holds up no other, and values come in the order of arguments."""

    @process(subject=None)
    async def body() -> object:
        return await parallel(two("a"), work["b"]("b"), None, two("c"))

    run = started(body)
    assert run.resting == ["work[a1]", "work[b]", "work[c1]"]
    run.give("work[c1]", "x")
    assert run.resting == ["work[a1]", "work[b]", "work[c2]"]
    run.give("work[c2]", "y")
    run.give("work[b]", "b")
    run.give("work[a1]", "p")
    run.give("work[a2]", "q")
    assert run.value == ("pq", "b", None, "xy")


@pytest.mark.parametrize("branches", [(), (None,), (None, None)])
def test_a_fork_without_acts_ends_at_once(branches):
    """Nothing to wait for: the join follows."""

    @process(subject=None)
    async def body() -> object:
        return await parallel(*branches)

    assert started(body).value == (None,) * len(branches)


def test_a_failure_surfaces_only_after_all_have_ended():
    """A failing branch cancels nobody; one failure alone is a group, too."""

    @process(subject=None)
    async def body() -> None:
        await parallel(work["a"]("a"), work["b"]("b"), work["c"]("c"))

    run = started(body)
    run.give("work[b]", error=ValueError("b"))
    assert run.resting == ["work[a]", "work[c]"]
    run.give("work[a]")
    assert not run.body.has_ended
    run.give("work[c]")
    assert isinstance(run.error, ExceptionGroup)
    assert [str(each) for each in run.error.exceptions] == ["b"]


def test_many_failures_are_raised_in_the_order_of_arguments():
    """Whatever came first by time, the group is the same."""

    @process(subject=None)
    async def body() -> list[str]:
        found: list[str] = []
        try:
            await parallel(work["a"]("a"), two("b"), work["c"]("c"))
        except* ValueError as many:
            found = [str(each) for each in many.exceptions]
        return found

    for order in (["a", "b1", "c"], ["c", "b1", "a"]):
        run = started(body)
        for name in order:
            run.give(f"work[{name}]", error=ValueError(name))
        assert run.value == ["a", "b1", "c"]


def test_a_branch_may_catch_its_own_failure():
    """What is handled in a branch is no failure of the fork."""

    async def careful() -> str:
        try:
            return await work["a"]("a")
        except ValueError:
            return "instead"

    @process(subject=None)
    async def body() -> object:
        return await parallel(careful(), work["b"]("b"))

    run = started(body)
    run.give("work[a]", error=ValueError("a"))
    run.give("work[b]", "b")
    assert run.value == ("instead", "b")


def test_forks_nest():
    """A branch that waits for its own branches rests, and joins when they have ended."""

    @process(subject=None)
    async def body() -> object:
        async def pair(name: str) -> object:
            return await parallel(work[f"{name}x"]("x"), work[f"{name}y"]("y"))

        return await parallel(pair("a"), pair("b"))

    run = started(body)
    for name in ("by", "ax", "ay", "bx"):
        run.give(f"work[{name}]", name)
    assert run.value == (("ax", "ay"), ("bx", "by"))


def test_a_cancelled_branch_outweighs_failures():
    """A fork that is cancelled unwinds as cancelled, after all of its branches have ended."""

    @process(subject=None)
    async def body() -> None:
        await parallel(work["a"]("a"), work["b"]("b"))

    run = started(body)
    run.give("work[a]", error=ValueError("a"))
    run.give("work[b]", error=Cancelled())
    assert isinstance(run.error, Cancelled)


def test_what_is_no_awaitable_is_the_branch_that_fails():
    """A mistake in one branch lets the others end first."""

    @process(subject=None)
    async def body() -> None:
        await parallel(5, work["b"]("b"))  # type: ignore[call-overload]  # the mistake under test

    run = started(body)
    assert run.resting == ["work[b]"]
    run.give("work[b]")
    assert isinstance(run.error, ExceptionGroup)
    assert isinstance(run.error.exceptions[0], TypeError)


def test_the_order_of_outcomes_decides_who_goes_on_first_in_a_replay():
    """Branches see the world in the order in which the journal has it, live and replayed."""
    seen: list[str] = []

    async def noisy(name: str) -> None:
        await work[name](name)
        seen.append(name)
        await work[f"{name}/2"](name)
        seen.append(f"{name}/2")

    @process(subject=None)
    async def body() -> None:
        await parallel(noisy("a"), noisy("b"), noisy("c"))

    run = started(body)
    for name in ("c", "a", "c%2F2", "b", "b%2F2", "a%2F2"):
        run.give(f"work[{name}]")
    live, seen[:] = list(seen), []
    assert live == ["c", "a", "c/2", "b", "b/2", "a/2"]
    Driving.again(body, run)
    assert seen == live
