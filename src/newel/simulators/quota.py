"""The vendors' own limits, kept: so many requests of a credential in so many seconds.

They hold only while a `quota` fault stands; without one a simulator refuses what a rule scripts.
A request that is refused is not counted, as if its caller had waited.
Source: connectors document, §6.2, §21.3.
"""

from __future__ import annotations

import fnmatch
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most so many requests of one credential in any `seconds`.

    operations: patterns of operation ids. is_apart: each operation counts by itself.
    is_of_changes: reading is free. style: the dialect of the refusal, as `Throttle` has it.
    """

    most: int
    seconds: float
    operations: tuple[str, ...] = ("*",)
    is_apart: bool = False
    is_of_changes: bool = False
    style: str = ""

    def covers(self, operation: str, *, mutating: bool) -> bool:
        """Say whether a request counts."""
        if self.is_of_changes and not mutating:
            return False
        return any(fnmatch.fnmatchcase(operation, each) for each in self.operations)


@dataclass(frozen=True, slots=True)
class Over:
    """A limit that is reached: in how many seconds there is room again."""

    limit: RateLimit
    wait: int


class Spending:
    """What each credential has spent; in memory, as limits are soon forgotten."""

    def __init__(self) -> None:
        self._spent: dict[tuple[RateLimit, str, str], deque[datetime]] = {}

    def spend(
        self,
        limits: Sequence[RateLimit],
        operation: str,
        credential: str,
        now: datetime,
        *,
        mutating: bool,
    ) -> Over | None:
        """Count a request, or say which limit it would break; then it is not counted."""
        places: dict[RateLimit, deque[datetime]] = {}
        for limit in limits:
            if limit.covers(operation, mutating=mutating):
                name = operation if limit.is_apart else ""
                places[limit] = self._spent.setdefault((limit, credential, name), deque())
        for limit, place in places.items():
            gone = now - timedelta(seconds=limit.seconds)
            while place and place[0] <= gone:
                place.popleft()
            if len(place) >= limit.most:
                free = place[len(place) - limit.most] + timedelta(seconds=limit.seconds)
                return Over(limit, max(1, math.ceil((free - now).total_seconds())))
        for place in places.values():
            place.append(now)
        return None

    def share(self, credential: str, now: datetime) -> float:
        """Say how much of the limit that is used up most a credential has spent, 0 to 1."""
        return max(
            (
                sum(each > now - timedelta(seconds=limit.seconds) for each in place) / limit.most
                for (limit, label, _), place in self._spent.items()
                if label == credential
            ),
            default=0.0,
        )
