"""The course of a run: paused, rescheduled, amended, forked, acknowledged, in bulk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from newel.base.errors import (
    AlreadyStarted,
    Invalid,
    InvalidInput,
    NotFound,
    NotSkippable,
    NotWaiting,
    ReasonMissing,
    Rejected,
)
from newel.base.ids import reference
from newel.domain.people import Person
from newel.engine.bulk import Item
from newel.flow.forms import form
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.step import step
from newel.flow.waits import approval, timer
from tests.engine.house import OPERATOR
from tests.engine.test_waits import JANE, MARY, result

MADE: list[str] = []
BROKEN: set[str] = set()
REASON = "as HR has asked"


@pytest.fixture(autouse=True)
def _nothing_made():
    MADE.clear()
    BROKEN.clear()


@step(in_doubt="repeat")
async def make(name: str) -> str:
    """Make something."""
    if name in BROKEN:
        raise Invalid(f"{name} cannot be made")
    MADE.append(name)
    return name


@step(in_doubt="repeat", on_amend="redo")
async def remake(name: str) -> str:
    """Make something again, if its name changes."""
    MADE.append(f"re:{name}")
    return name


@step(in_doubt="repeat", on_amend="keep")
async def keepsake(name: str) -> str:
    """Make something that stays as it is."""
    MADE.append(f"keep:{name}")
    return name


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the processes here start from."""

    person: Person
    name: str
    at: datetime
    asked: Person | None = None


@process(owner="hr", subject=lambda plan: plan.person)
async def planned(plan: Plan) -> str:
    """Two steps before the first day and one after it."""
    again = await remake(plan.name)
    kept = await keepsake(plan.name)
    await timer("first-day", at=plan.at)
    return f"{again} {kept} {await make['after'](plan.name)}"


@process(owner="hr", subject=lambda plan: plan.person)
async def asking(plan: Plan) -> str:
    """One person is asked."""
    decision = await approval("confirm", by=plan.asked or plan.person, within=timedelta(days=9))
    if not decision.approved:
        raise Rejected(decision)
    return decision.by


@process(owner="hr", subject=None)
async def twice(name: str) -> str:
    """One step, whose result is used at one of its two places."""
    await make["unused"](name)
    used = await make["used"](name)
    _, other = await parallel(make["left"](name), make["right"](name))
    return f"{used} {other}"


@process(owner="it", subject=None)
async def by_hand(name: str) -> str:
    """A person does something by hand, from a team that nobody is in."""
    done = await form("cable", by=Person(name="x", email="x@x.test", ref="per_" + "0" * 26))
    return f"{name} {done.note}"


async def plan(house, at, **more):
    """The input of a run about Jane."""
    return {"person": JANE, "name": "a", "at": at.isoformat(), **more}


async def key_is_open(house, run, key, state="parked"):
    """Wait until a key stands open in a state."""

    async def is_open() -> bool:
        act = (await house.acts(run)).get(key)
        return act is not None and act["state"] == state

    await house.until(is_open)
    await house.rested(run)


# --- pause ------------------------------------------------------------------------------------


async def test_a_paused_run_begins_nothing_and_its_dates_count_on(build):
    """A timer passes meanwhile, the step behind it waits for the resume; the standing says so."""
    async with build([planned]) as house, house.worker():
        run = await house.start("planned", await plan(house, await house.now() + timedelta(days=5)))
        assert await house.rested(run) == "waiting"
        await house.engine.pause(run, actor=OPERATOR, reason=REASON)
        with pytest.raises(NotWaiting, match="paused already"):
            await house.engine.pause(run, actor=OPERATOR, reason=REASON)
        await house.move(timedelta(days=6))

        async def has_passed() -> bool:
            return ("wait.closed", "first-day") in await house.events(run)

        await house.until(has_passed)
        assert await house.rested(run) == "waiting"
        assert (MADE, await house.acts(run)) == (["re:a", "keep:a"], {})
        standing = await house.database.fetchval(
            "select standing from newel.run_standing where id = $1", run
        )
        assert standing == "paused"
        await house.engine.resume(run, actor=OPERATOR)
        with pytest.raises(NotWaiting, match="not paused"):
            await house.engine.resume(run, actor=OPERATOR)
        house.poke()
        assert await house.ended(run) == "completed"
        assert await result(house, run) == "a a a"


