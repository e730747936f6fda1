"""Keys of the API: made here, shown once; only their hash is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from cyclopts import App, Parameter

from newel.cli.output import columns, moment, say, say_json
from newel.cli.parameters import AsJson, NamedActor

__all__ = ["key"]

key: Final = App(name="key", help="Make, list and revoke keys of the API.")


@key.command
def new(
    name: Annotated[str, Parameter(help="Who or what will use it.")],
    /,
    *,
    days: Annotated[int, Parameter(help="How long it opens anything.")] = 365,
    actor: NamedActor = "",
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once; from then on the API asks for one."""
    from newel.cli.deployment import carried_out, found_engine
    from newel.engine.keys import Keys, MadeKey

    async def made() -> MadeKey:
        async with found_engine() as engine:
            acting = await engine.actor(actor or None, via="cli")
            return await Keys(engine.database).new(name, lasts=timedelta(days=days), actor=acting)

    done = carried_out(made())
    if as_json:
        return say_json({"key": done.text, "id": done.id, "expires_at": done.expires_at})
    say(done.text)
    return say("Keep it now: it is not shown again. The API asks for a key from now on.")


@key.command(name="list")
def listed(*, as_json: AsJson = False) -> None:
    """List the keys that are not revoked."""
    from newel.base.zones import local_zone
    from newel.cli.deployment import carried_out, found_here
    from newel.store.access import keys
    from newel.store.database import Row

    async def read() -> list[Row]:
        async with found_here() as deployment:
            return await keys(deployment.database)

    rows = carried_out(read())
    if as_json:
        return say_json({"keys": [dict(row) for row in rows]})
    zone = local_zone()
    lines = [
        (row["id"], row["name"], moment(row["expires_at"], zone), moment(row["last_used_at"], zone))
        for row in rows
    ]
    return say(columns(("KEY", "NAME", "EXPIRES", "LAST USED"), lines) if rows else "No keys.")


@key.command
def revoke(
    id_: Annotated[str, Parameter(name="ID", help="Public part of a key, as `list` shows it.")],
    /,
    *,
    actor: NamedActor = "",
) -> None:
    """Make a key open nothing, at once."""
    from newel.cli.deployment import carried_out, found_engine
    from newel.engine.keys import Keys

    async def revoked() -> None:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            await Keys(engine.database).revoke(id_, actor=acting)

    carried_out(revoked())
    say(f"The key {id_} opens nothing any more.")
