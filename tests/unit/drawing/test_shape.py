"""Handlers, deadlines, people and promises: each rule has a bad sample and a good twin."""

from __future__ import annotations

from typing import Any

import pytest

from newel import Overdue, Process, StepFailed, approval, days, parallel, process, step, team
from newel.base.errors import ProcessError
from newel.drawing.drawing import drawing_of


class NoSeat(ProcessError):
    """There is no seat left."""


@step(in_doubt="repeat", raises=NoSeat, system="seats", runbook="seats.md")
async def seat(name: str) -> str:
    """Take a seat."""
    return name


@process(subject=None, owner="it")
async def f405_bad() -> None:
    """A plain handler around branches."""
    try:
        await parallel(seat["a"]("a"), seat["b"]("b"))
    except NoSeat:
        await seat["1"]("x")


@process(subject=None, owner="it")
async def f405_good() -> None:
    """A handler that opens the group; and a plain one around a plain act."""
    try:
        await parallel(seat["a"]("a"), seat["b"]("b"))
    except* NoSeat:
        await seat["2"]("x")
    try:
        await seat["c"]("c")
    except NoSeat:
        await seat["3"]("x")


@process(subject=None, owner="it")
async def f406_bad() -> None:
    """Nothing here can be overdue."""
    try:
        await approval("ask", by=team("it"))
    except Overdue:
        await seat["4"]("x")


@process(subject=None, owner="it")
async def f407_bad() -> None:
    """Silence fails the run."""
    await approval("ask", by=team("it"), within=days(2))


@process(subject=None, owner="it")
async def f407_good() -> None:
    """Silence is handled, here and by the caller of a helper."""
    try:
        await approval("ask", by=team("it"), within=days(2))
    except Overdue:
        await seat["5"]("x")
    try:
        await asked()
    except (Overdue, StepFailed):
        await seat["6"]("x")


async def asked() -> None:
    """Ask somebody else."""
    await approval("other", by=team("it"), within=days(2))


@process(subject=None, owner="it")
async def f407_allowed() -> None:
    """Silence may fail the run, and the author says why."""
    await approval("ask", by=team("it"), within=days(2))  # newel: allow F407 because it may end


@process(subject=None, owner="it")
async def f410_bad() -> None:
    """A helper that never ends."""
    await over()


async def over() -> None:
    """Begin again and again."""
    await seat["again"]("x")
    await over()


@process(subject=None, owner="it")
async def f502_bad(manager: str) -> None:
    """One person alone, for ever."""
    await approval("ask", by=manager)


@process(subject=None)
async def f503_bad() -> None:
    """Nobody answers for it."""
    await seat("a")


CASES: list[tuple[Process[..., Any], str | None]] = [
    (f405_bad, "`except NoSeat` never catches here: `parallel` raises a group."),
    (f405_good, None),
    (f406_bad, "Nothing in this block can end with `Overdue`."),
    (f407_bad, "`ask` has a deadline, and nobody handles that it passes."),
    (f407_good, None),
    (f407_allowed, None),
    (f410_bad, "`over` calls itself without a bound and without a wait."),
    (f502_bad, "One person alone is asked `ask`, without deadline or reminder."),
    (f503_bad, "Nobody answers for `f503_bad`."),
]


@pytest.mark.parametrize(("case", "what"), CASES, ids=lambda case: getattr(case, "name", ""))
def test_a_rule_of_shape_finds_the_bad_sample_and_leaves_the_good_one(
    case: Process[..., Any], what: str | None
) -> None:
    """Code, words and fix are said for the bad sample; its twin is silent."""
    found = drawing_of(case).findings
    if what is None:
        assert found == ()
        return
    (only,) = found
    assert only.code == case.name[:4].upper()
    assert only.what == what
    assert only.fix


def test_a_silenced_warning_keeps_its_reason():
    """What an author allows is kept with the reason, for whoever reads the dossier."""
    (allowed,) = drawing_of(f407_allowed).allowed
    assert (allowed.code, allowed.reason) == ("F407", "it may end")
