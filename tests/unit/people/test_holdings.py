"""A day is a day of somebody's clocks: it has 23 to 25 hours, and it must have begun."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from newel.base.errors import InvalidInput
from newel.people.holdings import day_of

NOW = datetime(2026, 11, 29, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "zone", "begin", "hours"),
    [
        ("2026-03-03", "Europe/Berlin", "2026-03-02T23:00", 24),
        ("2026-03-29", "Europe/Berlin", "2026-03-28T23:00", 23),
        ("2026-10-25", "Europe/Berlin", "2026-10-24T22:00", 25),
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00", 23),  # it begins at one o'clock
        ("2026-11-30", "Europe/Berlin", "2026-11-29T23:00", 24),  # it has begun there
    ],
)
def test_a_day_begins_and_ends_with_the_clocks_of_its_zone(day, zone, begin, hours):
    """The longest and the shortest day of the year, and one whose first hour is left out."""
    found = day_of(date.fromisoformat(day), NOW, ZoneInfo(zone))
    assert found.begin == datetime.fromisoformat(begin).replace(tzinfo=UTC)
    assert found.until - found.begin == timedelta(hours=hours)


@pytest.mark.parametrize("day", [date(2026, 11, 30), date.max, date(1969, 12, 31), date.min])
def test_a_day_that_nobody_can_know_is_refused(day):
    """Nobody knows what will be held; before there were ledgers, nothing was."""
    with pytest.raises(InvalidInput, match="on:"):
        day_of(day, NOW, ZoneInfo("UTC"))
