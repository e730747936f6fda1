"""When a schedule is due, and what becomes of moments at which nobody was there. Pure.

A timetable is a cron expression in a time zone. Clocks that go forward skip no occurrence (it
comes when the gap is over), and clocks that go back repeat none: an expression that names hours
is meant once a day. Only one that runs every few minutes runs through the repeated hour, too,
because there it is time that passes and not a date that is meant.

    at most one run for each (schedule, planned moment); never before its moment
    missed="once"   the latest of what was missed, however late; the rest is left out
    missed="each"   every one of them, oldest first
    missed="skip"   none: an occurrence that is later than `LATE` is left out
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from newel.base.errors import DefinitionError

__all__ = ["LATE", "Due", "Missed", "Timetable", "due"]

Missed = Literal["once", "each", "skip"]

LATE: Final = timedelta(minutes=1)
"""An occurrence that is started within this was on time."""

_FIELDS: Final = 5
_AT_A_TIME: Final = 100
_COUNTED: Final = 200


@dataclass(frozen=True)
class Timetable:
    """A cron expression of five fields, in a time zone; moments go in and out as UTC."""

    cron: str
    zone: str

    def __post_init__(self) -> None:
        """Refuse what names no moment; raises DefinitionError (F710)."""
        _ = self._zone
        why = ""
        try:
            self.after(datetime(2000, 1, 1, tzinfo=UTC))
        except (CronSimError, StopIteration) as wrong:
            why = str(wrong).lower() or "it names no moment"
        if len(self.cron.split()) != _FIELDS:
            why = "it needs five fields"
        if why:
            raise DefinitionError(
                f"`{self.cron}` is no timetable: {why}.",
                fix="minute, hour, day of the month, month, day of the week, as in "
                '`"0 6 * * MON"` (Mondays at six).',
                code="F710",
            )

    @cached_property
    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise DefinitionError(
                f"There is no time zone `{self.zone}`.",
                fix='the name of a place, as in `zone="Europe/Berlin"`, or `zone="UTC"`.',
                code="F710",
            ) from None

    def after(self, moment: datetime) -> datetime:
        """Give the first occurrence after a moment."""
        return self._utc(next(CronSim(self.cron, moment.astimezone(self._zone))))

    def until(self, moment: datetime) -> datetime:
        """Give the latest occurrence up to a moment, that moment included."""
        just_after = moment + timedelta(microseconds=1)
        return self._utc(next(CronSim(self.cron, just_after.astimezone(self._zone), reverse=True)))

    def between(self, first: datetime, last: datetime, at_most: int) -> list[datetime]:
        """Give the occurrences from `first` to `last`, both included, oldest first."""
        before = (first - timedelta(microseconds=1)).astimezone(self._zone)
        found: list[datetime] = []
        for each in islice(CronSim(self.cron, before), at_most):
            moment = self._utc(each)
            if moment > last:
                break
            found.append(moment)
        return found

    def _utc(self, moment: datetime) -> datetime:
        return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to be done now: moments to start for, oldest first, and when to look again.

    left_out: how many occurrences nothing is started for; counting ends at two hundred.
    """

    start: tuple[datetime, ...]
    left_out: int
    next_at: datetime


def due(timetable: Timetable, missed: Missed, *, next_at: datetime, now: datetime) -> Due:
    """Decide what a schedule starts, whose next occurrence is, or was, at `next_at`.

    Raises nothing. Pure.
    """
    if next_at > now:
        return Due(start=(), left_out=0, next_at=next_at)
    if missed == "each":
        start = tuple(timetable.between(next_at, now, _AT_A_TIME))
        following = timetable.after(start[-1] if start else now)
        return Due(start=start, left_out=0, next_at=following)
    latest = timetable.until(now)
    is_wanted = latest >= next_at and (missed == "once" or now - latest <= LATE)
    passed = len(timetable.between(next_at, latest, _COUNTED))
    return Due(
        start=(latest,) if is_wanted else (),
        left_out=max(passed - is_wanted, 0),
        next_at=timetable.after(now),
    )
