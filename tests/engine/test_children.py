"""Child runs and shared locks: started once, ended with their parent, woken by one another."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from newel import (
    ChildFailed,
    approval,
    compensation,
    days,
    first_of,
    lock,
    parallel,
    process,
    spawn,
    step,
    team,
    timer,
)
from newel.base.errors import Rejected, SelfApproval
from newel.testing import every_crash, running
from newel.testing.running import OPERATOR

done: list[str] = []


@step(in_doubt="repeat")
async def note(what: str) -> str:
    """Write down that something was done."""
    done.append(what)
    return what


@process(subject=None, owner="it")
async def errand(what: str) -> str:
    """A child: asks, then does."""
    async with compensation() as undo:
        undo(note["undo"], f"undo {what}")
        decision = await approval("may", by=team("it"))
        if not decision.approved:
            raise Rejected(decision)
        return await note["do"](what)


@process(subject=None, owner="it")
async def parent(what: str) -> str:
    """Waits for a child."""
    try:
        return await errand(what)
    except ChildFailed:
        return "the child failed"


@process(subject=None, owner="it")
async def starter(names: tuple[str, ...]) -> int:
    """Starts children, and does not wait."""
    for name in names:
        await spawn(errand[name], name)
    return len(names)


@process(subject=None, owner="it")
async def collector(names: tuple[str, ...]) -> tuple[str, ...]:
    """Starts two children, and waits for both."""
    first = await spawn(errand["a"], names[0])
    second = await spawn(errand["b"].request(names[1]), with_parent=True)
    return await parallel(first.result(), second.result())


@process(subject=None, owner="it")
async def family(what: str) -> str:
    """Starts a child that lives with it, which waits for one of its own."""
    child = await spawn(parent.request(what), with_parent=True)
    return await child.result()


@process(subject=None, owner="it", within=days(2), overdue="cancel")
async def hasty(what: str) -> str:
    """The same, and no longer than two days."""
    child = await spawn(parent.request(what), with_parent=True)
    return await child.result()


@process(subject=None, owner="it")
async def parting(what: str) -> None:
    """Starts a child on its way out, which does not end with it."""
    try:
        await approval("never", by=team("it"))
    finally:
        await spawn(errand.request(what), with_parent=True)


@process(subject=None, owner="it")
async def impatient(what: str) -> str:
    """Waits for a child for two days."""
    won = await first_of("which", child=errand(what), late=timer("late", after=timedelta(days=2)))
    return won.name


@pytest.fixture(autouse=True)
def _nothing_done():
    done.clear()


async def test_a_child_awaited_gives_its_value():
    """The parent rests while the child asks somebody, and goes on with what it came to."""
    async with running(parent.request("tea"), processes=[errand]) as run:
        assert run.waiting() == {"errand"}
        (child,) = run.runs("errand")
        await child.decide("may", approved=True)
        assert await run.result() == "tea"
        assert await child.result() == "tea"


async def test_a_child_that_fails_is_told_to_its_parent():
    """A declared end of the child is ChildFailed in the parent."""
    async with running(parent.request("tea"), processes=[errand]) as run:
        (child,) = run.runs("errand")
        await child.decide("may", approved=False)
        assert await run.result() == "the child failed"
        assert child.state == "failed"


async def test_children_that_are_spawned_outlive_their_parent():
    """Each exists once; the parent completes while they wait."""
    async with running(starter.request(("a", "b", "c")), processes=[errand]) as run:
        assert await run.result() == 3
        assert [child.state for child in run.runs("errand")] == ["waiting"] * 3


async def test_who_has_started_a_run_decides_nothing_for_it_in_its_children_either():
    """The second pair of eyes is another one, however deep the approval stands."""
    async with running(parent.request("coffee"), processes=[family, errand]) as run:
        mine = await run.do(run.engine.actor("mary@example.test", via="api"))
        await run.start(family.request("tea"), actor=mine)
        child = run.runs("errand")[-1]
        with pytest.raises(SelfApproval, match="started the run"):
            await child.decide("may", approved=True, actor=mine)
        await child.decide("may", approved=True)
        assert await child.result() == "tea"


async def test_results_of_spawned_children_are_waits():
    """Both are waited for at once, and come in the order of the calls."""
    async with running(collector.request(("a", "b")), processes=[errand]) as run:
        assert run.waiting() == {"errand.result[a]", "errand.result[b]"}
        first, second = run.runs("errand")
        await second.decide("may", approved=True)
        assert run.state == "waiting"
        await first.decide("may", approved=True)
        assert await run.result() == ("a", "b")


async def test_cancelling_a_parent_cancels_the_child_it_waits_for_first():
    """The child keeps its promises, then the parent ends; both are cancelled."""
    async with running(parent.request("tea"), processes=[errand]) as run:
        await run.cancel()
        (child,) = run.runs("errand")
        assert (run.state, child.state) == ("cancelled", "cancelled")
        assert done == ["undo tea"]


async def test_cancelling_a_parent_leaves_children_with_a_life_of_their_own():
    """Only the one that was started `with_parent` is cancelled with it."""
    async with running(collector.request(("a", "b")), processes=[errand]) as run:
        await run.cancel()
        assert run.state == "cancelled"
        assert [child.state for child in run.runs("errand")] == ["waiting", "cancelled"]


@pytest.mark.parametrize("how", ["an operator", "the time"])
async def test_a_crash_anywhere_ends_all_that_live_with_a_run(how):
    """Their ends are asked for in one transaction with its own, over two generations."""
    began = family if how == "an operator" else hasty

    async def play(crash=None):
        done.clear()
        async with running(began.request("tea"), processes=[parent, errand], crash=crash) as run:
            if how == "an operator":
                await run.cancel()
            else:
                run.clock.advance(timedelta(days=3))
            (child,), (grandchild,) = run.runs("parent"), run.runs("errand")
            assert [each.state for each in (run, child, grandchild)] == ["cancelled"] * 3
            assert set(done) == {"undo tea"}

    await play()
    for crash in await every_crash(play):
        await play(crash)


async def test_a_child_that_a_run_starts_on_its_way_out_lives_on():
    """It was not there when the end was asked for, and is part of ending well."""
    async with running(parting.request("tea"), processes=[errand]) as run:
        await run.cancel()
        (child,) = run.runs("errand")
        assert (run.state, child.state) == ("cancelled", "waiting")


async def test_a_race_that_a_child_loses_ends_the_child():
    """The timer decides; the child undoes its work; the parent has gone on meanwhile."""
    async with running(impatient.request("tea"), processes=[errand]) as run:
        run.clock.advance(timedelta(days=3))
        assert await run.result() == "late"
        (child,) = run.runs("errand")
        assert child.state == "cancelled"


async def test_a_crash_anywhere_starts_each_child_once():
    """Killed at every boundary, three children exist, each once, and each is done once."""

    async def play(crash=None):
        done.clear()
        async with running(
            starter.request(("a", "b", "c")), processes=[errand], crash=crash
        ) as run:
            assert await run.result() == 3
            children = run.runs("errand")
            assert len(children) == 3
            for child in children:
                await child.decide("may", approved=True)
            assert sorted([await child.result() for child in children]) == ["a", "b", "c"]

    await play()
    for crash in await every_crash(play):
        await play(crash)


async def test_a_crash_anywhere_leaves_one_child_for_a_parent_that_waits():
    """Killed at every boundary, the parent waits for one child and gets its value."""

    async def play(crash=None):
        done.clear()
        async with running(parent.request("tea"), processes=[errand], crash=crash) as run:
            (child,) = run.runs("errand")
            await child.decide("may", approved=True)
            assert await run.result() == "tea"
            assert len(run.runs("errand")) == 1

    for crash in await every_crash(play):
        await play(crash)


# --- locks that all runs share ----------------------------------------------------------------

printer = lock("printer", shared=True)


@process(subject=None, owner="it")
async def printing(what: str) -> str:
    """Prints and laminates, which no other run may come between."""
    async with printer:
        await note["print"](f"print {what}")
        await timer("dry", after=timedelta(hours=1))
        await note["laminate"](f"laminate {what}")
    return what


@process(subject=None, owner="it")
async def office(names: tuple[str, ...]) -> tuple[str, ...]:
    """Prints for several at once."""
    return await parallel(*[printing[name](name) for name in names])


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_shared_lock_has_one_holder_across_all_runs(workers):
    """Nothing is printed between print and lamination, and everyone gets a turn."""
    names = tuple("abcdef")
    async with running(office.request(names), processes=[printing], workers=workers) as run:
        while run.state != "completed":
            assert run.clock.move_to_next(), run.told()
        assert await run.result() == names
    pairs = [done[place : place + 2] for place in range(0, len(done), 2)]
    assert sorted(pairs) == [[f"print {name}", f"laminate {name}"] for name in names]


async def test_a_crash_while_holding_keeps_the_holder():
    """Killed at every boundary, the lock is never held twice and never lost."""

    async def play(crash=None):
        done.clear()
        async with running(office.request(("a", "b")), processes=[printing], crash=crash) as run:
            while run.state != "completed":
                assert run.clock.move_to_next(), run.told()
        seen = list(dict.fromkeys(done))
        assert len(seen) == 4
        assert {seen[0][-1], seen[2][-1]} == {"a", "b"}
        assert seen[0][-1] == seen[1][-1]

    for crash in await every_crash(play):
        await play(crash)


@process(subject=None, owner="it")
async def stopped(what: str) -> str:
    """Asks for the lock, and meets a fault of its own before it has it."""
    await first_of(
        "which",
        losers="finish",
        wait=_waits(what),
        ready=timer("ready", after=timedelta(minutes=1)),
    )
    raise KeyError(what)


async def _waits(what: str) -> None:
    async with printer:
        await note["print"](f"print {what}")


@pytest.mark.parametrize("how", ["paused", "parked"])
async def test_who_cannot_take_a_shared_lock_lets_the_others_pass(how):
    """The first of those who can go on has it; who was passed takes it when it goes on."""
    done.clear()
    async with running(printing.request("a"), processes=[stopped]) as run:
        second = await run.start(printing.request("b") if how == "paused" else stopped.request("b"))
        third = await run.start(printing.request("c"))
        if how == "paused":
            await second.do(second.engine.pause(second.id, actor=OPERATOR, reason="not now"))
        else:
            run.clock.advance(timedelta(minutes=2))
            assert second.state == "parked"
        while third.state != "completed":
            assert run.clock.move_to_next(), run.told()
        assert "print b" not in done
        assert done[-1] == "laminate c"
        if how == "paused":
            await second.do(second.engine.resume(second.id, actor=OPERATOR))
            while second.state != "completed":
                assert run.clock.move_to_next(), run.told()
            assert done[-1] == "laminate b"


# --- cancelling what a fault has stopped -------------------------------------------------------


@process(subject=None, owner="it")
async def faulty(what: str) -> str:
    """Promises something, and breaks."""
    async with compensation() as undo:
        undo(note["undo"], f"undo {what}")
        await note["do"](what)
        raise KeyError(what)


async def test_a_run_that_a_fault_has_stopped_can_be_cancelled():
    """It parks and undoes nothing; cancelled, it keeps its promises and ends."""
    async with running(faulty.request("tea")) as run:
        assert run.parked()[""].reason == "bug"
        assert done == ["tea"]
        await run.cancel()
        assert run.state == "cancelled"
        assert done == ["tea", "undo tea"]


@process(subject=None, owner="it")
async def both() -> tuple[str, str]:
    """Waits for a child, and does something beside."""
    return await parallel(errand("it"), note["beside"]("beside"))


async def test_a_run_is_not_put_down_while_its_child_is_being_begun(build):
    """What it does beside ends first, and its worker dies: the child is begun all the same."""
    async with build([both, errand]) as house:
        run = await house.start("both")
        async with house.doomed() as worker:
            begun = asyncio.Event()

            async def never(*_: object) -> None:
                begun.set()
                await asyncio.get_running_loop().create_future()

            worker.offspring.run = never

            async def is_done() -> bool:
                return ("step.succeeded", "note[beside]") in await house.events(run)

            await house.until(is_done)
            assert begun.is_set()
            assert (await house.row(run))["worker_id"] is not None
        async with house.worker():
            house.poke()

            async def is_there() -> bool:
                return (await house.acts(run))["errand"]["match"] is not None

            await house.until(is_there)
