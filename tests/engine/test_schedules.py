"""Schedules: started once each, by many workers, through moved clocks, pauses and new code."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from newel import every, process
from newel.base.errors import DefinitionError, NotFound, NotWaiting
from newel.domain.people import Person
from newel.flow.process import Request
from newel.store import schedules as rows
from tests.engine.house import OPERATOR, opened


@process(subject=None)
async def review(of: str) -> str:
    """Review something."""
    return of


@process(subject=None)
async def daily(day: datetime) -> None:
    """Report on a day."""


@process
async def checked(person: Person) -> None:
    """Check on a person."""


HOURLY = every("0 * * * *", review.request("access"), zone="Europe/Berlin")


@pytest.fixture
def house(database_url, tmp_path):
    """Open the deployment with given schedules; may be called again, as a deploy would."""
    made = []

    async def build(*schedules, processes=(review, daily, checked)):
        built = await opened(database_url, tmp_path / "kek", processes, schedules=schedules)
        made.append(built)
        return built

    yield build
    for each in made:
        asyncio.get_event_loop_policy()
        each.database._pool.terminate()


async def started(house, name="review"):
    """The runs of a schedule by planned moment, in order."""
    found = await house.database.fetch(
        "select planned_at, run_id from newel.occurrence where schedule = $1 order by 1", name
    )
    return [row["planned_at"] for row in found]


async def test_an_occurrence_is_started_once_by_many_workers(house):
    """Three workers over four hours start four runs, each told where it came from."""
    there = await house(HOURLY)
    async with there.worker(), there.worker(), there.worker():
        for hour in range(4):
            await there.move(timedelta(hours=1))

            async def has(count: int = hour + 1) -> bool:
                return len(await started(there)) == count

            await there.until(has)
    runs = await there.database.fetch("select run_id from newel.occurrence order by planned_at")
    count = await there.database.fetchval("select count(*) from newel.run")
    assert (len(runs), count) == (4, 4)
    first, *_ = await there.leaves(runs[0]["run_id"])
    planned = (await started(there))[0]
    key = f"review@{planned:%Y-%m-%dT%H:%M:%SZ}"
    assert first["data"]["source"] == {"type": "schedule", "ref": key}
    assert first["data"]["idempotency_key"] == key
    assert first["actor"] == {"type": "system", "id": "newel", "via": "schedule/review"}


async def test_two_that_decide_at_once_start_one(house):
    """Whoever finds the row locked leaves the moment to the other."""
    there = await house(HOURLY)
    await there.move(timedelta(hours=1))
    answers = await asyncio.gather(*(there.engine.schedules.start_due() for _ in range(5)))
    assert [each for each in answers if each] == [1]
    assert len(await started(there)) == 1


async def test_what_dies_in_the_decision_has_decided_nothing(house, monkeypatch):
    """Killed after the run was written and before the row moved: all of it comes again, once."""
    there = await house(HOURLY)
    await there.move(timedelta(hours=1))

    async def killed(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(rows, "go_on", killed)
        with pytest.raises(ConnectionResetError):
            await there.engine.schedules.start_due()
    assert await there.database.fetchval("select count(*) from newel.run") == 0
    assert await there.engine.schedules.start_due() == 1
    assert await there.engine.schedules.start_due() is None
    assert await there.database.fetchval("select count(*) from newel.run") == 1


async def test_downtime_is_made_up_for_as_the_schedule_says(house):
    """After five hours without a worker: the latest, all of them, or none."""
    there = await house(
        every("0 * * * *", review.request("a"), name="a"),
        every("0 * * * *", review.request("b"), missed="each", name="b"),
        every("0 * * * *", review.request("c"), missed="skip", name="c"),
    )
    now = await there.now()
    next_hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    await there.move(next_hour + timedelta(hours=4, minutes=30) - now)
    while await there.engine.schedules.start_due() is not None:
        pass
    hours = [next_hour + timedelta(hours=n) for n in range(5)]
    assert await started(there, "a") == hours[4:]
    assert await started(there, "b") == hours
    assert await started(there, "c") == []
    listed = {row["name"]: row for row in await rows.listed(there.database)}
    assert listed["a"]["left_out"] == 4
    assert {row["next_at"] for row in listed.values()} == {hours[4] + timedelta(hours=1)}


async def test_a_function_makes_the_request_from_the_planned_moment(house):
    """The input may name the day it is for."""
    there = await house(every("0 0 * * *", daily.request, name="daily-report"))
    await there.move(timedelta(days=1))
    assert await there.engine.schedules.start_due() == 1
    run = await there.database.fetchval("select id from newel.run")
    async with there.worker():
        assert await there.ended(run) == "completed"


async def test_a_pause_is_not_made_up_for(house):
    """What falls into a pause never happens; both ends of it are told by whom."""
    there = await house(HOURLY)
    schedules = there.engine.schedules
    await schedules.pause("review", actor=OPERATOR)
    with pytest.raises(NotWaiting):
        await schedules.pause("review", actor=OPERATOR)
    await there.move(timedelta(hours=3))
    assert await schedules.start_due() is None
    next_at = await schedules.resume("review", actor=OPERATOR)
    assert next_at > await there.now()
    assert await schedules.start_due() is None
    with pytest.raises(NotWaiting):
        await schedules.resume("review", actor=OPERATOR)
    with pytest.raises(NotFound):
        await schedules.pause("never-declared", actor=OPERATOR)
    stream = await there.database.fetchval("select id from newel.audit_stream where name='admin'")
    told = [type_ for type_, _ in await there.events(stream) if type_.startswith("schedule.")]
    assert told == ["schedule.registered", "schedule.paused", "schedule.resumed"]


async def test_a_changed_timetable_goes_on_from_its_next_moment(house):
    """A deploy with another timetable makes up for nothing of the old one."""
    old = await house(HOURLY)
    await old.move(timedelta(hours=2))
    new = await house(every("0 6 * * MON", review.request("access")))
    assert await new.engine.schedules.start_due() is None
    assert await old.engine.schedules.start_due() is None, "another version's row is left alone"
    (row,) = await rows.listed(new.database)
    assert (row["cron"], row["zone"]) == ("0 6 * * MON", "UTC")
    assert row["next_at"] > await new.now()


async def test_the_same_timetable_survives_a_deploy(house):
    """What became due while the new version was started is not lost."""
    old = await house(HOURLY)
    await old.move(timedelta(hours=1))
    new = await house(HOURLY)
    assert await new.engine.schedules.start_due() == 1


async def test_a_removed_schedule_retires_and_may_come_back(house):
    """Nothing is started for it, nothing made up for when the code declares it again."""
    await house(HOURLY)
    without = await house()
    assert await rows.listed(without.database) == []
    await without.move(timedelta(hours=2))
    again = await house(HOURLY)
    assert await again.engine.schedules.start_due() is None
    assert len(await rows.listed(again.database)) == 1


async def test_a_program_without_the_process_retires_nothing(house):
    """A worker for other processes says nothing about this one's schedules."""
    there = await house(HOURLY)
    await house(processes=(daily,))
    assert len(await rows.listed(there.database)) == 1


