"""`every`: a process that starts by itself, at moments that a timetable names.

weekly_review = every("0 6 * * MON", access_review.request("github"), zone="Europe/Berlin")
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from newel.base.errors import DefinitionError
from newel.domain.keys import checked_name
from newel.domain.schedules import Missed, Timetable
from newel.flow.process import Request

__all__ = ["Schedule", "every"]

Starting: TypeAlias = Request[Any] | Callable[[datetime], Request[Any]]  # Any: of any process


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A timetable and what it starts; made by `every` in the module `place`."""

    name: str
    timetable: Timetable
    missed: Missed
    starting: Starting
    place: str = ""

    def starts(self, process: str) -> bool:
        """Whether it always starts the process of this name; unknown of a function's requests."""
        return isinstance(self.starting, Request) and self.starting.process.name == process

    def request(self, planned: datetime) -> Request[Any]:  # Any: as above
        """Give what is started for the occurrence that was planned at a moment (UTC).

        Raises DefinitionError where the function of the declaration makes no request.
        """
        found = self.starting if isinstance(self.starting, Request) else self.starting(planned)
        if not isinstance(found, Request):
            raise DefinitionError(
                f"The schedule `{self.name}` starts no process: it was given "
                f"`{type(found).__name__}`.",
                fix="`every(…, my_process.request(…))`, or a function from the planned moment "
                "to such a request.",
                code="F710",
            )
        return found


def every(
    cron: str,
    starting: Starting,
    /,
    *,
    zone: str = "UTC",
    missed: Missed = "once",
    name: str | None = None,
) -> Schedule:
    """Start a process at the moments of a cron expression (five fields), read in a time zone.

    starting: the request, or a function from the planned moment (UTC) to it. missed: what
    becomes of moments at which no worker was there: `once` starts the latest, `each` all of
    them, `skip` none that is more than a minute late. name: how the schedule is called for ever;
    by default as its process. Raises DefinitionError (F710).
    """
    if missed not in {"once", "each", "skip"}:
        raise DefinitionError(
            f"`missed={missed!r}` says nothing.",
            fix='`"once"` (the latest), `"each"` or `"skip"`.',
            code="F710",
        )
    if name is None and not isinstance(starting, Request):
        raise DefinitionError(
            "A schedule whose request is made by a function needs a name.",
            fix='`every(…, name="weekly-review")`.',
            code="F710",
        )
    if name is None:
        assert isinstance(starting, Request), "checked just above"
        name = starting.process.name
    return Schedule(
        name=checked_name(name),
        timetable=Timetable(cron, zone),
        missed=missed,
        starting=starting,
        # As of acts: the only cheap way to learn where a call stands.
        place=sys._getframe(1).f_globals.get("__name__", ""),  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    )
