"""Working days: the worked example of the design, clocks that change, and files of holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel import business_days
from newel.base.errors import InvalidInput
from newel.domain.calendar import Calendar, holidays_in

BERLIN = ZoneInfo("Europe/Berlin")
HOLIDAYS = frozenset({date(2025, 12, 25), date(2025, 12, 26), date(2026, 1, 1)})
ACME = Calendar(zone=BERLIN, holidays=HOLIDAYS)
FIRST_DAY = date(2026, 1, 5)


@pytest.mark.parametrize(
    ("count", "day"),
    [
        (-10, date(2025, 12, 17)), (-3, date(2025, 12, 30)), (-2, date(2025, 12, 31)),
        (1, date(2026, 1, 6)), (5, date(2026, 1, 12)),
    ],
)  # fmt: skip
def test_days_before_and_after_the_first_day(count, day):
    """Weekends and holidays are passed over."""
    assert ACME.shifted(FIRST_DAY, count) == day


@pytest.mark.parametrize("day", [date(2026, 1, 9), date(2026, 1, 10), date(2026, 1, 11)])
def test_from_friday_and_from_a_weekend_two_days_are_the_tuesday(day):
    """At the same time of day, as the company's clocks show it."""
    moment = datetime(day.year, day.month, day.day, 15, 30, tzinfo=BERLIN)
    due = ACME.after(moment.astimezone(UTC), business_days(2))
    assert due == datetime(2026, 1, 13, 15, 30, tzinfo=BERLIN)
    assert due.tzinfo is UTC


def test_the_day_is_that_of_the_zone():
    """Late on Sunday in UTC it is Monday in Berlin."""
    assert ACME.after(datetime(2026, 1, 11, 23, 30, tzinfo=UTC), business_days(1)) == datetime(
        2026, 1, 13, 0, 30, tzinfo=BERLIN
    )


def test_the_hour_of_the_day_stays_when_clocks_change():
    """Summer begins on Sunday 29 March 2026: from Friday to Monday it is an hour less."""
    before = datetime(2026, 3, 27, 9, tzinfo=BERLIN).astimezone(UTC)
    assert ACME.after(before, business_days(1)) - before == timedelta(days=3, hours=-1)


def test_a_time_that_is_left_out_is_the_end_of_the_gap():
    """Where clocks change on a working day: 2:30 is 3:00, and a time that comes twice its first."""
    cairo = Calendar(zone=ZoneInfo("Africa/Cairo"))
    before = datetime(2026, 4, 23, 0, 30, tzinfo=cairo.zone)
    assert cairo.after(before, business_days(1)) == datetime(2026, 4, 24, 1, tzinfo=cairo.zone)
    twice = datetime(2026, 10, 29, 23, 30, tzinfo=ZoneInfo("Africa/Cairo"))
    due = cairo.after(twice - timedelta(days=1), business_days(1))
    assert due == twice.replace(fold=0).astimezone(UTC)


@given(moment=st.datetimes(timezones=st.sampled_from([UTC, BERLIN])), count=st.integers(1, 40))
def test_a_later_start_is_never_due_earlier(moment, count):
    """Due on a working day, after at least as many days; one more day is later."""
    if moment.year > 9990 or moment.year < 2:
        return
    due = ACME.after(moment, business_days(count))
    assert ACME.is_working(due.astimezone(BERLIN).date())
    assert due.astimezone(BERLIN).date() >= moment.astimezone(BERLIN).date() + timedelta(count)
    assert ACME.after(moment, business_days(count + 1)) > due


def test_holidays_are_read_from_a_table_or_a_calendar_file():
    """The heading is passed over; an event of several days is all of them."""
    table = "day,name\n2025-12-25,Christmas\n 2025-12-26 ,\n\n2026-01-01,New Year\n"
    assert holidays_in(table) == HOLIDAYS
    assert holidays_in("\ufeff2026-01-01\n") == {date(2026, 1, 1)}
    assert holidays_in("") == frozenset()
    ics = (
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Christmas\r\nDTSTART;VALUE=DATE:20251225\r\n"
        "DTEND;VALUE=DATE:20251227\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nDTSTART:20260101T000000Z\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    assert holidays_in(ics) == HOLIDAYS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-01-01\nsoon\n", "line 2 begins with no day"),
        ("2026-01-01\n2026-02-30\n", "line 2 begins with no day"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20269901\nEND:VEVENT\n", "begins on no day"),
        (
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\nRRULE:FREQ=YEARLY\nEND:VEVENT\n",
            "has events that recur",
        ),
    ],
)
def test_what_tells_no_day_is_refused(text, said):
    """A deadline that is silently a day wrong would be worse."""
    with pytest.raises(InvalidInput, match=said):
        holidays_in(text)


def test_a_calendar_without_working_days_is_refused():
    """Rather than looking for ever."""
    start = date(2026, 1, 1)
    never = Calendar(holidays=frozenset(start + timedelta(n) for n in range(366 * 8)))
    with pytest.raises(InvalidInput, match="no working day"):
        never.shifted(start, 1)