async def test_a_start_that_is_refused_is_kept_with_its_reason(house):
    """An open run of the same person keeps the next from starting, and the moment says so."""
    person = Person(name="Ada Park", email="ada@example.test")
    there = await house(every("0 * * * *", checked.request(person), name="ada"))
    for _ in range(2):
        await there.move(timedelta(hours=1))
        await there.engine.schedules.start_due()
    latest, first = await rows.occurrences(there.database, "ada")
    assert first["run_id"] is not None
    assert latest["run_id"] is None
    assert "open run" in latest["refused"] or "run_" in latest["refused"]


async def test_a_function_that_fails_holds_up_no_other_schedule(house):
    """Its mistake is kept with the moment; no personal data of the exception is."""
    moments = []

    def broken(at: datetime):  # fails at run time only
        moments.append(at)
        if len(moments) > 1:
            message = "jane@example.test"
            raise KeyError(message)
        return daily.request(at)

    there = await house(every("0 * * * *", broken, name="broken"), HOURLY)
    await there.move(timedelta(hours=1))
    while await there.engine.schedules.start_due() is not None:
        pass
    (row,) = await rows.occurrences(there.database, "broken")
    assert row["refused"] == "The schedule `broken` could not say what it starts: KeyError."
    assert len(await started(there)) == 1


async def test_mistakes_in_declarations_are_told_at_registration(house):
    """A name twice, a process the engine does not run, no request, no name."""
    with pytest.raises(DefinitionError, match=r"F710.*Two schedules are named `review`"):
        await house(HOURLY, replace(HOURLY))
    with pytest.raises(DefinitionError, match=r"F710.*`review`, which this engine does not run"):
        await house(HOURLY, processes=(daily,))
    nothing: Any = lambda at: at  # noqa: E731 - the mistake
    with pytest.raises(DefinitionError, match=r"F710.*starts no process"):
        await house(every("0 * * * *", nothing, name="x"))
    with pytest.raises(DefinitionError, match=r"F710.*needs a name"):
        every("0 * * * *", daily.request)
    with pytest.raises(DefinitionError, match=r"F710.*says nothing"):
        every("0 * * * *", review.request("x"), missed="all")  # type: ignore[arg-type]  # the mistake


def test_a_moment_is_utc_for_the_function():
    """Whatever the zone, the planned moment is given as UTC."""
    seen = []

    def asked(at: datetime) -> Request[None]:
        seen.append(at)
        return daily.request(at)

    made = every("0 6 * * *", asked, zone="Asia/Tokyo", name="x")
    made.request(made.timetable.after(datetime(2026, 1, 1, tzinfo=UTC)))
    assert seen == [datetime(2026, 1, 1, 21, tzinfo=UTC)]
