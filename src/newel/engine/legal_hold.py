"""Legal hold: what is about a person stays, although its time is over or they are to be erased.

Whoever sets it says why; so does whoever releases it. Both are events, with the reason sealed for
the person who gave it.
Source: our own audit document §14.
"""

from __future__ import annotations

from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import NotAllowed, NotFound, NotWaiting
from newel.base.ids import reference
from newel.domain.change import Change
from newel.engine.operating import Operating, check_reason, write_reasoned
from newel.store import erasure
from newel.store.database import Connection

__all__ = ["LegalHold"]

_SET = "hold"
_RELEASE = "release"


class LegalHold:
    """Holds of one deployment."""

    def __init__(self, operating: Operating) -> None:
        """Take what verbs need."""
        self._operating = operating

    async def set(self, person: UUID, *, actor: Actor, reason: str) -> None:
        """Put a person under hold; nothing of theirs is emptied from now on.

        Raises ReasonMissing, NotAllowed (nobody is named), NotFound, NotWaiting (they are erased,
        or under hold already).
        """
        event_id = self._operating.new_event_id()
        async with self._operating.database.transaction() as connection:
            await self._known(connection, person, _SET, actor, reason)
            if not await erasure.set_hold(connection, person, UUID(event_id)):
                raise NotWaiting(verb=_SET, what=_named(person), state="under hold already")
            fact = facts.PersonHoldSet()
            change = await self._told(connection, person, fact, event_id, _SET, actor, reason)
        self._operating.tell(change)

    async def release(self, person: UUID, *, actor: Actor, reason: str) -> None:
        """End a hold, which nobody does for themselves; errors as `set`, NotWaiting for none."""
        if actor.person is not None and actor.person == _named(person):
            needed = "somebody else than the person"
            raise NotAllowed(actor=actor.person, verb=_RELEASE, needed=needed)
        event_id = self._operating.new_event_id()
        async with self._operating.database.transaction() as connection:
            await self._known(connection, person, _RELEASE, actor, reason)
            hold = await erasure.release_hold(connection, person)
            if hold is None:
                raise NotWaiting(verb=_RELEASE, what=_named(person), state="under no hold")
            fact = facts.PersonHoldReleased(hold=str(hold))
            change = await self._told(connection, person, fact, event_id, _RELEASE, actor, reason)
        self._operating.tell(change)

    async def _known(
        self, connection: Connection, person: UUID, verb: str, actor: Actor, reason: str
    ) -> None:
        """Lock the person, as erasing does, so that one of both comes first."""
        check_reason(verb, reason)
        if actor.person is None:
            raise NotAllowed(actor=actor.id, verb=verb, needed="to name a person")
        is_erased = await erasure.locked(connection, person)
        if is_erased is None:
            raise NotFound(kind="person", reference=_named(person))
        if is_erased:
            raise NotWaiting(verb=verb, what=_named(person), state="erased already")

    async def _told(
        self,
        connection: Connection,
        person: UUID,
        fact: facts.PersonHoldSet | facts.PersonHoldReleased,
        event_id: str,
        verb: str,
        actor: Actor,
        reason: str,
    ) -> Change:
        return await write_reasoned(
            connection,
            fact,
            actor,
            vault=self._operating.vault,
            event_id=event_id,
            code=verb,
            reason=reason,
            subject=_named(person),
        )


def _named(person: UUID) -> str:
    return reference("per", person)
