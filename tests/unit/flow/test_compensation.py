"""`compensation`: promises kept where a block does not end well (authoring document, §9)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newel.base.errors import Cancelled, DefinitionError, Overdue
from newel.flow.compensation import compensation
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.races import first_of
from newel.flow.step import step
from newel.flow.waits import timer
from tests.unit.flow.acting import one, work
from tests.unit.flow.driving import START, Driving, started


@step
async def put_back(name: str) -> None:
    """Undo what was done."""


async def promising() -> str:
    """Two acts, each with its promise."""
    async with compensation() as undo:
        undo(put_back["a"], "a")
        await work["a"]("a")
        undo(put_back["b"], "b")
        return await work["b"]("b")


@process(subject=None)
async def alone() -> object:
    """The block by itself."""
    return await promising()


def test_a_block_that_ends_well_drops_its_promises():
    """Nothing is undone."""
    run = started(alone)
    run.give("work[a]")
    run.give("work[b]", "B")
    assert run.value == "B"


def test_a_declared_end_keeps_them_newest_first_and_goes_on():
    """One after another, each an act of its own under `undo/`."""
    run = started(alone)
    run.give("work[a]")
    run.give("work[b]", error=Overdue("work[b]", START))
    assert run.resting == ["undo/put_back[b]"]
    run.give("undo/put_back[b]")
    assert run.resting == ["undo/put_back[a]"]
    run.give("undo/put_back[a]")
    assert isinstance(run.error, Overdue)
    assert isinstance(Driving.again(alone, run).error, Overdue)


def test_only_what_was_promised_until_then_is_undone():
    """A promise comes before its act."""
    run = started(alone)
    run.give("work[a]", error=Overdue("work[a]", START))
    run.give("undo/put_back[a]")
    assert isinstance(run.error, Overdue)
    assert "undo/put_back[b]" not in run.reached_keys


def test_a_fault_undoes_nothing():
    """A bug is no end."""
    run = started(alone)
    run.give("work[a]", error=KeyError("bug"))
    assert isinstance(run.error, KeyError)
    assert run.reached_keys == ["work[a]"]


def test_a_cancelled_branch_keeps_its_promises_whatever_cancels_it_again():
    """No second cancellation reaches an undoing act."""

    async def outer() -> str:
        await first_of("inner", a=promising(), b=one("first"))
        return await one("after")

    @process(subject=None)
    async def body() -> object:
        return (await first_of("outer", a=outer(), b=one("second"))).name

    run = started(body)
    run.give("work[first]")
    run.give("work[second]")
    assert run.resting == ["undo/put_back[a]"]
    assert not run.body.has_ended
    run.give("undo/put_back[a]")
    assert run.value == "b"


def test_undoing_begins_when_all_that_the_block_has_opened_has_ended():
    """It never races with the act that it undoes."""

    @process(subject=None)
    async def body() -> None:
        async with compensation() as undo:
            undo(put_back["a"], "a")
            await first_of("race", a=work["a"]("a"), b=one("b"), losers="finish")
            raise Overdue("x", START)

    run = started(body)
    run.give("work[b]")
    assert run.resting == ["work[a]"]
    run.give("work[a]")
    assert run.resting == ["undo/put_back[a]"]


def test_the_remaining_promises_are_kept_where_one_fails():
    """Its failure goes on, with what ended the block behind it."""
    run = started(alone)
    run.give("work[a]")
    run.give("work[b]", error=Overdue("work[b]", START))
    run.give("undo/put_back[b]", error=ValueError("stuck"))
    run.give("undo/put_back[a]")
    assert isinstance(run.error, ValueError)
    assert isinstance(run.error.__cause__, Overdue)


def test_blocks_nest_inner_promises_first():
    """The outer ones follow."""

    @process(subject=None)
    async def body() -> None:
        async with compensation() as undo:
            undo(put_back["outer"], "outer")
            await promising()

    run = started(body)
    run.give("work[a]", error=Overdue("x", START))
    run.give("undo/put_back[a]")
    assert run.resting == ["undo/put_back[outer]"]


def test_a_cancelled_act_of_the_same_branch_is_told_before_undoing():
    """A branch cancelled at an open wait undoes what it did before."""

    async def waiting() -> None:
        async with compensation() as undo:
            undo(put_back["a"], "a")
            await work["a"]("a")
            await timer("pause", after=timedelta(hours=1))

    @process(subject=None)
    async def body() -> object:
        won = await first_of("race", a=parallel(waiting(), one("c")), b=one("b"))
        return won.name

    run = started(body)
    run.give("work[a]")
    run.give("work[b]")
    assert isinstance(run.answered["pause"][1].error, Cancelled)
    assert run.resting == ["undo/put_back[a]"]
    run.give("undo/put_back[a]")
    assert run.value == "b"


def test_only_steps_can_be_promised():
    """The outcome of anything else would not be kept."""

    async def helper() -> None:
        """No step."""

    with pytest.raises(DefinitionError):
        compensation()(helper)
