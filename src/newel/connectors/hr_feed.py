"""`hr_feed`: which runs follow from what HR enters.

    staff = hr_feed(bamboohr, signed=BambooHRSigned(SecretRef("env:BAMBOOHR_HOOK_KEY")),
                    starts=lambda hired: onboarding.request(…),
                    changes=lambda changed: role_change.request(…),
                    ends=lambda leaving: offboarding.request(…))

The functions say which run a person's record asks for; whether it is wanted is decided by what is
known of the person already, so a record may come as often and in any order as it likes.
Source: product document, §7.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, Protocol
from zoneinfo import ZoneInfo

from newel.connectors.hr import Employee, Hint
from newel.flow.act import declaring_module
from newel.flow.hooks import Verifier
from newel.flow.process import Request

__all__ = ["Asked", "Asking", "Changes", "Feed", "HrSystem", "Known", "decided", "hr_feed"]

_LATE: Final = timedelta(days=30)


class Changes(Protocol):
    """Hints that were found by asking."""

    @property
    def hints(self) -> Sequence[Hint]:
        """Whose records have changed."""
        ...

    @property
    def until(self) -> datetime:
        """Where the next question begins."""
        ...


class HrSystem(Protocol):
    """A connector to a system in which people are hired; `newel.connectors.bamboohr` has one."""

    name: str
    title: str
    owner: str

    @property
    def read_employee(self) -> Any:  # Any: a step from an id to an Employee or None
        """The step that reads a record."""
        ...

    @property
    def changed(self) -> Any:  # Any: a step from a moment to Changes
        """The step that asks what has changed since a moment."""
        ...

    def hints(self, document: object) -> tuple[Hint, ...]:
        """Whose records a proven message is about; raises InvalidInput."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the functions of a feed are shown. manager: the record of the person's manager."""

    employee: Employee
    manager: Employee | None


Asking = Callable[[Asked], Request[Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What HR enters, and the runs that follow; made by `hr_feed` in the module `place`."""

    system: HrSystem
    signed: Verifier
    starts: Asking
    changes: Asking | None
    ends: Asking | None
    name: str
    poll: str
    zone: ZoneInfo
    late: timedelta
    place: str


def hr_feed(
    system: HrSystem,
    *,
    signed: Verifier,
    starts: Asking,
    changes: Asking | None = None,
    ends: Asking | None = None,
    name: str | None = None,
    poll: str = "*/15 * * * *",
    zone: str = "UTC",
    late: timedelta = _LATE,
) -> Feed:
    """Let records of an HR system start and change runs.

    Deliveries come to `POST /hooks/NAME` (by default the system's name); what none told is found
    by asking what has changed, as often as `poll` (cron) says. starts, changes, ends: the run for
    somebody who is hired, whose position changes, who leaves; None from them: no run. zone: whose
    midnight begins a day. late: somebody whose first day is longer ago than this when HR first
    tells of them works here already; nothing is started.
    """
    return Feed(
        system=system,
        signed=signed,
        starts=starts,
        changes=changes,
        ends=ends,
        name=name or system.name,
        poll=poll,
        zone=ZoneInfo(zone),
        late=late,
        place=declaring_module(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was known of an employment before. position: a digest of what the person does.

    onboarding, offboarding: whether that run was started, and whether it is open still.
    """

    starts_on: date | None = None
    ends_on: date | None = None
    position: bytes | None = None
    onboarding: Literal["none", "open", "over"] = "none"
    offboarding: Literal["none", "open", "over"] = "none"


Verdict = Literal[
    "start onboarding",
    "amend onboarding",
    "cancel onboarding",
    "start change",
    "start offboarding",
    "amend offboarding",
    "cancel offboarding",
    "ask: the first day was moved",
    "ask: the employment was taken back",
    "ask: the last day was moved",
    "new employment",
]


def decided(
    known: Known, employee: Employee | None, position: bytes, *, today: date, late: timedelta
) -> tuple[Verdict, ...]:
    """Say what follows from a record, given what was known; the same record again: nothing. Pure.

    The table of the product document, §7.1: rows are facts, columns what is open.
    """
    starts_on = None if employee is None else employee.starts_on
    ends_on = None if employee is None else employee.ends_on
    if starts_on is None or (ends_on is not None and ends_on <= starts_on):
        return _taken_back(known)
    if known.starts_on is not None and known.ends_on is not None and starts_on > known.ends_on:
        again = Known()
        return ("new employment", *decided(again, employee, position, today=today, late=late))
    if known.onboarding == "none" and (known.starts_on is None or known.starts_on > today):
        if known.starts_on is None and starts_on < today - late:
            is_long_gone = ends_on is not None and ends_on < today - late
            return () if is_long_gone else _ending(known, ends_on)
        return ("start onboarding", *_ending(known, ends_on))
    return (*_changed(known, starts_on, position, today), *_ending(known, ends_on))


def _taken_back(known: Known) -> tuple[Verdict, ...]:
    if known.onboarding == "open":
        return ("cancel onboarding",)
    if known.onboarding == "over" and known.starts_on is not None:
        return ("ask: the employment was taken back",)
    return ()


def _changed(known: Known, starts_on: date, position: bytes, today: date) -> tuple[Verdict, ...]:
    is_moved = starts_on != known.starts_on
    is_other = position != known.position
    if known.onboarding == "open" and known.starts_on is not None and today < known.starts_on:
        return ("amend onboarding",) if is_moved or is_other else ()
    found: list[Verdict] = []
    if is_moved and known.onboarding != "none":
        found.append("ask: the first day was moved")
    if is_other:
        found.append("amend onboarding" if known.onboarding == "open" else "start change")
    return tuple(found)


def _ending(known: Known, ends_on: date | None) -> tuple[Verdict, ...]:
    if ends_on == known.ends_on:
        return ()
    if ends_on is None:
        return ("cancel offboarding",) if known.offboarding == "open" else ()
    match known.offboarding:
        case "none":
            return ("start offboarding",)
        case "open":
            return ("amend offboarding",)
        case "over":
            return ("ask: the last day was moved",)
