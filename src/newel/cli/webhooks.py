"""Webhooks: who is told of events and how they fare, sending again, and what came in."""

from __future__ import annotations

import secrets as chance
from datetime import tzinfo
from typing import TYPE_CHECKING, Annotated, Final, Literal
from uuid import UUID

from cyclopts import App, Parameter

from newel.base.errors import InvalidInput
from newel.base.ids import reference
from newel.cli.output import columns, moment, say, say_json
from newel.cli.parameters import AsJson, NamedActor, Reason

if TYPE_CHECKING:
    from newel.connectors.outgoing import Delivered
    from newel.engine.hooks import Received
    from newel.store.database import Row

__all__ = ["webhooks"]

webhooks: Final = App(name="webhooks", help="Who is told of events, and what other systems told.")

_SECRET_BYTES: Final = 32
Named = Annotated[str, Parameter(name="NAME", help="Name of an endpoint, as the list shows it.")]
Most = Annotated[int, Parameter(name="--limit", help="How many at most.")]
State = Annotated[
    Literal["waiting", "accepted", "dead"] | None,
    Parameter(name="--state", help="Only those in this state; dead: given up."),
]


@webhooks.default
def listed(*, as_json: AsJson = False) -> None:
    """List the endpoints that are told of events, and how they fare."""
    from newel.base.zones import local_zone
    from newel.cli.deployment import carried_out, found_here
    from newel.store.endpoints import listed as read_all

    async def read() -> list[Row]:
        async with found_here() as deployment:
            return await read_all(deployment.database)

    rows = carried_out(read())
    if as_json:
        return say_json({"endpoints": [dict(row) for row in rows]})
    if not rows:
        return say('No endpoints. A module of processes declares one: `endpoint("siem", …)`.')
    zone = local_zone()
    lines = [
        (
            row["name"],
            row["url_host"],
            ", ".join(row["events"]),
            _state(row, zone),
            moment(row["accepted_at"], zone),
            str(row["waiting"]),
            str(row["dead"]),
        )
        for row in rows
    ]
    heads = ("ENDPOINT", "HOST", "EVENTS", "STATE", "ACCEPTED", "WAITING", "GIVEN UP")
    return say(columns(heads, lines))


@webhooks.command
def deliveries(
    name: Named, /, *, state: State = None, limit: Most = 50, as_json: AsJson = False
) -> None:
    """List what an endpoint was told, the latest event first."""
    from newel.base.zones import local_zone
    from newel.cli.deployment import carried_out, found_engine

    async def read() -> list[Row]:
        async with found_engine(new=False) as engine:
            return await engine.endpoints.deliveries(name, state=state, how_many=limit)

    rows = carried_out(read())
    if as_json:
        return say_json({"deliveries": [_shape(row) for row in rows]})
    if not rows:
        return say(f"`{name}` was told of nothing yet.")
    zone = local_zone()
    lines = [
        (
            str(row["event_id"]),
            row["type"],
            moment(row["made_at"], zone),
            row["state"],
            str(row["attempts"]),
            moment(row["next_at"], zone),
            row["answer"] or "-",
        )
        for row in rows
    ]
    return say(columns(("EVENT", "TYPE", "AT", "STATE", "ATTEMPTS", "NEXT", "ANSWER"), lines))


@webhooks.command
def ping(name: Named, /) -> int:
    """Send an endpoint a message that says nothing, once, and print what it answers."""
    from newel.cli.deployment import carried_out, found_engine

    async def sent() -> Delivered:
        async with found_engine(new=False) as engine:
            return await engine.endpoints.ping(name)

    delivered = carried_out(sent())
    say(f"`{name}`: {delivered.why}.")
    return 0 if delivered.verdict == "accepted" else 1


@webhooks.command
def redeliver(name: Named, /, *events: str, actor: NamedActor = "") -> None:
    """Send events to an endpoint again: those that are named, or all that were given up."""
    from newel.cli.deployment import carried_out, found_engine

    ids = [_event(each) for each in events] or None

    async def sent() -> int:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            return await engine.endpoints.redeliver(name, ids, actor=acting)

    say(f"{carried_out(sent())} deliveries to `{name}` are due now.")


