"""Acts: awaited once, in a process; what may not be awaited is refused where it stands."""

from __future__ import annotations

import asyncio
import gc
from datetime import UTC, datetime, timedelta

import pytest

from newel.base.errors import (
    ActReused,
    DefinitionError,
    DuplicateKey,
    NestedAct,
    NotDurable,
    OutsideRun,
)
from newel.domain.people import Person
from newel.domain.values import AttemptInfo, Observed
from newel.flow.act import Act
from newel.flow.ambient import log, new_id, now, this_attempt, this_run
from newel.flow.context import ATTEMPT, Attempting
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.regions import section
from newel.flow.step import step
from newel.flow.waits import Event, approval, timer
from tests.unit.flow.driving import RUN, START, Driving, started

MARY = Person(name="Mary", email="mary@example.com", ref="per_00000000000000000000000001")


@step
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


@step
def plain(text: str) -> str:
    """A plain function is a step, too."""
    return text.upper()


class TestOutsideARun:
    """Steps are ordinary coroutines; waits cannot be."""

    async def test_a_step_is_an_ordinary_coroutine(self):
        """Awaited outside a run, the code runs; plain functions, too."""
        assert await double(4) == 8
        assert await double["x"](4) == 8
        assert await plain("a") == "A"
        assert await double.plain(3) == 6

    async def test_a_process_that_only_steps_is_one_as_well(self):
        """Called outside a run, a process is an ordinary coroutine."""

        @process(subject=None)
        async def both() -> int:
            return await double(await double(1))

        assert await both() == 4

    @pytest.mark.parametrize(
        "act",
        [
            lambda: timer("pause", after=timedelta(days=1)),
            lambda: approval("yes", by=MARY),
            lambda: Event("paid", int).wait(),
        ],
    )
    async def test_a_wait_is_refused(self, act):
        """There is no run that could wait; the message says where it was called."""
        with pytest.raises(OutsideRun) as refused:
            await act()
        assert "test_acts.py" in str(refused.value)

    async def test_branches_are_ordinary_coroutines(self):
        """A process that is called outside a run gets its branches' values, or all failures."""
        assert await parallel(double(1), None, double(2)) == (2, None, 4)
        with pytest.raises(ExceptionGroup) as failed:
            await parallel(double(1), timer("pause", after=timedelta(days=1)))
        assert [type(each) for each in failed.value.exceptions] == [OutsideRun]

    @pytest.mark.parametrize(
        "word", [now, lambda: new_id("x"), this_run, this_attempt, lambda: log.info("x")]
    )
    def test_the_words_of_a_run_are_refused(self, word):
        """Time, ids and facts of a run mean nothing without one."""
        with pytest.raises(OutsideRun):
            word()


class TestAwaiting:
    """One call is one act, and it stands in the process."""

    async def test_an_act_outside_a_run_is_awaited_once(self):
        """The second await of one call is refused."""
        act = double(1)
        await act
        with pytest.raises(ActReused):
            await act

    def test_an_act_inside_a_run_is_awaited_once(self):
        """The body is told at the second await; the first has its outcome."""

        @process(subject=None)
        async def body() -> None:
            act = double(1)
            assert await act == 2
            await act

        run = started(body)
        run.give("double", 2)
        assert isinstance(run.error, ActReused)

    def test_a_fork_is_awaited_once(self):
        """The same holds for what `parallel` returned."""

        @process(subject=None)
        async def body() -> None:
            fork = parallel(double["a"](1), double["b"](2))
            await fork
            await fork

        run = started(body)
        run.give("double[a]", 2)
        run.give("double[b]", 4)
        assert isinstance(run.error, ActReused)

    @pytest.mark.parametrize("first", ["awaited", "branch"])
    def test_an_act_that_was_used_cannot_become_a_branch(self, first):
        """Awaited before, or given twice to one `parallel`: it is refused, not run again."""

        @process(subject=None)
        async def body() -> None:
            act = double(1)
            if first == "awaited":
                await act
                await parallel(act)
            else:
                await parallel(act, act)

        run = started(body)
        run.give("double", 2)
        assert isinstance(run.error, ExceptionGroup)
        assert [type(each) for each in run.error.exceptions] == [ActReused]

    async def test_an_act_inside_a_step_is_refused(self):
        """A step cannot hold another act; the message names both."""
        info = AttemptInfo(
            run=RUN,
            key="outer",
            number=1,
            round=1,
            idempotency_key="x",
            intended_at=START,
            began_at=START,
            deadline=START,
        )
        token = ATTEMPT.set(Attempting(info, Observed()))
        try:
            with pytest.raises(NestedAct) as refused:
                await double(1)
            with pytest.raises(NestedAct):
                await timer("pause", after=timedelta(1))
            assert (refused.value.act, refused.value.step) == ("double", "outer")
            assert this_attempt() is info
        finally:
            ATTEMPT.reset(token)

    @pytest.mark.parametrize("what", ["sleep", "sleep0", "future", "event"])
    async def test_what_is_not_durable_is_refused_at_its_first_await(self, what):
        """`asyncio.sleep` and its kin cannot rest; the message names file and line."""

        @process(subject=None)
        async def body() -> None:
            match what:
                case "sleep":
                    await asyncio.sleep(3600)
                case "sleep0":
                    await asyncio.sleep(0)
                case "future":
                    await asyncio.get_running_loop().create_future()
                case _:
                    await asyncio.Event().wait()

        error = started(body).error
        assert isinstance(error, NotDurable)
        assert str(error).startswith("tests.unit.flow.test_acts:")

    def test_a_key_that_is_too_long_is_refused_in_the_body(self):
        """The body hears of it where it awaits, and whoever drives it goes on."""

        @process(subject=None)
        async def body() -> None:
            await double["x" * 300](1)

        assert isinstance(started(body).error, DefinitionError)


