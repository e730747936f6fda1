"""`first_of` and `n_of`: who decides, what becomes of the others (patterns document, §1)."""

from __future__ import annotations

import pytest

from newel.base.errors import Cancelled, DefinitionError, DuplicateKey
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.races import first_of, n_of
from newel.flow.scopes import scope
from tests.unit.flow.acting import one, two, work
from tests.unit.flow.driving import Driving, started

region = scope("region")


@process(subject=None)
async def race() -> object:
    """Two branches, of which the first decides."""
    won = await first_of("race", a=two("a"), b=one("b"))
    return won.name, won.value


def test_the_first_branch_that_ends_decides_and_every_replay_decides_the_same():
    """The loser's open act is closed at once, and never starts another one."""
    run = started(race)
    run.give("work[b]", "B")
    assert run.value == ("b", "B")
    assert isinstance(run.answered["work[a1]"][1].error, Cancelled)
    assert "work[a2]" not in run.reached_keys
    assert run.answered["work[a1]"][0] > run.decided["race"].seq > run.answered["work[b]"][0]
    assert Driving.again(race, run).value == run.value


def test_an_exception_decides_too():
    """It is raised where the race is awaited."""
    run = started(race)
    run.give("work[b]", error=ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        run.value  # noqa: B018


def test_a_call_in_flight_is_not_broken_off_and_changes_nothing():
    """The loser ends with its act, whatever that gives; the body has gone on long before."""

    @process(subject=None)
    async def body() -> object:
        won = await first_of("race", a=two("a"), b=one("b"))
        return won.name + await one("after")

    run = started(body)
    run.in_flight.add("work[a1]")
    run.give("work[b]", "B")
    assert run.resting == ["work[a1]", "work[after]"]
    run.give("work[a1]", "A")
    assert run.resting == ["work[after]"]
    run.give("work[after]", "!")
    assert run.value == "b!"


def test_a_branch_without_acts_decides_at_once_and_later_ones_do_not_begin():
    """A tie goes to source order."""

    async def nothing() -> str:
        return "at once"

    @process(subject=None)
    async def body() -> object:
        won = await first_of("race", a=one("a"), b=nothing(), c=one("c"))
        return won.name

    run = started(body)
    assert run.value == "b"
    assert run.reached_keys == ["work[a]"]
    assert Driving.again(body, run).value == "b"


def test_stragglers_finish_beside_what_follows():
    """`rest()` waits for them; until then their keys are theirs, and the run is not over."""

    @process(subject=None)
    async def body() -> object:
        won = await first_of("race", a=one("a"), b=one("b"), losers="finish")
        with pytest.raises(DuplicateKey):
            await one("b")
        after = await one("after")
        await won.rest()
        return after + await one("b")

    run = started(body)
    run.give("work[a]", "A")
    assert run.resting == ["work[b]", "work[after]"]
    run.give("work[after]", "!")
    assert run.resting == ["work[b]"]
    run.give("work[b]", "late")
    run.give("work[b]#2", "B")
    assert run.value == "!B"
    assert Driving.again(body, run).value == "!B"


def test_the_run_ends_only_when_stragglers_rest():
    """A body that has returned waits for what it has left running."""

    @process(subject=None)
    async def body() -> object:
        return (await first_of("race", a=one("a"), b=two("b"), losers="finish")).name

    run = started(body)
    run.give("work[a]")
    assert not run.body.has_ended
    run.give("work[b1]", "b")
    run.give("work[b2]", "b")
    assert run.value == "a"


def test_a_fault_of_a_straggler_is_heard():
    """Nobody waits for it any more, and it is no less a fault."""

    @process(subject=None)
    async def body() -> object:
        await first_of("race", a=one("a"), b=one("b"), losers="finish")
        return await one("after")

    run = started(body)
    run.give("work[a]")
    run.give("work[b]", error=KeyError("bug"))
    assert isinstance(run.body.stray, KeyError)


def test_n_of_goes_on_with_the_first_successes_in_order_of_arrival():
    """A failure counts for nothing as long as n can be reached."""

    @process(subject=None)
    async def body() -> object:
        some = await n_of("some", 2, one("a"), one("b"), one("c"), one("d"))
        return some.values, [str(each) for each in some.failed]

    run = started(body)
    run.give("work[d]", "D")
    run.give("work[b]", error=ValueError("b"))
    run.give("work[a]", "A")
    assert run.value == (("D", "A"), ["b"])
    assert isinstance(run.answered["work[c]"][1].error, Cancelled)
    assert Driving.again(body, run).value == run.value


@process(subject=None)
async def reached_or_failed() -> object:
    """How many failures have put the second success out of reach."""
    try:
        await n_of("some", 2, one("a"), one("b"), one("c"))
    except ExceptionGroup as failed:
        return len(failed.exceptions)
    return None


def test_n_of_raises_its_failures_as_soon_as_n_is_out_of_reach():
    """The branch that could not have changed it is ended."""
    run = started(reached_or_failed)
    run.give("work[a]", error=ValueError("a"))
    assert run.resting == ["work[b]", "work[c]"]
    run.give("work[c]", error=ValueError("c"))
    assert run.value == 2
    assert isinstance(run.answered["work[b]"][1].error, Cancelled)


@pytest.mark.parametrize("make", [
    lambda: first_of("race"),
    lambda: n_of("some", 0),
    lambda: n_of("some", 1),
    lambda: first_of("race", losers="stop", a=work["a"]("a")),  # type: ignore[arg-type]
])  # fmt: skip
def test_a_race_that_could_never_be_decided_is_refused(make):
    """Before anything is asked."""
    with pytest.raises(DefinitionError):
        make()


def test_a_loser_told_by_a_scope_first_still_ends_with_its_race():
    """The scope inside it goes on behind its block, but the branch has lost by then."""

    async def loser() -> None:
        async with region:
            await parallel(one("a"), one("b"))
        await one("after")

    async def clearing() -> None:
        await one("clear")
        await region.cancel()

    @process(subject=None)
    async def body() -> object:
        _, won = await parallel(clearing(), first_of("race", lost=loser(), won=one("w")))
        return won.name

    run = started(body)
    run.in_flight.add("work[b]")
    run.give("work[clear]")
    run.give("work[w]")
    run.give("work[b]")
    assert run.value == "won"
    assert "work[after]" not in run.reached_keys
    assert Driving.again(body, run).value == "won"
