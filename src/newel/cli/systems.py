"""Systems: which there are, who has paused one, and leaving one alone for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from newel.cli.output import columns, moment, say, say_json
from newel.cli.parameters import AsJson, NamedActor, Reason

if TYPE_CHECKING:
    from newel.engine.systems import Standing

__all__ = ["systems"]

systems: Final = App(name="systems", help="List systems, pause one and resume it.")

Named = Annotated[str, Parameter(name="NAME", help="Name of a system, as the list shows it.")]


@systems.default
def listed(*, as_json: AsJson = False) -> None:
    """List the systems, who answers for them, and which are paused."""
    from newel.base.zones import local_zone
    from newel.cli.deployment import carried_out, found_engine

    async def read() -> list[Standing]:
        async with found_engine(new=False) as engine:
            return await engine.systems.listed()

    found = carried_out(read())
    if as_json:
        shown = [
            {"system": each.name, "title": each.title, "owner": each.owner,
             "paused_at": each.paused_at}
            for each in found
        ]  # fmt: skip
        return say_json({"systems": shown})
    if not found:
        return say('No systems. A module declares one: `github = GitHub(org="acme", …)`.')
    zone = local_zone()
    lines = [
        (
            each.name,
            each.title,
            each.owner,
            "-" if each.paused_at is None else f"since {moment(each.paused_at, zone)}",
        )
        for each in found
    ]
    return say(columns(("SYSTEM", "TITLE", "OWNER", "PAUSED"), lines))


@systems.command
def pause(name: Named, /, *, reason: Reason, actor: NamedActor = "") -> None:
    """Begin nothing in a system until it is resumed; its steps wait, without attempts."""
    from newel.cli.deployment import carried_out, found_engine

    async def paused() -> None:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            await engine.systems.pause(name, actor=acting, reason=reason)

    carried_out(paused())
    say(f"`{name}` is paused. What is in flight ends; steps wait until it is resumed.")


@systems.command
def resume(name: Named, /, *, reason: Reason, actor: NamedActor = "") -> None:
    """Let the steps of a paused system go on, the oldest first."""
    from newel.cli.deployment import carried_out, found_engine

    async def resumed() -> None:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            await engine.systems.resume(name, actor=acting, reason=reason)

    carried_out(resumed())
    say(f"`{name}` goes on.")