class TestKeys:
    """Sections, subscripts and counters, as branches see them."""

    def test_sections_nest_and_reach_into_helpers(self):
        """The prefix stands before every key inside, also of a helper that is called there."""

        async def helper() -> None:
            await double["h"](1)

        @process(subject=None)
        async def body() -> None:
            with section("laptop"), section("a/b"):
                await double(1)
                await helper()
            await double(1)

        run = started(body)
        for _ in range(3):
            run.give(run.resting[0])
        assert run.reached_keys == ["laptop/a%2Fb/double", "laptop/a%2Fb/double[h]", "double"]

    def test_a_section_of_one_branch_is_not_seen_by_another(self):
        """Each branch has a context of its own."""

        async def branch(label: str) -> None:
            with section(label):
                await double(1)
                await double(2)
            await double[label](3)

        @process(subject=None)
        async def body() -> None:
            await parallel(branch("left"), branch("right"), double(0))
            await double["after"](0)

        run = started(body)
        assert run.resting == ["left/double", "right/double", "double"]
        for key in ("right/double", "left/double", "left/double#2", "double", "right/double#2"):
            run.give(key)
        assert run.resting == ["double[left]", "double[right]"]
        run.give("double[left]")
        run.give("double[right]")
        assert run.resting == ["double[after]"]

    def test_the_label_of_promises_is_reserved(self):
        """`undo` cannot be a section."""
        with pytest.raises(DefinitionError), section("undo"):
            pass

    def test_two_branches_that_share_a_key_are_told_in_every_order(self):
        """Also the branch that comes second by time is refused."""

        async def late(first: Act[int]) -> None:
            await first
            await double["shared"](1)

        @process(subject=None)
        async def body() -> None:
            await parallel(late(double["a"](1)), late(double["b"](1)))

        for order in (["a", "b"], ["b", "a"]):
            run = started(body)
            run.give(f"double[{order[0]}]")
            run.give(f"double[{order[1]}]")
            run.give("double[shared]")
            assert isinstance(run.error, ExceptionGroup)
            assert [type(each) for each in run.error.exceptions] == [DuplicateKey]

    def test_a_loop_counts(self):
        """The same call site in sequence gets numbers, and a wait does as well."""

        @process(subject=None)
        async def body() -> None:
            for _ in range(2):
                await double(1)
                await timer("pause", after=timedelta(1))

        run = started(body)
        for _ in range(4):
            run.give(run.resting[0])
        assert run.reached_keys == ["double", "pause", "double#2", "pause#2"]