async def test_a_run_paused_before_it_began_starts_when_it_is_resumed(build):
    """No worker begins it, however often it looks; a cancel ends the pause, too."""
    async with build([planned]) as house:
        at = await house.now()
        runs = [await house.start("planned", await plan(house, at, person=each))
                for each in (JANE, MARY)]  # fmt: skip
        for run in runs:
            await house.engine.pause(run, actor=OPERATOR, reason=REASON)
        async with house.worker():
            for run in runs:
                await house.rested(run)
            assert MADE == []
            await house.engine.resume(runs[0], actor=OPERATOR)
            await house.engine.cancel(runs[1], actor=OPERATOR, reason=REASON)
            house.poke()
            assert await house.ended(runs[0]) == "completed"
            assert await house.ended(runs[1]) == "cancelled"


# --- reschedule -------------------------------------------------------------------------------


async def test_a_timer_moves_to_where_an_operator_puts_it(build):
    """It stays there over replays, later or earlier; a moment without a zone is refused."""
    async with build([planned]) as house, house.worker():
        first = await house.now() + timedelta(days=5)
        run = await house.start("planned", await plan(house, first))
        assert await house.rested(run) == "waiting"
        later = first + timedelta(days=10)
        with pytest.raises(InvalidInput, match="time zone"):
            await house.engine.reschedule(
                run, "first-day", at=later.replace(tzinfo=None), actor=OPERATOR, reason=REASON
            )
        with pytest.raises(NotFound):
            await house.engine.reschedule(
                run, "second-day", at=later, actor=OPERATOR, reason=REASON
            )
        await house.engine.reschedule(run, "first-day", at=later, actor=OPERATOR, reason=REASON)
        house.poke()
        assert await house.rested(run) == "waiting"
        await house.move(timedelta(days=6))
        assert await house.rested(run) == "waiting"
        assert (await house.acts(run))["first-day"]["due_at"] == later
        await house.engine.reschedule(
            run, "first-day", at=await house.now(), actor=OPERATOR, reason=REASON
        )
        house.poke()
        assert await house.ended(run) == "completed"
        moved = [leaf for leaf in await house.leaves(run) if leaf["type"] == "run.rescheduled"]
        assert [leaf["reason"]["code"] for leaf in moved] == ["reschedule"] * 2


# --- amend ------------------------------------------------------------------------------------


async def test_an_amendment_is_seen_first_and_then_done(build):
    """The preview writes nothing; then the timer moves, one step runs again and one is kept."""
    async with build([planned]) as house, house.worker():
        first = await house.now() + timedelta(days=5)
        run = await house.start("planned", await plan(house, first))
        assert await house.rested(run) == "waiting"
        before = await house.events(run)
        new = await plan(house, first + timedelta(days=2), name="b")
        seen = await house.engine.amend(run, new, actor=OPERATOR, dry=True)
        assert (seen.fields, seen.asks, seen.redone, seen.kept, seen.gone) == (
            ("plan.at", "plan.name"), (), ("remake",), ("keepsake",), (),
        )  # fmt: skip
        assert [(wait.key, wait.what) for wait in seen.waits] == [("first-day", "at")]
        assert await house.events(run) == before
        with pytest.raises(ReasonMissing):
            await house.engine.amend(run, new, actor=OPERATOR)
        assert await house.engine.amend(run, new, actor=OPERATOR, reason=REASON) == seen

        async def has_moved() -> bool:
            act = (await house.acts(run)).get("first-day")
            return act is not None and act["due_at"] == first + timedelta(days=2)

        house.poke()
        await house.until(has_moved)
        await house.rested(run)
        assert MADE == ["re:a", "keep:a", "re:b"]
        await house.move(timedelta(days=8))
        assert await house.ended(run) == "completed"
        assert await result(house, run) == "b a b"
        kinds = [kind for kind, _ in await house.events(run)]
        assert (kinds.count("run.amended"), kinds.count("run.rescheduled")) == (1, 1)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"name": 7}, "name"),
        ({"person": MARY}, "another person"),
        ({}, "what the run has already"),
    ],
)
async def test_an_amendment_that_cannot_be_is_refused(build, change, wrong):
    """Wrong fields, another subject, and nothing at all; the run goes on as it was."""
    async with build([planned]) as house, house.worker():
        given = await plan(house, await house.now() + timedelta(days=5))
        run = await house.start("planned", given)
        assert await house.rested(run) == "waiting"
        before = await house.events(run)
        with pytest.raises(InvalidInput, match=wrong):
            await house.engine.amend(run, {**given, **change}, actor=OPERATOR, reason=REASON)
        assert await house.events(run) == before


