"""Waits: decided once, overdue or answered but never both, cancelled with what stands behind."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
import pytest

from newel.base.errors import (
    AlreadyDecided,
    NotAllowed,
    NotFound,
    NotWaiting,
    Overdue,
    ReasonMissing,
    Rejected,
    SelfApproval,
)
from newel.base.ids import Ids
from newel.domain.people import Person, manager_of, team
from newel.engine.worker import Worker
from newel.flow.ambient import now
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.step import step
from newel.flow.waits import approval, timer
from tests.engine.house import OPERATOR, House
from tests.patience import PATIENCE_S

MARY = {"name": "Mary Major", "email": "mary@example.com"}
JANE = {"name": "Jane Doe", "email": "jane@example.com", "manager": MARY}
JOHN = {"name": "John Roe", "email": "john@example.com", "manager": MARY}


@dataclass(frozen=True, kw_only=True)
class Hire:
    """What the processes here start from."""

    person: Person
    helper: Person | None = None


@process(owner="hr", subject=lambda hire: hire.person)
async def confirming(hire: Hire) -> str:
    """The manager confirms."""
    decision = await approval("manager-confirms", by=manager_of(hire.person))
    if not decision.approved:
        raise Rejected(decision)
    return decision.by


@process(owner="hr", subject=lambda hire: hire.person)
async def chasing(hire: Hire) -> str:
    """The manager has two days, then HR decides."""
    try:
        decision = await approval(
            "manager-confirms", by=manager_of(hire.person), within=timedelta(days=2)
        )
    except Overdue as late:
        due = "" if late.due is None else late.due.isoformat()
        decision = await approval("hr-confirms", by=team("hr"))
        return f"{late.key} {due} {decision.approved}"
    return f"manager {decision.approved}"


@process(owner="hr", subject=lambda hire: hire.person)
async def asking_hr(hire: Hire) -> bool:
    """Any member of a team decides."""
    return (await approval("hr-confirms", by=team("hr"))).approved


async def asked(house: House, name: str, **people):
    """Start a process and wait until it asks."""
    run = await house.start(name, {"person": JANE, **people})
    assert await house.rested(run) == "waiting"
    return run, await house.task(run)


async def result(house: House, run) -> object:
    """What a completed run returned."""
    row = await house.database.fetchrow(
        "select r.subject, e.payload, k.wrapped from newel.run r "
        "join newel.event e on e.stream_id = r.id and e.type = 'run.completed' "
        "left join newel.person_key k on k.person = r.subject where r.id = $1",
        run,
    )
    assert row is not None
    sealer = house.engine.vault.sealer(run, row["subject"], 1, row["wrapped"])
    return orjson.loads(sealer.open(row["payload"]))


async def test_an_approval_is_decided_once(build):
    """The decision reaches the body; a second one is refused with the first decider's name."""
    async with build([confirming]) as house, house.worker():
        run, task = await asked(house, "confirming")
        mary = await house.engine.actor("mary@example.com", via="api")
        await house.engine.decide(task, approved=True, actor=mary)
        house.poke()
        assert await house.ended(run) == "completed"
        assert await result(house, run) == mary.on_behalf_of
        with pytest.raises(AlreadyDecided) as refused:
            await house.engine.decide(task, approved=False, actor=mary, comment="no")
        assert refused.value.by == "Mary Major"
        assert refused.value.at is not None
        kinds = [kind for kind, _ in await house.events(run)]
        assert (kinds.count("task.decided"), kinds.count("wait.closed")) == (1, 1)


@pytest.mark.parametrize("how_many", [2, 8])
async def test_of_racing_deciders_exactly_one_wins(build, how_many):
    """All others are told who was first, and the journal holds one decision."""
    async with build([asking_hr]) as house, house.worker():
        run, task = await asked(house, "asking_hr")
        actors = [
            await house.engine.actor(f"hr{number}@example.com", via="api")
            for number in range(how_many)
        ]
        answers = await asyncio.gather(
            *(
                house.engine.decide(task, approved=number % 2 == 0, actor=actor, comment="so")
                for number, actor in enumerate(actors)
            ),
            return_exceptions=True,
        )
        house.poke()
        assert await house.ended(run) == "completed"
        losers = [each for each in answers if each is not None]
        assert [type(each) for each in losers] == [AlreadyDecided] * (how_many - 1)
        winner = f"Hr{answers.index(None)}"
        assert {each.by for each in losers if isinstance(each, AlreadyDecided)} == {winner}
        decided = [leaf for leaf in await house.leaves(run) if leaf["type"] == "task.decided"]
        assert [leaf["actor"]["on_behalf_of"] for leaf in decided] == [
            actors[answers.index(None)].on_behalf_of
        ]


