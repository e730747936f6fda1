"""People: erasing one for good, with a second person who agrees."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from newel.base.ids import reference
from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson, NamedActor

__all__ = ["person"]

_NOT_REACHED: Final = (
    "newel cannot reach what it has sent elsewhere: tickets, chats, mails, the systems themselves, "
    "exports and log lines you keep, and older backups of the database. Those become unreadable "
    "when the key-encryption key is changed and the old one destroyed."
)

person: Final = App(name="person", help="People whom newel knows.")


@person.command
def erase(
    who: Annotated[str, Parameter(help="Reference of the person: per_….")],
    /,
    *,
    why: Annotated[
        Literal["request", "retention", "mistake"], Parameter(help="Why; kept in the audit log.")
    ],
    actor: NamedActor = "",
    as_json: AsJson = False,
) -> None:
    """Ask for a person to be erased for good: somebody else has to agree, then a worker does it.

    Refused while a run about them is open or they hold access. Events and proofs stay valid;
    what was personal in them can be read by nobody any more.
    """
    from newel.cli.deployment import carried_out, found_engine
    from newel.engine.erasing import person_of

    whom = person_of(who)

    async def asked() -> str:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            return reference("run", await engine.erasing.ask(whom, why=why, actor=acting))

    named = carried_out(asked())
    if as_json:
        return say_json({"run": named})
    say(f"{named} asks a second person to agree: `newel tasks`, then `newel decide TASK --yes`.")
    return say(_NOT_REACHED)