async def test_a_task_goes_to_whom_the_amended_input_asks(build):
    """The open task is somebody else's, audited; who was asked before is refused."""
    async with build([asking]) as house, house.worker():
        given = await plan(house, await house.now(), asked=MARY)
        run = await house.start("asking", given)
        assert await house.rested(run) == "waiting"
        john = {"name": "John Roe", "email": "john@example.com"}
        await house.engine.amend(run, {**given, "asked": john}, actor=OPERATOR, reason=REASON)

        async def is_reassigned() -> bool:
            return ("task.reassigned", "confirm") in await house.events(run)

        house.poke()
        await house.until(is_reassigned)
        task = await house.task(run)
        mary = await house.engine.actor("mary@example.com", via="api")
        with pytest.raises(Exception, match="the person it asks"):
            await house.engine.decide(task, approved=True, actor=mary)
        asked = await house.engine.actor("john@example.com", via="api")
        await house.engine.decide(task, approved=True, actor=asked)
        house.poke()
        assert await house.ended(run) == "completed"


# --- fork, acknowledge --------------------------------------------------------------------------


async def test_a_failed_run_is_acknowledged_and_forked(build):
    """The fork inherits what was finished before the key and does the rest; the old one stays."""
    async with build([planned, asking]) as house, house.worker():
        given = await plan(house, await house.now(), asked=MARY)
        run = await house.start("asking", given)
        assert await house.rested(run) == "waiting"
        with pytest.raises(NotWaiting):
            await house.engine.acknowledge(run, actor=OPERATOR)
        with pytest.raises(AlreadyStarted):
            await house.engine.fork(run, "confirm", actor=OPERATOR)
        mary = await house.engine.actor("mary@example.com", via="api")
        await house.engine.decide(await house.task(run), approved=False, comment="no", actor=mary)
        house.poke()
        assert await house.ended(run) == "failed"
        ended = (await house.row(run))["finished_at"]
        await house.engine.acknowledge(run, actor=OPERATOR, reason=REASON)
        row = await house.row(run)
        assert (row["finished_at"], row["acknowledged_at"] is not None) == (ended, True)
        with pytest.raises(NotWaiting, match="acknowledged already"):
            await house.engine.acknowledge(run, actor=OPERATOR)
        with pytest.raises(NotFound):
            await house.engine.fork(run, "no-such-key", actor=OPERATOR)
        before = await house.events(run)
        forked = await house.engine.fork(run, "confirm", actor=OPERATOR)
        house.poke()
        assert await house.rested(forked) == "waiting"
        await house.engine.decide(await house.task(forked), approved=True, actor=mary)
        house.poke()
        assert await house.ended(forked) == "completed"
        assert await house.events(run) == before
        origin = (await house.leaves(forked))[0]["data"]["source"]
        assert origin == {"type": "run", "ref": reference("run", run)}


async def test_a_fork_of_a_fork_does_no_finished_step_again(build):
    """Outcomes are inherited with their place, over two generations and a restart."""
    async with build([planned]) as house, house.worker():
        given = await plan(house, await house.now())
        run = await house.start("planned", given)
        assert await house.ended(run) == "completed"
        child = await house.engine.fork(run, "make[after]", actor=OPERATOR)
        house.poke()
        assert await house.ended(child) == "completed"
        grandchild = await house.engine.fork(child, "make[after]", actor=OPERATOR)
        house.poke()
        assert await house.ended(grandchild) == "completed"
        assert await result(house, grandchild) == "a a a"
        assert MADE == ["re:a", "keep:a", "a", "a", "a"]
        early = await house.engine.fork(run, "keepsake", actor=OPERATOR)
        house.poke()
        assert await house.ended(early) == "completed"
        assert MADE[5:] == ["keep:a", "a"]


# --- skip and complete by hand ------------------------------------------------------------------


