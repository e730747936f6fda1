"""Reading a body's source: which steps it calls, and who needs their results."""

from __future__ import annotations

from typing import Any

import pytest

import newel
from newel.flow.parallel import parallel
from newel.flow.process import Process, process
from newel.flow.reading import name_of, result_is_unused, result_of, sites
from newel.flow.step import Step, step


@step
async def make(name: str) -> str:
    """Give text."""
    return name


@step
async def tell(name: str) -> None:
    """Give nothing."""


@step
async def maybe(name: str) -> str | None:
    """Give text or nothing."""
    return name


class Desk:
    """A connector."""

    name = "desk"

    @step
    async def grant(self, item: str) -> str:
        """Give text."""
        return item


desk = Desk()


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("make", "make"),
        ("make#2", "make"),
        ("desk.grant[a]", "desk.grant"),
        ("left/make", "make"),
        ("a/b/desk.grant[x]#3", "desk.grant"),
        ("undo/make", "make"),
        ("make[a#b]", "make"),
    ],
)
def test_the_name_inside_a_key(key, name):
    """Sections, subscript and counter are taken off."""
    assert name_of(key) == name


async def helper(name: str) -> str:
    """Helpers that the body calls are read, too."""
    await make["in helper"](name)
    return name


@process(subject=None)
async def bare() -> None:
    """Nobody looks at the results."""
    await make("a")
    _ = await desk.grant("b")


@process(subject=None)
async def used() -> str:
    """Somebody does."""
    first = await make("a")
    await desk.grant(first)
    return first


@process(subject=None)
async def mixed() -> str:
    """One of two calls is used."""
    await make["x"]("a")
    return await make["y"]("b")


@process(subject=None)
async def branches() -> str:
    """Branches are looked at one by one."""
    one, _ = await parallel(make("a"), desk.grant["x"]("b"))
    return one


@process(subject=None)
async def bare_branches() -> None:
    """Nobody looks at what the branches give; one is chosen, one is one of many."""
    await parallel(make("a") if desk.name else None, *[desk.grant[each](each) for each in "ab"])


@process(subject=None)
async def helped() -> None:
    """The step stands in a helper."""
    await helper("a")


@process(subject=None)
async def fine_with_nothing() -> bool:
    """The result may be None in any case."""
    await tell("x")
    return await maybe("x") is None


@pytest.mark.parametrize(
    ("body", "key", "may_be_skipped"),
    [
        (bare, "make", True),
        (bare, "desk.grant", True),
        (used, "make", False),
        (used, "desk.grant[b]", True),
        (mixed, "make[x]", False),
        (branches, "make", False),
        (branches, "desk.grant[x]", True),
        (bare_branches, "make", True),
        (bare_branches, "desk.grant[a]", True),
        (helped, "make[in helper]", True),
        (fine_with_nothing, "maybe", True),
        (fine_with_nothing, "tell", True),
        (used, "unknown", False),
    ],
)
def test_a_step_may_be_skipped_where_nobody_needs_its_result(body, key, may_be_skipped):
    """A bare await, a target named `_`, or a type that admits None; in doubt it may not."""
    assert result_is_unused(body, key) is may_be_skipped


def test_a_branch_that_is_used_by_its_place_is_used():
    """The whole tuple under one name keeps every branch needed."""

    @process(subject=None)
    async def kept() -> str:
        both = await parallel(make("a"), desk.grant("b"))
        return both[0]

    assert not result_is_unused(kept, "make")
    assert not result_is_unused(kept, "desk.grant")


def test_the_type_of_a_result_is_known_before_any_run_has_reached_it():
    """Completing by hand is checked against the step as the code has it now."""
    codec = result_of(used, "left/make#2")
    assert codec is not None
    assert codec.load(b'"x"') == "x"
    assert result_of(used, "unknown") is None


def test_all_steps_of_a_process_are_seen_by_name():
    """Also in branches and helpers."""
    assert set(sites(branches)) == {"make", "desk.grant"}
    assert set(sites(helped)) == {"make"}


def test_both_sides_of_a_choice_are_seen():
    """A branch that is one step or another, however `parallel` is spelled."""

    @process(subject=None)
    async def choosing() -> None:
        await newel.parallel(make("a") if desk.name else desk.grant("b"), tell("c"))

    assert set(sites(choosing)) == {"make", "desk.grant", "tell"}
    assert result_is_unused(choosing, "desk.grant")


def test_what_cannot_be_read_is_passed_over():
    """A helper that calls itself, a call of a call, an await of a name: nothing is guessed."""

    async def again(depth: int) -> None:
        await tell("x")
        if depth:
            await again(depth - 1)

    def chosen(_: str) -> Step[[str], None]:
        return tell

    @process(subject=None)
    async def odd() -> None:
        await again(2)
        await chosen("y")("z")
        act = make("later")
        await act

    assert set(sites(odd)) == {"tell"}


def test_code_without_source_has_no_sites():
    """Made at run time, there is nothing to read; nothing may be skipped."""
    scope: dict[str, Any] = {"make": make}
    exec("async def made() -> None:\n    await make('a')\n", scope)
    made: Process[[], None] = process(subject=None)(scope["made"])
    assert sites(made) == {}
    assert not result_is_unused(made, "make")