async def test_a_missed_deadline_closes_the_task_and_hr_decides(build):
    """Overdue is raised and the task closed in one transaction; the next task opens with it."""
    async with build([chasing]) as house, house.worker():
        run, task = await asked(house, "chasing")
        due = (await house.acts(run))["manager-confirms"]["due_at"]
        await house.move_to_next(run)
        assert await house.rested(run) == "waiting"
        acts = await house.acts(run)
        assert list(acts) == ["hr-confirms"]
        rows = await house.database.fetch(
            "select key, state, assignee, owner from newel.task where run_id = $1 order by key", run
        )
        assert [(row["key"], row["state"], row["owner"]) for row in rows] == [
            ("hr-confirms", "open", "hr"),
            ("manager-confirms", "expired", "person"),
        ]
        mary = await house.engine.actor("mary@example.com", via="api")
        with pytest.raises(AlreadyDecided) as refused:
            await house.engine.decide(task, approved=True, actor=mary)
        assert refused.value.by == "its deadline"
        somebody = await house.engine.actor("hr@example.com", via="api")
        await house.engine.decide(await house.task(run), approved=True, actor=somebody)
        house.poke()
        assert await house.ended(run) == "completed"
        said = await result(house, run)
        assert said == f"manager-confirms {due.isoformat()} True"


async def test_an_answer_before_the_deadline_leaves_nothing_that_is_due(build):
    """A decided approval never becomes overdue."""
    async with build([chasing]) as house, house.worker():
        run, task = await asked(house, "chasing")
        mary = await house.engine.actor("mary@example.com", via="api")
        await house.engine.decide(task, approved=True, actor=mary)
        await house.move(timedelta(days=3))
        assert await house.ended(run) == "completed"
        assert await result(house, run) == "manager True"


async def test_deadline_and_decision_race_and_one_of_them_wins(build):
    """Decided at the very moment it falls due: an answer or Overdue, never both."""
    async with build([chasing]) as house, house.worker():
        runs = [
            await house.start("chasing", {"person": {**JANE, "email": f"j{number}@example.com"}})
            for number in range(6)
        ]
        for run in runs:
            assert await house.rested(run) == "waiting"
        tasks = {run: await house.task(run) for run in runs}
        mary = await house.engine.actor("mary@example.com", via="api")
        moved = asyncio.create_task(house.move(timedelta(days=2, seconds=1)))
        answers = await asyncio.gather(
            *(house.engine.decide(tasks[run], approved=True, actor=mary) for run in runs),
            return_exceptions=True,
        )
        await moved
        house.poke()
        for run, answer in zip(runs, answers, strict=True):
            states = await house.database.fetchval(
                "select state from newel.task where id = $1", tasks[run]
            )
            if answer is None:
                assert await house.ended(run) == "completed"
                assert await result(house, run) == "manager True"
                continue
            assert isinstance(answer, AlreadyDecided)
            assert states == "expired"


async def test_subject_and_starter_never_decide(build):
    """Neither the person it is about nor the person who asked for it may approve."""
    async with build([asking_hr]) as house, house.worker():
        helper = await house.engine.actor("starter@example.com", via="api")
        run = await house.start("asking_hr", {"person": JANE}, actor=helper)
        assert await house.rested(run) == "waiting"
        task = await house.task(run)
        jane = await house.engine.actor("jane@example.com", via="api")
        for actor in (jane, helper):
            with pytest.raises(SelfApproval):
                await house.engine.decide(task, approved=True, actor=actor)
        assert await house.task(run) == task


async def test_nobody_but_the_person_who_is_asked_decides(build):
    """Another person is not allowed to, an actor without a person cannot, an unknown task is not
    found.
    """
    async with build([confirming]) as house, house.worker():
        run, task = await asked(house, "confirming", helper=JOHN)
        john = await house.engine.actor("john@example.com", via="api")
        with pytest.raises(NotAllowed):
            await house.engine.decide(task, approved=True, actor=john)
        with pytest.raises(NotAllowed):
            await house.engine.decide(task, approved=True, actor=OPERATOR)
        with pytest.raises(NotFound):
            await house.engine.decide(Ids().new(), approved=True, actor=john)
        assert [kind for kind, _ in await house.events(run)].count("task.decided") == 0


