"""How long a system takes to answer, and how often it fails, over the last 24 hours.

Workers count calls by classes of length; the 95th percentile is told from these, evenly spread
inside a class, so it is right to within one.
Source: console document, §6.11.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from newel.engine.call_counts import LENGTHS_MS
from newel.store import call_counts as rows
from newel.store.database import Database, Row
from newel.web.console.views.model import View

__all__ = ["CallsView", "calls_of"]

_HOURS: Final = 24
_HEIGHT: Final = 40
_LEAST: Final = 2
_WIDTH: Final = 10
_GAP: Final = 3
_NEARLY_ALL: Final = 0.95


class HourView(View):
    """The calls of one hour: how many, how many failed, and within what time 95 % ended."""

    at: datetime
    calls: int
    failures: int
    nearly_all_ms: int | None


class ColumnView(View):
    """One rectangle of the picture of the hours."""

    x: int
    y: float
    height: float
    tone: str


class CallsView(View):
    """The calls of 24 hours. nearly_all_ms: within what time 95 % ended; None without calls."""

    calls: int
    failures: int
    failed_percent: float | None
    nearly_all_ms: int | None
    hours: tuple[HourView, ...]
    columns: tuple[ColumnView, ...]


async def calls_of(
    database: Database, systems: Sequence[str], now: datetime
) -> Mapping[str, CallsView]:
    """Read how some systems have answered, by the name of the system."""
    begin = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=_HOURS - 1)
    found = await rows.since(database, systems, begin)
    return {
        each: _calls([row for row in found if row["system"] == each], begin) for each in systems
    }


def _calls(found: Sequence[Row], begin: datetime) -> CallsView:
    hours = tuple(
        _hour(at, [row for row in found if row["hour"] == at])
        for at in (begin + timedelta(hours=number) for number in range(_HOURS))
    )
    calls, failures = sum(each.calls for each in hours), sum(each.failures for each in hours)
    return CallsView(
        calls=calls,
        failures=failures,
        failed_percent=round(100 * failures / calls, 1) if calls else None,
        nearly_all_ms=_nearly_all(found),
        hours=hours,
        columns=tuple(_columns(hours)),
    )


def _hour(at: datetime, found: Sequence[Row]) -> HourView:
    return HourView(
        at=at,
        calls=sum(row["calls"] for row in found),
        failures=sum(row["failures"] for row in found),
        nearly_all_ms=_nearly_all(found),
    )


def _nearly_all(found: Sequence[Row]) -> int | None:
    """Say within what time 95 % of the calls ended."""
    counted = Counter[int]()
    for row in found:
        counted[row["upto_ms"]] += row["calls"]
    left = counted.total() * _NEARLY_ALL
    longer_than = 0
    for upto in LENGTHS_MS:
        if counted[upto] and left <= counted[upto]:
            return round(longer_than + (upto - longer_than) * left / counted[upto])
        left -= counted[upto]
        longer_than = upto
    return None


def _columns(hours: Sequence[HourView]) -> list[ColumnView]:
    """Draw how long the hours took, each as high as its 95 %; one with failures in their tone."""
    most = max((each.nearly_all_ms or 0 for each in hours), default=0)
    drawn: list[ColumnView] = []
    for place, each in enumerate(hours):
        if each.nearly_all_ms is None:
            continue
        height = max(round(each.nearly_all_ms / most * _HEIGHT, 1), _LEAST)
        tone = "retry" if each.failures else "done"
        x = place * (_WIDTH + _GAP)
        drawn.append(ColumnView(x=x, y=round(_HEIGHT - height, 1), height=height, tone=tone))
    return drawn
