"""The events of the audit log in forms that other programs read."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson, NamedActor, Reason

if TYPE_CHECKING:
    from newel.engine.event_export import Period, WrittenEvents

__all__ = ["FromDay", "ToDay", "events", "period_of"]

FromDay = Annotated[date, Parameter(name="--from", help="First day, UTC: 2026-01-31.")]
ToDay = Annotated[date, Parameter(name="--to", help="Last day, UTC; that day is in it.")]

_FIRST_DAY: Final = date(2000, 1, 1)
_LAST_DAY: Final = date(9999, 12, 30)


def events(
    path: Annotated[Path, Parameter(help="File to make.")],
    /,
    *,
    form: Annotated[
        Literal["ocel", "xes", "ocsf", "cloudevents"],
        Parameter(
            name="--format",
            help="ocel (OCEL 2.0 JSON), xes, ocsf (1.8.0, lines), cloudevents (1.0, lines).",
        ),
    ],
    since: FromDay = _FIRST_DAY,
    until: ToDay = _LAST_DAY,
    reason: Reason = "",
    actor: NamedActor = "",
    as_json: AsJson = False,
) -> None:
    """Write the sealed events of the audit log in a form that other programs read.

    For process mining, for a SIEM, for a stream of events. What is sealed for a person stays out.
    """
    from newel.cli.deployment import carried_out, found_engine
    from newel.engine.exporting import Exports

    there = path.absolute()
    period = period_of(since, until)

    async def written() -> WrittenEvents:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            exports = Exports(engine.database, engine.vault)
            told = reason or f"the events of the audit log as {form}"
            return await exports.events(there, form, period, actor=acting, reason=told)

    done = carried_out(written())
    if as_json:
        return say_json({"file": str(path), "events": done.events, "sha256": done.sha256})
    return say(f"{done.events} events are in {path} (SHA-256 {done.sha256}).")


def period_of(since: date, until: date) -> Period:
    """Give the period from the beginning of a day to the end of another; UTC."""
    from newel.base.errors import InvalidInput
    from newel.engine.event_export import Period

    if until < since:
        raise InvalidInput({"to": f"{until} lies before {since}"})
    begun, ended = (datetime.combine(day, time(), UTC) for day in (since, until))
    return Period(begun, ended + timedelta(days=1))
