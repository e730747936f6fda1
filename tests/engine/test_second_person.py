"""Four eyes on operators: what one person orders, a second one confirms, and nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from newel import Invalid, Person, days, process, step, timer
from newel.base.errors import (
    AlreadyDecided,
    NotAllowed,
    NotWaiting,
    ReasonMissing,
    SelfApproval,
)
from newel.store.tasks import listed
from newel.testing import running
from tests.engine.house import opened

LEO = Person(name="Leo Leaver", email="leo.leaver@acme.example")
ALICE, BOB = "alice@acme.example", "bob@acme.example"
FIRST_DAY = datetime.fromisoformat("2026-01-12T09:00:00+00:00")
REASON = "The system is gone."


@step(system="wiki", grants="account", in_doubt="repeat")
async def give(person: Person) -> None:
    """Give an account that the wiki never gives."""
    raise Invalid("cannot be done")


@step(in_doubt="repeat")
async def greet(person: Person) -> None:
    """Say something that cannot be said."""
    raise Invalid("cannot be said")


@dataclass(frozen=True)
class Hire:
    """Whoever comes, and when."""

    person: Person
    starts_at: datetime
    desk: str = ""


JANE = Hire(Person(name="Jane Doe", email="jane@acme.example"), FIRST_DAY)


@process(owner="it", second_person=True)
async def guarded(person: Person) -> None:
    """Give an account; who lets that be, is asked for by a second person."""
    await give(person)


@process(owner="it")
async def loose(person: Person) -> None:
    """The same without a second person."""
    await give(person)


@process(owner="it", second_person=True)
async def greeting(person: Person) -> None:
    """Nothing here is about access."""
    await greet(person)


@process(owner="hr", second_person=True, first_day=lambda hire: hire.starts_at)
async def arriving(hire: Hire) -> None:
    """Waits long beyond the first day."""
    await timer("first-day", at=hire.starts_at)
    await timer("much-later", after=days(90))


async def named(run: Any, address: str) -> Any:
    """Somebody who acts in the console."""
    return await run.do(run.engine.actor(address, via="console"))


async def tasks(run: Any) -> list[Any]:
    """What is open for people in the run."""
    found = await run.do(listed(run.engine.database))
    return [row["id"] for row in found if row["run_id"] == run.id]


async def test_skipping_access_needs_another_person():
    """The proposer and the subject cannot confirm; who does, stands in the event beside them."""
    async with running(guarded.request(LEO)) as run:
        alice, bob = await named(run, ALICE), await named(run, BOB)
        task = await run.do(run.engine.skip(run.id, "give", actor=alice, reason=REASON))
        assert task is not None
        assert run.state == "parked"
        proposal = await run.do(run.engine.proposal_of(task))
        assert (proposal.verb, proposal.key, proposal.reason) == ("skip", "give", REASON)
        assert proposal.by == alice.person
        for actor in (alice, await named(run, LEO.email)):
            with pytest.raises(SelfApproval):
                await run.do(run.engine.decide(task, approved=True, actor=actor))
        await run.do(run.engine.decide(task, approved=True, actor=bob))
        assert run.state == "completed"
        [leaf] = [each for each in run.audit() if each["type"] == "step.skipped"]
        assert (leaf["actor"]["on_behalf_of"], leaf["data"]["second"]) == (alice.person, bob.person)
        assert leaf["data"]["grants"]


async def test_a_no_changes_nothing_and_is_said():
    """The step stays parked; the same may be ordered again, and then be confirmed."""
    async with running(guarded.request(LEO)) as run:
        alice, bob = await named(run, ALICE), await named(run, BOB)

        async def order():
            return await run.do(
                run.engine.complete_by_hand(
                    run.id, "give", None, evidence="Seen.", actor=alice, reason=REASON
                )
            )

        task = await order()
        with pytest.raises(ReasonMissing):
            await run.do(run.engine.decide(task, approved=False, actor=bob))
        await run.do(run.engine.decide(task, approved=False, actor=bob, comment="Not seen."))
        assert run.state == "parked"
        assert await tasks(run) == []
        await run.do(run.engine.decide(await order(), approved=True, actor=bob))
        assert run.state == "completed"
        [leaf] = [each for each in run.audit() if each["type"] == "step.completed_by_hand"]
        assert leaf["data"]["second"] == bob.person


@pytest.mark.parametrize(("which", "key"), [(loose, "give"), (greeting, "greet")])
async def test_nobody_else_is_asked_where_nothing_asks(which, key):
    """Without a process that asks, or where a step is about no access, one person is enough."""
    async with running(which.request(LEO)) as run:
        alice = await named(run, ALICE)
        assert await run.do(run.engine.skip(run.id, key, actor=alice, reason=REASON)) is None
        assert run.state == "completed"


async def test_an_order_waits_a_day_and_only_once():
    """Twice at once is refused; after 24 hours nobody confirms it, and it is withdrawn."""
    async with running(guarded.request(LEO)) as run:
        alice, bob = await named(run, ALICE), await named(run, BOB)
        task = await run.do(run.engine.skip(run.id, "give", actor=alice, reason=REASON))
        with pytest.raises(NotWaiting, match="second person already"):
            await run.do(run.engine.skip(run.id, "give", actor=bob, reason=REASON))
        run.clock.advance(timedelta(hours=24))
        with pytest.raises(AlreadyDecided):
            await run.do(run.engine.decide(task, approved=True, actor=bob))
        assert await run.do(run.engine.confirming.expire()) == 1
        assert await tasks(run) == []
        assert [each["data"]["cause"] for each in run.audit() if "withdrawn" in each["type"]] == [
            "timer"
        ]
        again = await run.do(run.engine.skip(run.id, "give", actor=alice, reason=REASON))
        await run.do(run.engine.decide(again, approved=True, actor=bob))
        assert run.state == "completed"


async def test_only_a_person_with_a_name_orders_what_another_confirms():
    """A key or a service cannot propose: nobody could tell who the second person is."""
    async with running(guarded.request(LEO)) as run:
        service = await run.do(run.engine.actor(None, via="api"))
        with pytest.raises(NotAllowed, match="name a person"):
            await run.do(run.engine.skip(run.id, "give", actor=service, reason=REASON))


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_cancel_after_the_first_day_is_confirmed(is_late):
    """Before it one person ends the run; from then on a second one has to agree."""
    async with running(arriving.request(JANE)) as run:
        if is_late:
            run.clock.move_to(FIRST_DAY)
        task = await run.do(run.engine.cancel(run.id, actor=await named(run, ALICE), reason=REASON))
        assert (task is not None) is is_late
        if task is not None:
            assert run.state == "waiting"
            await run.do(run.engine.decide(task, approved=True, actor=await named(run, BOB)))
        assert run.state == "cancelled"


async def test_a_date_that_has_passed_is_amended_by_two():
    """Another desk is one person's; another first day is not, once it was there."""
    async with running(arriving.request(JANE)) as run:
        run.clock.move_to(FIRST_DAY)
        alice, bob = await named(run, ALICE), await named(run, BOB)
        given = await run.do(run.engine.input_of(run.id))
        other = {**given, "desk": "4.12"}
        done = await run.do(run.engine.amend(run.id, other, actor=alice, reason=REASON))
        assert (done.second, done.task) == (False, None)
        later = {**other, "starts_at": "2026-02-02T09:00:00+00:00"}
        seen = await run.do(run.engine.amend(run.id, later, actor=alice, dry=True))
        assert (seen.second, seen.task) == (True, None)
        asked = await run.do(run.engine.amend(run.id, later, actor=alice, reason=REASON))
        assert asked.task is not None
        assert (await run.do(run.engine.input_of(run.id)))["starts_at"] == given["starts_at"]
        [task] = await tasks(run)
        await run.do(run.engine.decide(task, approved=True, actor=bob))
        assert (await run.do(run.engine.input_of(run.id)))["starts_at"].startswith("2026-02-02")
        told = [each["data"] for each in run.audit() if each["type"] == "run.amended"]
        assert [each.get("second") for each in told] == [None, bob.person]
        assert run.state == "parked"  # what the new first day means for the old one, a person says


async def test_strict_asks_everywhere_and_is_written_down(database_url, tmp_path):
    """On PostgreSQL: no process asks, the setting does; that it holds is in the audit log."""
    house = await opened(database_url, tmp_path / "kek", [loose], second_person="strict")
    try:
        await house.engine.register()
        changed = await house.database.fetchval(
            "select count(*) from newel.event where type = 'setting.changed'"
        )
        assert changed == 1
        alice = await house.engine.actor(ALICE, via="api")
        bob = await house.engine.actor(BOB, via="api")
        async with house.worker():
            run = await house.start("loose", {"name": LEO.name, "email": LEO.email})
            assert await house.rested(run) == "parked"
            task = await house.engine.skip(run, "give", actor=alice, reason=REASON)
            assert task == await house.task(run)
            assert await house.rested(run) == "parked"
            await house.engine.decide(task, approved=True, actor=bob)
            assert await house.ended(run) == "completed"
    finally:
        await house.database.close()
