"""`group`: branches that are added while others run (patterns document, §1)."""

from __future__ import annotations

import pytest

from newel.base.errors import Cancelled, DefinitionError, DuplicateKey
from newel.flow.groups import Group, group
from newel.flow.process import process
from tests.unit.flow.acting import one, two
from tests.unit.flow.driving import Driving, started


def test_members_run_beside_the_body_and_join_gives_values_in_order_of_arrival():
    """Each goes as far as it can while the body goes on."""

    @process(subject=None)
    async def body() -> object:
        async with group("g", str) as members:
            members.add(one("a"))
            await one("between")
            members.add(one("b"))
            return await members.join()

    run = started(body)
    assert run.resting == ["work[a]", "work[between]"]
    run.give("work[between]")
    run.give("work[b]", "B")
    run.give("work[a]", "A")
    assert run.value == ("B", "A")
    assert Driving.again(body, run).value == ("B", "A")


def test_join_with_need_ends_the_rest():
    """The decision, then the end of the others, which never act again."""

    @process(subject=None)
    async def body() -> object:
        async with group("g", str) as members:
            members.add(two("a"))
            members.add(one("b"))
            return await members.join(need=1)

    run = started(body)
    run.give("work[b]", "B")
    assert run.value == ("B",)
    assert isinstance(run.answered["work[a1]"][1].error, Cancelled)
    assert Driving.again(body, run).value == ("B",)


def test_join_with_need_may_let_the_rest_finish():
    """The end of the block waits for them."""

    @process(subject=None)
    async def body() -> object:
        async with group("g", str) as members:
            members.add(one("a"))
            members.add(one("b"))
            return await members.join(need=1, losers="finish")

    run = started(body)
    run.give("work[b]", "B")
    assert run.resting == ["work[a]"]
    run.give("work[a]", "A")
    assert run.value == ("B",)


def test_join_with_need_raises_what_failed_when_too_few_have_succeeded():
    """When all have ended, nothing more can come."""

    @process(subject=None)
    async def body() -> object:
        async with group("g", str) as members:
            members.add(one("a"))
            members.add(one("b"))
            try:
                await members.join(need=2)
            except ExceptionGroup as failed:
                return [str(each) for each in failed.exceptions]
        return None

    run = started(body)
    run.give("work[a]", error=ValueError("no"))
    assert run.resting == ["work[b]"]
    run.give("work[b]", "B")
    assert run.value == ["no"]
    assert Driving.again(body, run).value == ["no"]


def test_failures_that_nobody_has_seen_are_raised_at_the_end_of_the_block():
    """As one group, and after all have ended."""

    @process(subject=None)
    async def body() -> None:
        async with group("g") as members:
            members.add(one("a"))
            members.add(one("b"))

    run = started(body)
    run.give("work[a]", error=ValueError("no"))
    assert run.resting == ["work[b]"]
    run.give("work[b]")
    assert isinstance(run.error, ExceptionGroup)


@pytest.mark.parametrize("verb", ["complete", "cancel"])
def test_complete_and_cancel_end_the_open_members(verb):
    """`join` gives what the finished ones gave; the others end at their next act."""

    @process(subject=None)
    async def body() -> object:
        async with group("g", str) as members:
            members.add(one("a"))
            members.add(two("b"))
            await one("body")
            await (members.complete() if verb == "complete" else members.cancel())
            return await members.join()

    run = started(body)
    run.give("work[a]", "A")
    run.in_flight.add("work[b1]")
    run.give("work[body]")
    assert run.resting == ["work[b1]"]
    run.give("work[b1]", "late")
    assert run.value == ("A",)
    assert "work[b2]" not in run.reached_keys
    assert Driving.again(body, run).value == ("A",)


def test_a_member_may_add_members_also_while_the_block_ends():
    """The end of the block joins these, too."""

    async def growing(members: Group[str], left: int) -> str:
        if left:
            await one(f"grow{left}")
            members.add(growing(members, left - 1))
        return str(left)

    @process(subject=None)
    async def body() -> None:
        async with group("g", str) as members:
            members.add(growing(members, 2))

    run = started(body)
    run.give("work[grow2]")
    run.give("work[grow1]")
    assert run.error is None


def test_a_member_of_an_outer_group_is_beside_the_body_wherever_it_was_added():
    """One key in two branches beside each other is refused, whatever the order."""

    @process(subject=None)
    async def body() -> None:
        async with group("outer") as outer:
            async with group("inner"):
                outer.add(one("x"))
            with pytest.raises(DuplicateKey):
                await one("x")

    run = started(body)
    run.give("work[x]")
    assert run.error is None


def test_a_fault_that_is_caught_behind_the_block_leaves_the_members_running():
    """The body goes on at once, and the run is not over before they rest."""

    @process(subject=None)
    async def body() -> object:
        try:
            async with group("g") as members:
                members.add(two("a"))
                raise KeyError  # noqa: TRY301
        except KeyError:
            return await one("after")

    run = started(body)
    assert run.resting == ["work[a1]", "work[after]"]
    run.give("work[after]", "!")
    run.give("work[a1]", "a")
    assert not run.body.has_ended
    run.give("work[a2]", "a")
    assert run.value == "!"
    assert Driving.again(body, run).value == "!"


def test_a_group_is_used_inside_its_block():
    """Before and after it there is nobody to join what is added."""

    @process(subject=None)
    async def body() -> None:
        members = group("g", str)
        for _ in range(2):
            with pytest.raises(DefinitionError):
                members.add(one("x"))
            with pytest.raises(DefinitionError):
                await members.join()
            async with members:
                pass

    assert started(body).error is None


def test_a_join_that_waits_for_nothing_is_refused():
    """At least one success is worth waiting for."""

    @process(subject=None)
    async def body() -> None:
        async with group("g") as members:
            with pytest.raises(DefinitionError):
                await members.join(need=0)

    assert started(body).error is None
