"""`hr_feed`: which runs follow from what HR enters.

    staff = hr_feed(bamboohr, signed=BambooHRSigned(SecretRef("env:BAMBOOHR_HOOK_KEY")),
                    starts=lambda hired: onboarding.request(…),
                    changes=lambda changed: role_change.request(…),
                    ends=lambda leaving: offboarding.request(…))

The functions say which run a person's record asks for; whether it is wanted is decided by what is
known of the person already (`hr_deciding`), so a record may come as often and in any order as it
likes.
Source: product document, §7.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from newel.connectors.hr import Employee, Hint
from newel.flow.act import declaring_module
from newel.flow.hooks import Verifier, check_silence
from newel.flow.process import Request

__all__ = ["Asked", "Asking", "Changes", "Feed", "HrSystem", "hr_feed"]

_LATE: Final = timedelta(days=30)
_SILENT: Final = timedelta(days=30)


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
    """What the functions of a feed are shown. manager: the record of the person's manager.

    at_once: whether the last day has come or is over, so that access is to be cut now.
    """

    employee: Employee
    manager: Employee | None
    at_once: bool = False


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
    silent_after: timedelta | None = None


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
    silent_after: timedelta | None = _SILENT,
) -> Feed:
    """Let records of an HR system start and change runs.

    Deliveries come to `POST /hooks/NAME` (by default the system's name); what none told is found
    by asking what has changed, as often as `poll` (cron) says. starts, changes, ends: the run for
    somebody who is hired, whose position changes, who leaves; None from them: no run. zone: whose
    midnight begins a day. late: somebody whose first day is longer ago than this when HR first
    tells of them works here already; nothing is started. silent_after: when HR has told nothing for
    so long, neither by delivery nor when it was asked, the owner of its system gets a task; None:
    never.
    """
    check_silence(silent_after)
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
        silent_after=silent_after,
    )