async def test_a_step_is_skipped_where_its_result_is_not_used(build):
    """The same step at another place is not: each call is judged by itself."""
    BROKEN.add("a")
    async with build([twice]) as house, house.worker():
        run = await house.start("twice", "a")
        await key_is_open(house, run, "make[unused]")
        await house.engine.skip(run, "make[unused]", actor=OPERATOR, reason=REASON)
        house.poke()
        await key_is_open(house, run, "make[used]")
        with pytest.raises(NotSkippable, match="its value is used"):
            await house.engine.skip(run, "make[used]", actor=OPERATOR, reason=REASON)
        with pytest.raises(InvalidInput):
            await house.engine.complete_by_hand(
                run, "make[used]", 7, evidence="seen", actor=OPERATOR, reason=REASON
            )
        await house.engine.complete_by_hand(
            run, "make[used]", "hand", evidence="seen", actor=OPERATOR, reason=REASON
        )
        house.poke()
        await key_is_open(house, run, "make[left]")
        await house.engine.skip(run, "make[left]", actor=OPERATOR, reason=REASON)
        house.poke()
        await key_is_open(house, run, "make[right]")
        with pytest.raises(NotSkippable):
            await house.engine.skip(run, "make[right]", actor=OPERATOR, reason=REASON)
        await house.engine.complete_by_hand(
            run, "make[right]", "right", evidence="seen", actor=OPERATOR, reason=REASON
        )
        house.poke()
        assert await house.ended(run) == "completed"
        assert await result(house, run) == "hand right"


async def test_work_by_hand_is_completed_by_an_operator_in_its_place(build):
    """The task is withdrawn, and the body gets what the operator says, also after a restart."""
    async with build([by_hand]) as house, house.worker():
        run = await house.start("by_hand", "x")
        assert await house.rested(run) == "waiting"
        task = await house.task(run)
        await house.engine.complete_by_hand(
            run, "cable", None, evidence="seen on site", actor=OPERATOR, reason=REASON
        )
        house.poke()
        assert await house.ended(run) == "completed"
        assert await result(house, run) == "x seen on site"
        state = await house.database.fetchval("select state from newel.task where id = $1", task)
        assert state == "withdrawn"


# --- bulk ---------------------------------------------------------------------------------------


async def test_a_bulk_action_reports_item_by_item(build):
    """Items that are refused say why and harm no other; the list is frozen when it is given."""
    BROKEN.add("a")
    async with build([twice]) as house, house.worker():
        runs = [await house.start("twice", "a") for _ in range(3)]
        for run in runs:
            await key_is_open(house, run, "make[unused]")
        items = [Item(run=reference("run", run), key="make[unused]") for run in runs]
        items += [Item(run="run_nothing", key="make[unused]"),
                  Item(run=items[0].run, key="make[used]")]  # fmt: skip
        with pytest.raises(ReasonMissing):
            await house.engine.bulk("skip", items, actor=OPERATOR)
        with pytest.raises(InvalidInput, match="twice"):
            await house.engine.bulk("skip", [items[0]] * 2, actor=OPERATOR, reason=REASON)
        bulk = await house.engine.bulk("skip", items, actor=OPERATOR, reason=REASON)
        house.poke()
        assert await house.ended(bulk) == "completed"
        report = await house.engine.bulk_report(bulk)
        assert [each.is_done for each in report.carried] == [True] * 3 + [False] * 2
        assert report.has_ended
        assert "run_nothing" in report.carried[3].said
        skipped = [leaf for run in runs for leaf in await house.leaves(run)
                   if leaf["type"] == "step.skipped"]  # fmt: skip
        assert [leaf["actor"]["id"] for leaf in skipped] == [OPERATOR.id] * 3
        with pytest.raises(NotFound):
            await house.engine.bulk_report(runs[0])


async def test_of_two_operators_one_wins_and_the_other_is_told(build):
    """Opposite verbs on one step at once: one Change is written, the other finds it closed."""
    BROKEN.add("a")
    async with build([twice]) as house, house.worker():
        run = await house.start("twice", "a")
        await key_is_open(house, run, "make[unused]")
        answers = await asyncio.gather(
            house.engine.skip(run, "make[unused]", actor=OPERATOR, reason=REASON),
            house.engine.complete_by_hand(
                run, "make[unused]", "x", evidence="seen", actor=OPERATOR, reason=REASON
            ),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in answers) == ["NoneType", "NotFound"]
        house.poke()
        await key_is_open(house, run, "make[used]")
        kinds = [kind for kind, key in await house.events(run) if key == "make[unused]"]
        assert (kinds.count("step.skipped") + kinds.count("step.completed_by_hand")) == 1
