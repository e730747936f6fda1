"""Deadlines and timers in working days, by the calendar that the deployment has."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from newel import Event, Overdue, approval, business_days, days, process, team, timer
from newel.domain.calendar import Calendar
from newel.engine.runner import Limits
from newel.engine.worker import WorkerSettings
from newel.testing import every_crash, running

BERLIN = ZoneInfo("Europe/Berlin")
signed = Event("signed", str)


def chasing(span):
    """The process as it is when people have so long to answer."""

    @process(name="chasing", subject=None, owner="it")
    async def version() -> str:
        """A decision, a message and a moment, each with working days."""
        try:
            decision = await approval("agreed", by=team("it"), within=span)
        except Overdue as late:
            due = late.due
        else:
            return decision.by
        try:
            await signed.wait(within=business_days(1))
        except Overdue:
            await timer("pause", after=business_days(3))
        return f"{due:%a %d %b %H:%M}"

    return version


async def test_a_weekend_is_passed_over_wherever_the_worker_dies():
    """Begun on a Friday, two days are the Tuesday; then one is the Wednesday, and three Monday."""

    async def play(crash=None):
        async with running(
            chasing(business_days(2)).request(), at="2026-01-09", crash=crash
        ) as run:
            run.clock.advance(days(3))
            assert run.waiting() == {"agreed"}
            run.clock.advance(days(1))
            assert run.waiting() == {"signed"}
            run.clock.advance(days(1))
            assert run.waiting() == {"pause"}
            run.clock.advance(days(4))
            assert run.waiting() == {"pause"}
            run.clock.advance(days(1))
            assert await run.result() == "Tue 13 Jan 00:00"

    for crash in await every_crash(play):
        await play(crash)


async def test_an_open_wait_follows_to_working_days():
    """Code that says working days from now on moves the deadline, counted from when it opened."""
    async with running(chasing(days(2)).request(), at="2026-01-09") as run:
        run.deploy(chasing(business_days(2)))
        run.clock.advance(days(3))
        assert run.waiting() == {"agreed"}
        (moved,) = [row for row in run.events() if row["type"] == "run.rescheduled"]
        assert moved["key"] == "agreed"
        run.clock.advance(days(1))
        assert run.waiting() == {"signed"}


async def test_holidays_and_the_zone_are_the_companys(build):
    """On a real database: the day after tomorrow but for the holidays, at the same local time."""
    calendar = Calendar(zone=BERLIN)
    async with build([chasing(business_days(2))]) as house:
        opened = await house.now()
        first = calendar.shifted(opened.astimezone(BERLIN).date(), 1)
    acme = Calendar(zone=BERLIN, holidays=frozenset({first}))
    settings = WorkerSettings(limits=Limits(calendar=acme))
    async with build([chasing(business_days(2))], settings=settings) as house, house.worker():
        run = await house.start("chasing", {})
        await house.rested(run)
        row = await house.database.fetchrow(
            "select opened_at, due_at from newel.open_act where run_id = $1", run
        )
        assert row is not None
        assert row["due_at"] == acme.after(row["opened_at"], business_days(2))
        assert row["due_at"].astimezone(BERLIN).date() == calendar.shifted(first, 2)