async def test_a_no_needs_its_reason_and_ends_the_run_as_the_process_says(build):
    """Without a comment it is refused; with one the body is told, and the comment is sealed."""
    async with build([confirming]) as house, house.worker():
        run, task = await asked(house, "confirming")
        mary = await house.engine.actor("mary@example.com", via="api")
        for comment in ("", "  \n"):
            with pytest.raises(ReasonMissing):
                await house.engine.decide(task, approved=False, actor=mary, comment=comment)
        await house.engine.decide(task, approved=False, actor=mary, comment="Jane has left us")
        house.poke()
        assert await house.ended(run) == "failed"
        leaves = await house.leaves(run)
        assert [leaf["data"]["error"] for leaf in leaves if leaf["type"] == "run.failed"] == [
            "Rejected"
        ]
        assert "Jane has left us" not in str(leaves)


async def test_a_team_task_is_decided_by_anybody_who_is_not_excluded(build):
    """Whoever is named; membership is checked where people sign in."""
    async with build([asking_hr]) as house, house.worker():
        run, task = await asked(house, "asking_hr")
        row = await house.database.fetchrow(
            "select owner, assignee, excluded from newel.task where id = $1", task
        )
        assert row is not None
        subject = (await house.row(run))["subject"]
        assert (row["owner"], row["assignee"], row["excluded"]) == ("hr", None, [subject])
        somebody = await house.engine.actor("anybody@example.com", via="api")
        await house.engine.decide(task, approved=True, actor=somebody)
        house.poke()
        assert await house.ended(run) == "completed"
        assert await result(house, run) is True


async def test_a_task_of_an_ended_run_is_decided_by_its_end(build):
    """After a cancellation, the task is withdrawn and deciding it says so."""
    async with build([confirming]) as house, house.worker():
        run, task = await asked(house, "confirming")
        await house.engine.cancel(run, actor=OPERATOR, reason="the offer was withdrawn")
        house.poke()
        assert await house.ended(run) == "cancelled"
        mary = await house.engine.actor("mary@example.com", via="api")
        with pytest.raises(AlreadyDecided) as refused:
            await house.engine.decide(task, approved=True, actor=mary)
        assert refused.value.by == "the run's end"


async def test_timers_are_never_early(build):
    """Just before its moment a run rests on; at its moment it goes on, and says when it was."""
    seen: list[datetime] = []

    @process(subject=None, owner="it")
    async def pausing() -> None:
        for _ in range(3):
            await timer("pause", after=timedelta(hours=1))
            seen.append(now())

    async with build([pausing], reads=False) as house, house.worker():
        run = await house.start("pausing")
        assert await house.rested(run) == "waiting"
        for number in range(3):
            row = await house.row(run)
            await house.move(row["wake_at"] - row["as_of"] - timedelta(seconds=20))
            assert await house.rested(run) == "waiting"
            assert len(set(seen)) == number
            due = await house.move_to_next(run)
            await (house.ended(run) if number == 2 else house.rested(run))
            assert max(seen) >= due
        late = [
            leaf["data"]["late_us"]
            for leaf in await house.leaves(run)
            if leaf["type"] == "wait.closed"
        ]
        assert len(late) == 3
        assert all(0 <= each < 60_000_000 for each in late)


async def test_a_reading_that_lags_closes_no_timer_before_its_moment(build, monkeypatch):
    """An answer of the database that came late makes a worker's clock late, not its records."""

    @process(subject=None, owner="it")
    async def pausing() -> datetime:
        await timer("pause", after=timedelta(hours=1))
        return now()

    read = Worker.now
    monkeypatch.setattr(Worker, "now", lambda worker: read(worker) - timedelta(seconds=90))
    async with build([pausing], reads=False) as house, house.worker():
        run = await house.start("pausing")
        assert await house.rested(run) == "waiting"
        due = await house.move_to_next(run)
        await house.ended(run)
        closed = next(leaf for leaf in await house.leaves(run) if leaf["type"] == "wait.closed")
        assert datetime.fromisoformat(closed["occurred_at"]) >= due, closed


