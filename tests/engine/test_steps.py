"""Steps: intended before they run, recorded once, tried again, parked, mended by a person."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from newel.base.errors import Invalid, NotSkippable, OutcomeUnknown, ReasonMissing, Transient
from newel.domain.values import Absent, Found
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.step import step
from tests.engine.house import OPERATOR, System


async def test_an_intent_rides_with_the_outcome_before_it(build):
    """Two steps in sequence: the second is intended in the commit of the first's outcome."""

    @step(in_doubt="repeat")
    async def first() -> int:
        return 1

    @step(in_doubt="repeat")
    async def second(number: int) -> int:
        return number + 1

    @process(subject=None, owner="it")
    async def pair() -> int:
        return await second(await first())

    async with build([pair]) as house, house.worker() as worker:
        run = await house.start("pair")
        assert await house.ended(run) == "completed"
        assert await house.events(run) == [
            ("run.started", None),
            ("step.started", "first"),
            ("step.succeeded", "first"),
            ("step.started", "second"),
            ("step.succeeded", "second"),
            ("run.completed", None),
        ]
        assert worker.committer.commits == 3


async def test_a_blip_is_recovered_within_the_burst(build):
    """A step that fails once runs again a second later; nobody is told."""
    calls: list[int] = []

    @step(in_doubt="repeat")
    async def flaky() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise Transient("no answer")
        return "done"

    @process(subject=None, owner="it")
    async def blip() -> str:
        return await flaky()

    async with build([blip]) as house, house.worker():
        run = await house.start("blip")
        assert await house.rested(run) == "waiting"
        await house.move_to_next(run)
        assert await house.ended(run) == "completed"
        assert len(calls) == 2
        assert house.desk.opened == []
        assert await house.database.fetchval("select count(*) from newel.incident") == 0


async def test_an_endless_outage_fails_three_rounds_within_the_hour_and_opens_one_ticket(build):
    """Down for ever: exactly three failed rounds, the last call before 60:00, one ticket."""
    system = System(is_down=True)
    calls: list[datetime] = []

    class GitHub:
        name, credential = "github", system.credential

        @step(in_doubt="repeat")
        async def invite(self) -> None:
            calls.append(await house.now())
            raise Transient("503")

    github = GitHub()

    @process(subject=None, owner="it")
    async def outage() -> None:
        await github.invite()

    async with build([outage], systems=[system]) as house, house.worker():
        run = await house.start("outage")
        while await house.rested(run) != "parked":
            await house.move_to_next(run)
        kinds = [kind for kind, _ in await house.events(run)]
        assert kinds.count("step.round_failed") == 3
        assert kinds[-2:] == ["step.parked", "run.parked"]
        assert calls[-1] - calls[0] <= timedelta(minutes=60)
        assert len(calls) == 21

        async def ticketed() -> bool:
            return bool(await house.database.fetchval("select count(*) from newel.ticket"))

        await house.until(ticketed)
        assert house.desk.opened == [house.desk.opened[0]]
        system.is_down = False


async def test_a_healed_outage_resumes_by_itself_and_closes_its_ticket(build):
    """The probe answers: the parked step goes on, the ticket is commented on and closed."""
    system = System(is_down=True)

    class GitHub:
        name, credential = "github", system.credential

        @step(in_doubt="repeat")
        async def invite(self) -> str:
            if system.is_down:
                raise Transient("503")
            return "invited"

    github = GitHub()

    @process(subject=None, owner="it")
    async def outage() -> str:
        return await github.invite()

    async with build([outage], systems=[system]) as house, house.worker():
        run = await house.start("outage")
        while await house.rested(run) != "parked":
            await house.move_to_next(run)
        system.is_down = False
        await house.move(timedelta(minutes=2))
        assert await house.ended(run) == "completed"

        async def closed() -> bool:
            return "OPS-1" in house.desk.closed

        await house.until(closed)
        assert house.desk.comments == ["OPS-1/over"]
        states = await house.database.fetch("select state from newel.incident")
        assert [row["state"] for row in states] == ["closed"]


async def test_a_branch_that_parks_holds_up_nobody_else(build):
    """A failing class that needs a person parks its branch at once; the sibling finishes."""

    @step(in_doubt="repeat")
    async def refused() -> str:
        raise Invalid("the name is too long")

    @step(in_doubt="repeat")
    async def fine() -> str:
        return "ok"

    @process(subject=None, owner="hr")
    async def both() -> str:
        one, two = await parallel(refused(), fine())
        return one + two

    async with build([both]) as house, house.worker():
        run = await house.start("both")
        assert await house.rested(run) == "parked"
        acts = await house.acts(run)
        assert list(acts) == ["refused"]
        assert (acts["refused"]["reason"], acts["refused"]["owner"]) == ("invalid", "hr")
        with pytest.raises(NotSkippable):
            await house.engine.skip(run, "refused", actor=OPERATOR, reason="not needed")
        with pytest.raises(ReasonMissing):
            await house.engine.complete_by_hand(
                run, "refused", "by hand ", evidence="seen", actor=OPERATOR, reason=" "
            )
        await house.engine.complete_by_hand(
            run, "refused", "by hand ", evidence="seen", actor=OPERATOR, reason="done on the phone"
        )
        assert await house.ended(run) == "completed"


async def test_a_lost_answer_is_looked_up_and_adopted(build):
    """The effect happened and its answer was lost: verify finds it, nothing is done twice."""
    effects: list[str] = []

    async def look() -> Found[str] | Absent:
        return Found("made") if effects else Absent()

    @step(verify=look)
    async def make() -> str:
        effects.append("made")
        raise OutcomeUnknown("the answer was lost")

    @process(subject=None, owner="it")
    async def once() -> str:
        return await make()

    async with build([once]) as house, house.worker():
        run = await house.start("once")
        assert await house.rested(run) == "waiting"
        await house.move_to_next(run)
        assert await house.ended(run) == "completed"
        assert effects == ["made"]
        kinds = [kind for kind, _ in await house.events(run)]
        assert "step.in_doubt" in kinds
        assert "step.resolved" in kinds


async def test_a_step_without_verify_asks_a_person_when_its_answer_is_lost(build):
    """By default an unknown outcome is a question to a person, not a repetition."""

    @step
    async def pay() -> None:
        raise OutcomeUnknown("the answer was lost")

    @process(subject=None, owner="finance")
    async def payment() -> None:
        await pay()

    async with build([payment]) as house, house.worker():
        run = await house.start("payment")
        assert await house.rested(run) == "parked"
        assert (await house.acts(run))["pay"]["reason"] == "unknown"
        await house.engine.skip(run, "pay", actor=OPERATOR, reason="it was paid by hand")
        assert await house.ended(run) == "completed"


async def test_a_bug_in_the_body_parks_the_run(build):
    """An exception that is no declared end never ends a run: it parks as a bug."""

    @process(subject=None, owner="it")
    async def broken() -> None:
        raise KeyError("typo")

    async with build([broken]) as house, house.worker():
        run = await house.start("broken")
        assert await house.rested(run) == "parked"
        assert (await house.row(run))["parked_reason"] == "bug"
