"""R14: branch and merge back."""

from __future__ import annotations

import itertools

import pytest

from newel import Invalid, days, first_of, parallel, process, step, timer
from newel.testing import every_crash, running

done: list[str] = []
broken: set[str] = set()


@step(in_doubt="repeat")
async def act(what: str) -> str:
    """Do something, unless it cannot be done."""
    if what in broken:
        raise Invalid(f"{what} cannot be done")
    done.append(what)
    return what


async def long_branch() -> str:
    """Three acts with a night between them."""
    await act["long-1"]("long-1")
    await timer("night", after=days(1))
    await act["long-2"]("long-2")
    return await act["long-3"]("long-3")


@process(subject=None, owner="it")
async def merging(*, has_long: bool, has_short: bool) -> tuple[str | None, str | None, None]:
    """Branches of three acts, of one and of none meet in one join."""
    met = await parallel(
        long_branch() if has_long else None,
        act["short"]("short") if has_short else None,
        None,
    )
    await act["join"]("join")
    return met


@pytest.fixture(autouse=True)
def _nothing_done():
    done.clear()
    broken.clear()


@pytest.mark.parametrize(("has_long", "has_short"), [*itertools.product([True, False], repeat=2)])
async def test_unequal_and_empty_branches_join_once(has_long, has_short):
    """R14: what follows the branches runs once, after the last act of all of them."""

    async def play(crash=None):
        async with running(
            merging.request(has_long=has_long, has_short=has_short), crash=crash
        ) as run:
            assert ("act[join]" in run.done()) is not has_long
            run.clock.advance(days(2))
            assert await run.result() == (
                "long-3" if has_long else None,
                "short" if has_short else None,
                None,
            )
            ended = [key for kind, key in run.trace() if kind == "step.succeeded"]
            assert len(ended) == 3 * has_long + has_short + 1
            assert ended[-1] == "act[join]"

    for crash in await every_crash(play):
        await play(crash)


async def test_a_parked_branch_is_waited_for():
    """R14, policy "wait" (default): the other branches end, the join comes after the healing."""
    broken.add("short")
    async with running(merging.request(has_long=True, has_short=True)) as run:
        run.clock.advance(days(2))
        assert (run.state, set(run.parked())) == ("parked", {"act[short]"})
        assert done == ["long-1", "long-2", "long-3"]
        broken.clear()
        await run.retry("act[short]")
        assert await run.result() == ("long-3", "short", None)
        assert done[-2:] == ["short", "join"]


@process(subject=None, owner="it")
async def going_on() -> tuple[str, str]:
    """As above; but after three days the join goes on, and the gap is an outcome of the run."""
    first, second = await parallel(
        act["ready"]("ready"),
        first_of(
            "short-or-gap",
            short=act["short"]("short"),
            gap=timer("patience", after=days(3)),
            losers="finish",
        ),
    )
    await act["join"]("join")
    return first, second.name


async def test_a_parked_branch_is_passed_by_with_a_gap_that_is_recorded():
    """R14, policy "go on with a gap recorded": it is said with `first_of`, nothing is lost."""

    async def play(crash=None):
        done.clear()
        broken.add("short")
        async with running(going_on.request(), crash=crash) as run:
            assert "act[join]" not in run.done()
            run.clock.advance(days(4))
            assert "act[join]" in run.done()
            assert set(run.parked()) == {"act[short]"}
            (gap,) = [leaf for leaf in run.audit() if leaf["type"] == "act.recorded"]
            assert gap["step"]["key"] == "short-or-gap"
            broken.clear()
            await run.retry("act[short]")
            assert await run.result() == ("ready", "gap")
            ended = [key for kind, key in run.trace() if kind == "step.succeeded"]
            assert ended == ["act[ready]", "act[join]", "act[short]"]

    for crash in await every_crash(play):
        await play(crash)
