"""`scope`: a region that is cancelled while branches stand inside (patterns document, §1, §2)."""

from __future__ import annotations

import pytest

from newel.base.errors import DefinitionError
from newel.flow.groups import group
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.races import n_of
from newel.flow.scopes import scope
from tests.unit.flow.acting import one, two
from tests.unit.flow.driving import Driving, started

region = scope("region")


async def inside(name: str) -> tuple[str, bool]:
    """A block of the region, and an act behind it."""
    async with region:
        await two(name)
    was_cut = region.cancelled
    return await one(f"{name}.after"), was_cut


async def clearing() -> None:
    """Cancel the region when an act has ended."""
    await one("clear")
    await region.cancel()


def test_cancelling_ends_what_stands_inside_and_goes_on_behind_each_block():
    """`cancelled` tells the branch which way its block was left."""

    @process(subject=None)
    async def body() -> object:
        return await parallel(clearing(), inside("a"), inside("b"))

    run = started(body)
    for key in ("a1", "a2"):
        run.give(f"work[{key}]", key)
    run.give("work[clear]")
    assert run.resting == ["work[a.after]", "work[b.after]"]
    run.give("work[a.after]", "a")
    run.give("work[b.after]", "b")
    assert run.value == (None, ("a", False), ("b", True))
    assert "work[b2]" not in run.reached_keys
    assert Driving.again(body, run).value == run.value


def test_who_cancels_from_inside_ends_too():
    """Its own block is left at once."""

    @process(subject=None)
    async def body() -> object:
        async with region:
            await region.cancel()
            await one("never")
        return region.cancelled

    run = started(body)
    assert run.value is True
    assert run.reached_keys == []


def test_an_act_in_a_finally_is_protected_from_the_cancellation_that_brought_it():
    """It is an ordinary act, and the block is left when it has ended."""

    @process(subject=None)
    async def body() -> object:
        await parallel(clearing(), tidy())
        return await one("end")

    async def tidy() -> None:
        async with region:
            try:
                await one("a")
            finally:
                await one("tidy")

    run = started(body)
    run.give("work[clear]")
    assert run.resting == ["work[tidy]"]
    run.give("work[tidy]")
    assert run.resting == ["work[end]"]


async def within() -> None:
    """A branch with a block of its own."""
    async with region:
        await one("a")
    await one("never")


async def around_a_branch() -> None:
    """A block around a branch with another one."""
    async with region:
        await parallel(within(), one("c"))
        await one("never")


async def around_a_block() -> None:
    """A block around another one."""
    async with region:
        async with region:
            await one("a")
        await one("never")


@pytest.mark.parametrize("stands", [around_a_branch, around_a_block])
def test_where_one_block_stands_in_another_of_the_same_scope_the_outer_one_ends(stands):
    """A branch goes on behind the outermost block, not in the middle of it."""

    async def standing() -> object:
        await stands()
        return await one("after")

    @process(subject=None)
    async def body() -> object:
        return await parallel(clearing(), standing())

    run = started(body)
    run.give("work[clear]")
    assert run.resting == ["work[after]"]
    assert "work[never]" not in run.reached_keys
    run.give("work[after]")
    assert Driving.again(body, run).value == run.value


def test_a_scope_with_nobody_inside_is_cancelled_for_nothing():
    """Whoever steps in later stays."""

    @process(subject=None)
    async def body() -> object:
        await region.cancel()
        async with region:
            await one("a")
        return region.cancelled

    run = started(body)
    run.give("work[a]")
    assert run.value is False


def test_a_fault_beside_a_cancelled_branch_is_heard():
    """The cancellation ends the block, and does not hide what went wrong on the way out."""

    async def broken() -> None:
        try:
            await one("a")
        finally:
            raise KeyError("bug")

    @process(subject=None)
    async def body() -> None:
        await parallel(clearing(), standing())
        await one("end")

    async def standing() -> None:
        async with region:
            await parallel(broken(), one("b"))

    run = started(body)
    run.give("work[clear]")
    assert isinstance(run.body.stray, KeyError)


def test_the_name_of_promises_is_reserved():
    """`undo` is a label of its own."""
    with pytest.raises(DefinitionError):
        scope("undo")


def test_cancelling_does_not_reach_what_a_member_left_behind_outside_the_block():
    """A straggler belongs where its race was opened, whoever waits for it once that has ended."""

    async def member() -> None:
        await one("begin")
        await n_of("quick", 1, one("winner"), one("straggler"), losers="finish")

    @process(subject=None)
    async def body() -> object:
        async with group("members") as members:
            members.add(member())
            async with region:
                await one("inside")
                await region.cancel()
            return region.cancelled

    run = started(body)
    run.give("work[begin]")  # the race is opened while the body stands in the block
    run.give("work[winner]")  # and the member ends
    run.give("work[inside]")
    assert run.resting == ["work[straggler]"]
    run.give("work[straggler]")
    assert run.value is True
    assert Driving.again(body, run).value is True
