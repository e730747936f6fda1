"""The critical path: which steps wait for each other, whatever stands beside them."""

from __future__ import annotations

import pytest

from newel import (
    Invalid,
    approval,
    compensation,
    days,
    first_of,
    group,
    parallel,
    process,
    section,
    step,
    team,
    timer,
)
from newel.drawing.critical import said
from newel.drawing.plan import planned


@step(in_doubt="repeat")
async def do(what: str) -> str:
    """Do something."""
    return what


@step(in_doubt="repeat", raises=Invalid)
async def risk(what: str) -> str:
    """Do something that may be answered with no."""
    return what


@step(in_doubt="repeat")
async def undo_it(what: str) -> None:
    """Put it back."""


async def two(name: str) -> None:
    """Two steps, one after another, in a section of their own."""
    with section("two"):
        await do["first"](name)
        await do["second"](name)


@process(subject=None, owner="it")
async def beside(names: tuple[str, ...]) -> None:
    """The longer branch counts, people and moments do not."""
    await do["before"]("x")
    await parallel(do["short"]("x"), two("y"), *[do[f"n-{each}"](each) for each in names])
    await approval("agreed", by=team("it"))
    await timer("later", after=days(1))
    await do["after"]("x")


@process(subject=None, owner="it")
async def chosen(is_long: bool) -> None:
    """Only the arm that is taken counts."""
    if is_long:
        await two("x")
    else:
        await do["short"]("x")


@process(subject=None, owner="it")
async def asked(names: tuple[str, ...]) -> None:
    """Nobody knows which arm it will be: the longest counts; items come one after another."""
    decision = await approval("agreed", by=team("it"))
    if decision.approved:
        await do["short"]("x")
    else:
        for each in names:
            await do[each](each)


@process(subject=None, owner="it")
async def mended(what: str) -> None:
    """What follows a failure may come; promises are no part of what is to be done."""
    async with compensation() as undo:
        undo(undo_it, what)
        try:
            await risk(what)
        except Invalid:
            await do["instead"](what)
            return
        finally:
            await do["always"](what)


@process(subject=None, owner="it")
async def grown() -> None:
    """A member of a group runs beside what follows it in the block."""
    async with group("all") as members:
        await do["begin"]("x")
        members.add(two("x"))
        await do["beside"]("x")
    await do["end"]("x")


@process(subject=None, owner="it")
async def raced() -> None:
    """Whoever decides, no race takes longer than its longest branch."""
    await first_of("race", one=do["one"]("x"), other=two("x"))


WAYS = [
    (beside.request(("a", "b")), ["do[before]", "two/do[first]", "two/do[second]", "do[after]"]),
    (chosen.request(is_long=True), ["two/do[first]", "two/do[second]"]),
    (chosen.request(is_long=False), ["do[short]"]),
    (asked.request(("a", "b", "c")), ["do[a]", "do[b]", "do[c]"]),
    (mended.request("x"), ["risk", "do[instead]", "do[always]"]),
    (grown.request(), ["do[begin]", "two/do[first]", "two/do[second]", "do[end]"]),
    (raced.request(), ["two/do[first]", "two/do[second]"]),
]


@pytest.mark.parametrize(("request_", "row"), WAYS, ids=lambda way: getattr(way, "process", None))
def test_the_longest_row_is_found(request_, row):
    """By key, in the order in which they come."""
    assert [each.key or each.node for each in planned(request_).critical] == row


def test_it_is_said_in_one_sentence_where_anything_waits():
    """With the number of steps; of one step nothing is said."""
    assert said(planned(chosen.request(is_long=True)).critical) == (
        "The longest row has 2 steps: two/do[first] → two/do[second]."
    )
    assert said(planned(chosen.request(is_long=False)).critical) == ""
