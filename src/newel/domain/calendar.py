"""Working days: which days a company works, and the n-th of them from a moment. Pure.

Monday to Friday are working days, but for holidays. `business_days(2)` from a moment is the second
working day after its date, at the same time of day in the company's zone; so from Friday, Saturday
or Sunday it is the Tuesday. A local time that a change of clocks leaves out takes the first
instant after the gap, one that comes twice its first. Source: product document, §9.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from newel.base.durations import BusinessDays
from newel.base.errors import InvalidInput

__all__ = ["EVERY_WEEK", "Calendar", "holidays_in"]

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_SATURDAY: Final = 5
_EVENT: Final = re.compile(r"^BEGIN:VEVENT\s*$(.*?)^END:VEVENT", re.MULTILINE | re.DOTALL)
_BOUND: Final = re.compile(r"^DT(START|END)[^:\r\n]*:(\d{8})", re.MULTILINE)
_WHOLE_YEARS: Final = 366 * 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The days that a company works. zone: where its days begin and end."""

    zone: tzinfo = UTC
    holidays: frozenset[date] = field(default_factory=frozenset[date])

    def is_working(self, day: date) -> bool:
        """Whether people work on a day."""
        return day.weekday() < _SATURDAY and day not in self.holidays

    def shifted(self, day: date, count: int) -> date:
        """Give the working day so many working days after a day; before it, if count is negative.

        Raises InvalidInput for a calendar that has no working day for years.
        """
        step = _DAY if count > 0 else -_DAY
        left, idle = abs(count), 0
        while left:
            day += step
            is_working = self.is_working(day)
            left, idle = left - is_working, 0 if is_working else idle + 1
            if idle > _WHOLE_YEARS:
                raise InvalidInput({"holidays": "leave no working day for years"})
        return day

    def after(self, moment: datetime, span: BusinessDays) -> datetime:
        """Give the moment so many working days later, in UTC."""
        local = moment.astimezone(self.zone)
        day = self.shifted(local.date(), span.count)
        return self._at(datetime.combine(day, local.time()))

    def _at(self, wall: datetime) -> datetime:
        """The first instant at which clocks of the zone show this time, or at the end of a gap."""
        found = wall.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
        if found.astimezone(self.zone).replace(tzinfo=None) == wall:
            return found
        return self._at(wall.replace(second=0, microsecond=0) + _MINUTE)


EVERY_WEEK: Final = Calendar()
"""Monday to Friday, in UTC."""


def holidays_in(text: str) -> frozenset[date]:
    """Read days from a calendar file (ICS: the days of its events) or from a table.

    In a table (CSV) each line begins with a day as 2026-12-25; a first line without one is its
    heading. Raises InvalidInput with the line that is no day, and for events that recur.
    """
    if text.lstrip("\ufeff").startswith("BEGIN:VCALENDAR"):
        return frozenset(day for each in _EVENT.findall(text) for day in _days_of(each))
    found: set[date] = set()
    for number, row in enumerate(csv.reader(text.lstrip("\ufeff").splitlines()), start=1):
        first = row[0].strip() if row else ""
        try:
            found.add(date.fromisoformat(first))
        except ValueError:
            if first and number > 1:
                raise InvalidInput({"holidays": f"line {number} begins with no day"}) from None
    return frozenset(found)


def _days_of(event: str) -> list[date]:
    """The days of one event; its end is the day after the last."""
    if re.search(r"^R(RULE|DATE)[;:]", event, re.MULTILINE):
        raise InvalidInput({"holidays": "has events that recur; name each day in a table"})
    try:
        bounds = {name: date.fromisoformat(day) for name, day in _BOUND.findall(event)}
        first = bounds["START"]
    except (ValueError, KeyError):
        raise InvalidInput({"holidays": "has an event that begins on no day"}) from None
    many = max((bounds.get("END", first) - first).days, 1)
    return [first + _DAY * number for number in range(many)]
