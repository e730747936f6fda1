"""Timetables: when a schedule is due, through clocks that jump, and what becomes of the missed."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newel.base.errors import DefinitionError
from newel.domain.schedules import LATE, Timetable, due

BERLIN = "Europe/Berlin"
MONDAYS = Timetable("0 6 * * MON", BERLIN)
HOURLY = Timetable("0 * * * *", "UTC")


def utc(*parts: int) -> datetime:
    """A moment in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]  # parts end before the zone


def test_a_timetable_is_read_in_its_zone():
    """Mondays at six in Berlin are five o'clock UTC in winter and four in summer."""
    assert MONDAYS.after(utc(2026, 1, 1)) == utc(2026, 1, 5, 5)
    assert MONDAYS.after(utc(2026, 7, 1)) == utc(2026, 7, 6, 4)


def test_the_hour_that_is_left_out_leaves_out_no_occurrence():
    """Half past two on the night the clocks go forward comes when the gap is over."""
    daily = Timetable("30 2 * * *", BERLIN)
    assert daily.between(utc(2026, 3, 28), utc(2026, 3, 31), 9) == [
        utc(2026, 3, 28, 1, 30),
        utc(2026, 3, 29, 1, 0),
        utc(2026, 3, 30, 0, 30),
    ]


def test_the_hour_that_comes_twice_repeats_no_occurrence():
    """Half past two on the night the clocks go back is meant once."""
    daily = Timetable("30 2 * * *", BERLIN)
    assert daily.between(utc(2026, 10, 24, 12), utc(2026, 10, 26, 12), 9) == [
        utc(2026, 10, 25, 0, 30),
        utc(2026, 10, 26, 1, 30),
    ]


def test_what_counts_minutes_runs_through_the_repeated_hour():
    """Every half hour stays every half hour of time that passes."""
    found = Timetable("*/30 * * * *", BERLIN).between(utc(2026, 10, 25, 0), utc(2026, 10, 25, 2), 9)
    assert [later - earlier for earlier, later in itertools.pairwise(found)] == [
        timedelta(minutes=30)
    ] * 4


def test_nothing_is_due_before_its_moment():
    """A schedule whose moment has not come starts nothing and keeps it."""
    at = utc(2026, 1, 5, 5)
    answer = due(MONDAYS, "each", next_at=at, now=at - timedelta(microseconds=1))
    assert (answer.start, answer.left_out, answer.next_at) == ((), 0, at)


def test_once_starts_the_latest_of_what_was_missed():
    """Five hours without a worker cost four occurrences and one late start."""
    answer = due(HOURLY, "once", next_at=utc(2026, 1, 1, 1), now=utc(2026, 1, 1, 5, 30))
    assert (answer.start, answer.left_out) == ((utc(2026, 1, 1, 5),), 4)
    assert answer.next_at == utc(2026, 1, 1, 6)


def test_each_starts_all_of_them_oldest_first():
    """Every missed moment has its own start."""
    answer = due(HOURLY, "each", next_at=utc(2026, 1, 1, 1), now=utc(2026, 1, 1, 3))
    assert answer.start == (utc(2026, 1, 1, 1), utc(2026, 1, 1, 2), utc(2026, 1, 1, 3))
    assert (answer.left_out, answer.next_at) == (0, utc(2026, 1, 1, 4))


def test_each_comes_in_portions():
    """Ten years of missed hours are taken a hundred at a time, none left out."""
    answer = due(HOURLY, "each", next_at=utc(2016, 1, 1), now=utc(2026, 1, 1))
    assert len(answer.start) == 100
    assert answer.next_at == answer.start[-1] + timedelta(hours=1)


def test_skip_starts_what_is_on_time_only():
    """A minute late is on time, more is left out."""
    at = utc(2026, 1, 1, 1)
    assert due(HOURLY, "skip", next_at=at, now=at + LATE).start == (at,)
    late = due(HOURLY, "skip", next_at=at, now=at + LATE + timedelta(seconds=1))
    assert (late.start, late.left_out, late.next_at) == ((), 1, utc(2026, 1, 1, 2))


def test_years_of_missed_minutes_are_counted_no_further_than_two_hundred():
    """Counting what was left out never takes long."""
    minutely = Timetable("* * * * *", "UTC")
    answer = due(minutely, "once", next_at=utc(2016, 1, 1), now=utc(2026, 1, 1))
    assert (answer.start, answer.left_out) == ((utc(2026, 1, 1),), 199)


@settings(max_examples=40)  # years of minutes take their time
@given(
    st.sampled_from(["once", "each", "skip"]),
    st.sampled_from(["0 6 * * MON", "*/7 * * * *", "30 2 * * *", "0 0 1 * *", "15 1-3 * * SUN"]),
    st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - made aware below
    st.lists(st.timedeltas(timedelta(0), timedelta(days=9)), max_size=5),
)
def test_no_moment_is_started_twice_or_early_however_workers_look(missed, cron, zone, start, looks):
    """Whatever looks come, starts are occurrences, in order, never early, never repeated."""
    table = Timetable(cron, zone)
    now = start.replace(tzinfo=UTC)
    next_at = table.after(now)
    begun: list[datetime] = []
    for pause in looks:
        now += pause
        answer = due(table, missed, next_at=next_at, now=now)
        assert all(at <= now for at in answer.start)
        begun += answer.start
        assert answer.next_at >= next_at
        next_at = answer.next_at
        assert all(at < next_at for at in begun)
    assert begun == sorted(set(begun))
    assert all(table.until(at) == at for at in begun)


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "61 * * * *", "0 0 30 2 *", "0 0 * * * *", "@daily"]
)
def test_what_names_no_moment_is_refused(cron):
    """A mistake in the expression is told when it is declared, with an example."""
    with pytest.raises(DefinitionError, match=r"F710.*no timetable.*Mondays at six"):
        Timetable(cron, "UTC")


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "europe berlin"])
def test_a_zone_that_is_not_there_is_refused(zone):
    """A zone is the name of a place."""
    with pytest.raises(DefinitionError, match=r"F710.*no time zone"):
        Timetable("0 6 * * *", zone)
