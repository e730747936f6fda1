"""Who acts: the person that a caller names, or the caller itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, cast
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.errors import NotAllowed, NotFound
from newel.base.ids import parse_reference, reference
from newel.domain.change import Change
from newel.domain.people import Person
from newel.engine.intake import Intake
from newel.engine.operating import Operating, with_streams
from newel.flow.process import Process
from newel.store import registry
from newel.store.changes import apply
from newel.store.database import Connection

__all__ = ["actor", "check_starter"]


async def actor(
    operating: Operating, named: str | None, *, via: str, key: str | None = None
) -> Actor:
    """Say who acts: the person that was named, or the service of the API key.

    named: a reference, a work address or an exact name. An address that is not known
    registers a person, named by whoever called. key: the public part of the API key.
    Raises NotFound for a name or reference that nobody has.
    """
    identity: Literal["key", "service"] = "service" if key is None else "key"
    caller = Actor(type=identity, id=f"svc_{via}" if key is None else f"key_{key}", via=via)
    if named is None or not named.strip():
        return caller
    person = await _named(operating, named.strip(), caller)
    return Actor(type=identity, id=caller.id, via=via, on_behalf_of=reference("per", person))


async def check_starter(
    connection: Connection,
    process: Process[..., Any],  # Any: it has its own result
    actor: Actor,
    teams: Mapping[str, Collection[str]],
) -> None:
    """Refuse a start in the name of somebody who is of none of the teams that may start a process.

    teams: members by work address. Whoever calls in nobody's name is a program with a key, or sits
    at this machine, and may. Raises NotAllowed.
    """
    if not process.starters or actor.on_behalf_of is None:
        return
    ref = parse_reference(actor.on_behalf_of)[1]
    person = await registry.person_known(connection, ref=ref, hr_key=None, email="")
    members = {each.lower() for name in process.starters for each in teams.get(name, ())}
    if person is None or str(person["work_email"] or "").lower() not in members:
        raise NotAllowed(
            actor=actor.on_behalf_of,
            verb=f"start {process.name}",
            needed=f"somebody of the team {' or '.join(process.starters)}",
        )


async def _named(operating: Operating, named: str, caller: Actor) -> UUID:
    if "\0" in named:  # no text of the database holds one
        raise NotFound(kind="person", reference=named.replace("\0", "?"))
    async with operating.database.transaction() as connection:
        ref = None
        if named.startswith("per_"):
            try:
                ref = parse_reference(named)[1]
            except ValueError:
                raise NotFound(kind="person", reference=named) from None
        known = await registry.person_known(connection, ref=ref, hr_key=None, email=named.lower())
        if known is not None:
            return cast("UUID", known["ref"])
        same = await registry.people_named(connection, named)
        if len(same) == 1:
            return cast("UUID", same[0]["ref"])
        if "@" not in named or len(same) > 1:
            raise NotFound(kind="person", reference=named)
        change, person = await _registered(operating, connection, named, caller)
    operating.tell(change)
    return person


async def _registered(
    operating: Operating, connection: Connection, email: str, caller: Actor
) -> tuple[Change, UUID]:
    change = Change(run=operating.vault.ids().new(), from_seq=0, is_aside=True)
    change.last_at = await registry.now(connection)
    intake = Intake(connection, operating.vault, caller, operating.new_event_id)
    name = email.partition("@")[0].replace(".", " ").title()
    filled = await intake.resolve({"person": Person(name=name, email=email)}, change)
    await with_streams(connection, change, operating.new_event_id)
    await apply(connection, [change])
    person = filled["person"]
    assert isinstance(person, Person), "a person stays a person"
    return change, parse_reference(person.ref)[1]
