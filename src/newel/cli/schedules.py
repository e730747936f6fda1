"""Schedules: what starts by itself, when it did so last, and pausing it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from newel.base.ids import reference
from newel.cli.output import columns, moment, say, say_json
from newel.cli.parameters import AsJson, NamedActor

if TYPE_CHECKING:
    from newel.store.database import Row

__all__ = ["schedules"]

schedules: Final = App(name="schedules", help="List, pause and resume what starts by itself.")

Named = Annotated[str, Parameter(name="NAME", help="Name of a schedule, as the list shows it.")]


@schedules.default
def listed(*, as_json: AsJson = False) -> None:
    """List the schedules, when they are due, and what became of them last."""
    from newel.base.zones import local_zone
    from newel.cli.deployment import carried_out, found_here
    from newel.store.schedules import listed as read_all

    async def read() -> list[Row]:
        async with found_here() as deployment:
            return await read_all(deployment.database)

    rows = carried_out(read())
    if as_json:
        return say_json({"schedules": [_shape(row) for row in rows]})
    if not rows:
        return say('No schedules. A module of processes declares one: `every("0 6 * * MON", …)`.')
    zone = local_zone()
    lines = [
        (
            row["name"],
            row["process"],
            row["cron"],
            row["zone"],
            row["missed"],
            "paused" if row["paused_at"] else moment(row["next_at"], zone),
            _last(row),
        )
        for row in rows
    ]
    heads = ("SCHEDULE", "STARTS", "CRON", "ZONE", "MISSED", "NEXT", "LAST")
    return say(columns(heads, lines))


@schedules.command
def pause(name: Named, /, *, actor: NamedActor = "") -> None:
    """Start nothing by this schedule any more, until it is resumed."""
    from newel.cli.deployment import carried_out, found_engine

    async def paused() -> None:
        async with found_engine(new=False) as engine:
            await engine.schedules.pause(name, actor=await engine.actor(actor or None, via="cli"))

    carried_out(paused())
    say(f"`{name}` is paused. What falls into the pause is not made up for.")


@schedules.command
def resume(name: Named, /, *, actor: NamedActor = "") -> None:
    """Let a paused schedule go on, from its next moment."""
    from newel.base.zones import local_zone
    from newel.cli.deployment import carried_out, found_engine

    async def resumed() -> datetime:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            return await engine.schedules.resume(name, actor=acting)

    say(f"`{name}` goes on; it is due {moment(carried_out(resumed()), local_zone())}.")


def _last(row: Row) -> str:
    if row["planned_at"] is None:
        return "-"
    if row["run_id"] is not None:
        return reference("run", row["run_id"])
    return f"not started: {row['refused']}"


def _shape(row: Row) -> dict[str, Any]:  # Any: JSON
    names = ("name", "process", "cron", "zone", "missed", "next_at", "paused_at")
    last = None
    if row["planned_at"] is not None:
        last = {
            "planned_at": row["planned_at"],
            "run": None if row["run_id"] is None else reference("run", row["run_id"]),
            "left_out": row["left_out"],
            "refused": row["refused"],
        }
    return {**{name: row[name] for name in names}, "last": last}