class TestWords:
    """Time and ids inside a body are the same on every replay."""

    def test_time_moves_with_the_outcomes_of_a_branch(self):
        """`now()` is the moment of the latest outcome that this branch has received."""
        seen: list[tuple[str, datetime]] = []

        async def branch(name: str) -> None:
            await double[name](1)
            seen.append((name, now()))

        @process(subject=None)
        async def body() -> None:
            seen.append(("start", now()))
            await parallel(branch("a"), branch("b"))
            seen.append(("end", now()))

        run = started(body)
        run.give("double[b]")
        run.give("double[a]")
        live, seen[:] = list(seen), []
        second = timedelta(seconds=1)
        assert live == [
            ("start", START),
            ("b", START + second),
            ("a", START + 2 * second),
            ("end", START + 2 * second),
        ]
        Driving.again(body, run)
        assert seen == live

    def test_ids_differ_by_name_section_branch_and_count_and_never_by_replay(self):
        """Nothing that a body can say twice gives one id, and a replay gives all of them again."""
        seen: list[object] = []

        async def branch(item: str) -> None:
            seen.append(new_id("order"))
            await double[item](1)
            seen.append(new_id("order"))

        @process(subject=None)
        async def body() -> None:
            seen.extend([new_id("order"), new_id("order"), new_id("other")])
            with section("s"):
                seen.append(new_id("order"))
            await parallel(branch("a"), branch("b"))
            await parallel(branch("c"), None)
            seen.append(new_id("order"))

        run = started(body)
        for key in ("double[b]", "double[a]", "double[c]"):
            run.give(key)
        assert run.body.has_ended
        live, seen[:] = list(seen), []
        assert len(live) == 11
        assert len(set(live)) == 11
        Driving.again(body, run)
        assert set(seen) == set(live)

    def test_log_lines_are_silent_during_a_replay(self):
        """A line is written once per outcome reached, by the pass that reached it first."""

        @process(subject=None)
        async def body() -> None:
            await double(1)
            log.info("half done", step="double")
            await double["b"](1)

        run = started(body)
        run.give("double")
        assert run.body.driven.log_lines == [("double", "half done", {"step": "double"})]
        assert Driving.again(body, run).body.driven.log_lines == []

    def test_facts_of_the_run_are_those_that_were_recorded(self):
        """`this_run()` says who started what, and when."""

        @process(subject=None)
        async def body() -> str:
            return f"{this_run().process} {this_run().started_at:%Y}"

        assert started(body).value == "body 2026"


class TestLettingGo:
    """A body that is put down says nothing more, wherever it rests."""

    def test_no_act_of_a_finally_runs_when_a_run_is_put_down(self):
        """Neither in the body, nor in a branch, nor in a branch that waits for its own branches."""
        ran: list[str] = []

        @step
        async def clean(name: str) -> None:
            ran.append(name)

        async def inner(name: str) -> None:
            try:
                await double[name](1)
            finally:
                await clean[name](name)

        async def outer() -> None:
            try:
                await parallel(inner("x"), inner("y"))
            finally:
                await clean["outer"]("outer")

        @process(subject=None)
        async def body() -> None:
            try:
                await parallel(outer(), double["z"](1))
            finally:
                await clean["body"]("body")

        run = started(body)
        assert run.resting == ["double[x]", "double[y]", "double[z]"]
        reached = list(run.reached_keys)
        run.body.dismiss()
        del run.body
        gc.collect()
        assert ran == []
        assert run.reached_keys == reached

    def test_putting_down_twice_is_harmless(self):
        """Whoever lets go second finds nothing to do."""

        @process(subject=None)
        async def body() -> None:
            await double(1)

        run = started(body)
        run.body.dismiss()
        run.body.dismiss()
        assert run.resting == []


def test_timers_take_exactly_one_moment_with_a_zone():
    """Neither none nor both, and no naive datetime."""
    naive = datetime(2026, 1, 1)  # noqa: DTZ001  # the mistake under test
    for wrong in ({}, {"at": START, "after": timedelta(1)}, {"at": naive}):
        with pytest.raises(DefinitionError):
            _ = timer("pause", **wrong)
    assert timer("pause", at=datetime(2026, 1, 1, tzinfo=UTC)).base == "pause"


def test_events_and_approvals_may_be_one_of_many():
    """An item or an f-string of the one allowed form makes the key."""
    parcel = Event("parcel", int)
    assert parcel["x/1"].wait().base == "parcel[x%2F1]"
    assert parcel.wait().base == "parcel"
    assert approval(f"level[{7}]", by=MARY).base == "level[7]"
    with pytest.raises(DefinitionError):
        _ = approval("not a name", by=MARY)
