"""How urgent runs are, how many may be active at once, and how long one may take. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal, get_args

from newel.base.errors import DefinitionError

__all__ = ["NO_LIMITS", "RANKS", "Limits", "OnOverdue", "Priority", "room_of_process",
           "room_of_system"]  # fmt: skip

Priority = Literal["high", "normal", "low"]
OnOverdue = Literal["park", "cancel", "fail"]

RANKS: Final[Mapping[Priority, int]] = MappingProxyType({"high": 50, "normal": 100, "low": 150})
"""How priorities stand in the rows, the most urgent first. Every look for work asks once for
each of them, so there are three and not thirty thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds the runs of a process.

    priority: which due runs are taken first. at_most: how many are active at once, over all
    workers; one that rests (waits, retries, is parked) is not active. within: how long a run may
    take from its start; overdue: what happens then. sla: how long one is meant to take: whoever
    looks at one that takes longer is told so, and nothing else happens.
    """

    priority: Priority = "normal"
    at_most: int | None = None
    within: timedelta | None = None
    overdue: OnOverdue = "park"
    sla: timedelta | None = None

    def ends_at(self, started_at: datetime) -> datetime | None:
        """Give the moment at which a run is overdue."""
        return None if self.within is None else started_at + self.within

    def due_at(self, started_at: datetime) -> datetime | None:
        """Give the moment by which a run is meant to have ended."""
        return None if self.sla is None else started_at + self.sla


NO_LIMITS: Final = Limits()


def checked(process: str, limits: Limits) -> Limits:
    """Give the limits back, or raise DefinitionError (F711) for one that cannot be kept."""
    checked_priority(limits.priority)
    if limits.at_most is not None and (type(limits.at_most) is not int or limits.at_most < 1):
        raise DefinitionError(
            f"`at_most={limits.at_most!r}`: no run of `{process}` could ever go on.",
            fix="a whole number of at least 1; leave it out for no limit.",
            code="F711",
        )
    for name, span in (("within", limits.within), ("sla", limits.sla)):
        if span is None or (type(span) is timedelta and span > timedelta(0)):
            continue
        raise DefinitionError(
            f"`{name}={span!r}`: every run of `{process}` would be overdue at once, or never.",
            fix=f"a length of time, as in `{name}=days(90)`. Working days are counted by waits, "
            "where a calendar is known.",
            code="F711",
        )
    if limits.overdue not in get_args(OnOverdue):
        raise DefinitionError(
            f"`overdue={limits.overdue!r}` says nothing.",
            fix='`"park"` (a person decides), `"cancel"` or `"fail"` (promises are kept first).',
            code="F711",
        )
    if limits.within is None and limits.overdue != "park":
        raise DefinitionError(
            f"`overdue={limits.overdue!r}` without a limit never happens.",
            fix="add `within=days(…)`.",
            code="F711",
        )
    return limits


def checked_priority(priority: Priority) -> Priority:
    """Give a priority back, or raise DefinitionError (F711)."""
    if priority not in RANKS:
        raise DefinitionError(
            f"`priority={priority!r}` is no priority.",
            fix='`"high"`, `"normal"` or `"low"`.',
            code="F711",
        )
    return priority


def checked_places(limits: Mapping[str, int]) -> Mapping[str, int]:
    """Give limits by system back, or raise DefinitionError (F711)."""
    for system, at_most in limits.items():
        if type(at_most) is not int or at_most < 1:
            raise DefinitionError(
                f"`at_most={{{system!r}: {at_most!r}}}`: `{system}` could never be called.",
                fix="a whole number of at least 1; leave the system out for no limit.",
                code="F711",
            )
    return limits


def room_of_process(process: str) -> str:
    """Name the room in which the runs of a process take places."""
    return f"process/{process}"


def room_of_system(system: str) -> str:
    """Name the room in which the attempts of a system take places."""
    return f"system/{system}"
