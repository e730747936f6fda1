"""`lock`: one holder at a time, in order of request (patterns document, §1)."""

from __future__ import annotations

import pytest

from newel.base.errors import DuplicateKey
from newel.flow.locks import lock
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.scopes import scope
from tests.unit.flow.acting import one
from tests.unit.flow.driving import Driving, started

desk = lock("desk")
region = scope("region")


async def at_desk(name: str) -> str:
    """An act that needs the desk."""
    async with desk[name]:
        return await one(name)


def test_the_lock_is_given_in_order_of_request():
    """Who asks while it is held waits, and acquiring is a decision that every replay repeats."""

    @process(subject=None)
    async def body() -> object:
        return await parallel(at_desk("a"), at_desk("b"), at_desk("c"))

    run = started(body)
    for name in ("a", "b", "c"):
        assert run.resting == [f"work[{name}]"]
        assert f"desk[{name}]" in run.decided
        assert Driving.again(body, run).resting == [f"work[{name}]"]
        run.give(f"work[{name}]", name)
    assert run.value == ("a", "b", "c")
    assert Driving.again(body, run).value == run.value


def test_two_places_that_take_it_beside_each_other_need_a_subscript():
    """The lock is one; the keys must differ."""

    async def plain() -> None:
        async with desk:
            await one("x")

    @process(subject=None)
    async def body() -> None:
        await parallel(plain(), plain())

    run = started(body)
    run.give("work[x]")
    assert isinstance(run.error, ExceptionGroup)
    assert isinstance(run.error.exceptions[0], DuplicateKey)


@pytest.mark.parametrize("who", ["holder", "waiting"])
def test_a_cancelled_branch_neither_keeps_the_lock_nor_gets_it(who):
    """A holder gives it back on its way out; who waits leaves the queue."""

    async def cut(name: str) -> str:
        async with region:
            await at_desk(name)
        return "cut"

    async def clearing() -> None:
        await one("clear")
        await region.cancel()

    @process(subject=None)
    async def body() -> object:
        branches = (cut, at_desk) if who == "holder" else (at_desk, cut)
        return await parallel(clearing(), branches[0]("a"), branches[1]("b"), at_desk("c"))

    run = started(body)
    run.give("work[clear]")
    if who == "holder":
        run.give("work[b]", "b")
    else:
        run.give("work[a]", "a")
    run.give("work[c]", "c")
    assert run.value == (None, *(("cut", "b", "c") if who == "holder" else ("a", "cut", "c")))
    assert Driving.again(body, run).value == run.value


@pytest.mark.parametrize("ends", [True, False], ids=["a business end", "a fault"])
def test_a_failure_inside_gives_the_lock_back_unless_it_is_a_fault(ends):
    """The next in order gets it; behind a fault the state is half done, and nobody enters."""

    @process(subject=None, raises=ValueError if ends else ())
    async def body() -> None:
        await parallel(at_desk("a"), at_desk("b"))

    run = started(body)
    run.give("work[a]", error=ValueError("no"))
    assert run.resting == (["work[b]"] if ends else [])


def test_who_waits_for_itself_is_found_out():
    """Nothing that the world does could let the body go on."""

    @process(subject=None)
    async def body() -> None:
        async with desk["outer"], desk["inner"]:
            await one("never")

    run = started(body)
    assert run.body.is_stuck
    assert run.body.waits_for() == ["desk[inner]"]
