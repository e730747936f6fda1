"""`every`: a process that starts by itself, at moments that a timetable names.

weekly_review = every("0 6 * * MON", access_review.request("github"), zone="Europe/Berlin")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, TypeGuard, cast

from newel.base.errors import DefinitionError
from newel.domain.keys import checked_name
from newel.domain.schedules import Missed, Timetable
from newel.flow.act import declaring_module
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
        return _is_request(self.starting) and self.starting.process.name == process

    def request(self, planned: datetime) -> Request[Any]:  # Any: as above
        """Give what is started for the occurrence that was planned at a moment (UTC).

        Raises DefinitionError where the function of the declaration makes no request.
        """
        starting = self.starting
        found: object = (
            starting
            if _is_request(starting)
            else cast("Callable[[datetime], object]", starting)(planned)
        )
        if not _is_request(found):
            raise DefinitionError(
                f"The schedule `{self.name}` starts no process: it was given "
                f"`{type(found).__name__}`.",
                fix="`every(…, my_process.request(…))`, or a function from the planned moment "
                "to such a request.",
                code="F710",
            )
        return found


def _is_request(value: object) -> TypeGuard[Request[Any]]:  # Any: of any process
    return isinstance(value, Request)


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
    if name is None and not _is_request(starting):
        raise DefinitionError(
            "A schedule whose request is made by a function needs a name.",
            fix='`every(…, name="weekly-review")`.',
            code="F710",
        )
    if name is None:
        assert _is_request(starting), "checked just above"
        name = starting.process.name
    return Schedule(
        name=checked_name(name),
        timetable=Timetable(cron, zone),
        missed=missed,
        starting=starting,
        place=declaring_module(),
    )