@webhooks.command
def enable(name: Named, /, *, actor: NamedActor = "") -> None:
    """Tell a disabled endpoint again, of what it has missed, too."""
    from newel.cli.deployment import carried_out, found_engine

    async def enabled() -> None:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            await engine.endpoints.enable(name, actor=acting)

    carried_out(enabled())
    say(f"`{name}` is told again, of what it has missed, too.")


@webhooks.command
def disable(name: Named, /, *, reason: Reason = "", actor: NamedActor = "") -> None:
    """Tell an endpoint nothing, until it is enabled again; what happens meanwhile waits."""
    from newel.cli.deployment import carried_out, found_engine

    async def disabled() -> None:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            await engine.endpoints.disable(name, actor=acting, reason=reason)

    carried_out(disabled())
    say(f"`{name}` is disabled. What happens meanwhile waits for it, up to thirty days.")


@webhooks.command
def events(*, as_json: AsJson = False) -> None:
    """List the types of events that an endpoint can be told of, with what they mean."""
    from newel.audit.catalogue import TYPES

    said = {name: (made.__doc__ or "").partition("\n")[0] for name, made in sorted(TYPES.items())}
    if as_json:
        return say_json(said)
    return say(columns(("EVENT", "MEANS"), list(said.items())))


@webhooks.command
def secret() -> None:
    """Draw a secret for an endpoint or a hook; it is shown once and kept nowhere."""
    from newel.connectors.webhooks import fresh_secret

    say(fresh_secret(chance.token_bytes(_SECRET_BYTES)).reveal())


@webhooks.command
def received(
    *,
    hook: Annotated[str, Parameter(help="Only what came to this hook.")] = "",
    refused: Annotated[bool, Parameter(negative=(), help="Only what was not all done.")] = False,
    limit: Most = 50,
    as_json: AsJson = False,
) -> None:
    """List what other systems delivered, the latest first."""
    from newel.base.zones import local_zone
    from newel.cli.deployment import carried_out, found_engine

    async def read() -> list[Row]:
        async with found_engine(new=False) as engine:
            return await engine.hooks.listed(
                source=hook or None, only_refused=refused, how_many=limit
            )

    rows = carried_out(read())
    if as_json:
        return say_json({"received": [_shape(row) for row in rows]})
    if not rows:
        return say("Nothing came in.")
    zone = local_zone()
    lines = [
        (
            str(row["id"]),
            row["source"],
            row["event_id"],
            moment(row["received_at"], zone),
            str(len(row["runs"])),
            str(row["messages"]),
            row["refused"] or "-",
        )
        for row in rows
    ]
    return say(columns(("DELIVERY", "HOOK", "ID", "AT", "RUNS", "MESSAGES", "REFUSED"), lines))


@webhooks.command
def again(
    delivery: Annotated[str, Parameter(help="A delivery, as `received` shows it.")], /
) -> None:
    """Carry out what was refused of a delivery that came in."""
    from newel.cli.deployment import carried_out, found_engine

    async def done() -> Received:
        async with found_engine(new=False) as engine:
            return await engine.hooks.again(_event(delivery))

    done_now = carried_out(done())
    say(done_now.refused or f"Done: {len(done_now.runs)} runs are there.")


def _state(row: Row, zone: tzinfo) -> str:
    if row["disabled_at"] is not None:
        why = "gone" if row["disabled_for"] == "gone" else "disabled"
        return f"{why} since {moment(row['disabled_at'], zone)}"
    if row["failing_since"] is not None:
        return f"failing since {moment(row['failing_since'], zone)}"
    return "well"


def _shape(row: Row) -> dict[str, object]:
    """A row as JSON: ids as text, runs by their references."""
    shape: dict[str, object] = {
        name: str(value) if isinstance(value, UUID) else value for name, value in row.items()
    }
    if "runs" in shape:
        shape["runs"] = [reference("run", run) for run in row["runs"]]
    return shape


def _event(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput({"id": f"`{text}` is none: the list shows them"}) from None