async def test_a_moment_that_has_passed_is_due_at_once(build):
    """A timer at a moment of the past waits for nothing."""

    @process(subject=None, owner="it")
    async def past() -> None:
        await timer("yesterday", at=now() - timedelta(days=1))

    async with build([past]) as house, house.worker():
        assert await house.ended(await house.start("past")) == "completed"


class TestCancelling:
    """A run is cancelled by request; what is in flight ends first, a finally happens."""

    async def test_a_waiting_run_ends_at_once(self, build):
        """Its waits are closed, its task is withdrawn, and a second request is refused."""

        @process(subject=None, owner="it")
        async def waiting() -> None:
            await parallel(timer("pause", after=timedelta(days=1)), approval("yes", by=team("it")))

        async with build([waiting]) as house, house.worker():
            run = await house.start("waiting")
            assert await house.rested(run) == "waiting"
            with pytest.raises(ReasonMissing):
                await house.engine.cancel(run, actor=OPERATOR, reason=" ")
            await house.engine.cancel(run, actor=OPERATOR, reason="not needed")
            house.poke()
            assert await house.ended(run) == "cancelled"
            assert await house.acts(run) == {}
            states = await house.database.fetch("select state from newel.task")
            assert [row["state"] for row in states] == ["withdrawn"]
            kinds = [kind for kind, _ in await house.events(run)]
            assert kinds[-1] == "run.cancelled"
            assert kinds.count("wait.closed") == 2
            with pytest.raises(NotWaiting):
                await house.engine.cancel(run, actor=OPERATOR, reason="again")

    async def test_an_attempt_in_flight_ends_first_and_nothing_follows(self, build):
        """The call is never cut; its outcome is recorded, and the next step never begins."""
        begun, go_on = asyncio.Event(), asyncio.Event()
        ran: list[str] = []

        @step(in_doubt="repeat")
        async def slow() -> str:
            begun.set()
            await go_on.wait()
            ran.append("slow")
            return "done"

        @step(in_doubt="repeat")
        async def never() -> None:
            ran.append("never")

        @process(subject=None, owner="it")
        async def working() -> None:
            await slow()
            await never()

        async with build([working]) as house, house.worker():
            run = await house.start("working")
            await asyncio.wait_for(begun.wait(), PATIENCE_S)
            await house.engine.cancel(run, actor=OPERATOR, reason="stop")
            house.poke()

            async def heard() -> bool:
                return (await house.row(run))["wake_at"] is None

            await house.until(heard)
            assert (await house.row(run))["state"] == "running"
            go_on.set()
            assert await house.ended(run) == "cancelled"
            assert ran == ["slow"]
            events = await house.events(run)
            assert ("step.succeeded", "slow") in events
            assert ("step.started", "never") not in events
            assert events[-1] == ("run.cancelled", None)

    async def test_what_stands_in_a_finally_happens(self, build):
        """The act of a finally is protected from the cancellation that brought it about."""
        ran: list[str] = []

        @step(in_doubt="repeat")
        async def clean() -> None:
            ran.append("clean")

        @process(subject=None, owner="it")
        async def tidy() -> None:
            try:
                await timer("pause", after=timedelta(days=1))
            finally:
                await clean()
                await timer("settle", after=timedelta(minutes=1))
                ran.append("settled")

        async with build([tidy], reads=False) as house, house.worker():
            run = await house.start("tidy")
            assert await house.rested(run) == "waiting"
            await house.engine.cancel(run, actor=OPERATOR, reason="stop")
            house.poke()

            async def settling() -> bool:
                return list(await house.acts(run)) == ["settle"]

            await house.until(settling)
            assert await house.rested(run) == "waiting"
            await house.move_to_next(run)
            assert await house.ended(run) == "cancelled"
            assert ran == ["clean", "settled"]
            assert ("wait.closed", "pause") in await house.events(run)

    async def test_a_parked_run_can_be_cancelled(self, build):
        """A parked step is withdrawn with the run."""

        @step
        async def broken() -> None:
            raise KeyError("typo")

        @process(subject=None, owner="it")
        async def parked() -> None:
            await broken()

        async with build([parked]) as house, house.worker():
            run = await house.start("parked")
            assert await house.rested(run) == "parked"
            await house.engine.cancel(run, actor=OPERATOR, reason="stop")
            house.poke()
            assert await house.ended(run) == "cancelled"
            assert ("step.cancelled", "broken") in await house.events(run)
