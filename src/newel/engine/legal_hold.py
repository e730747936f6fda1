"""Legal hold: what is about a person, or one run, stays, although its time is over.

Whoever sets it says why; so does whoever releases it, and under the strict rule somebody else has
to confirm that. All of them are events, with the reason sealed for the person who gave it.
Source: our own audit document §14; security document §6, F7.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import NotFound, NotWaiting
from newel.base.ids import reference
from newel.domain.change import Change
from newel.engine.four_eyes import FourEyes, Ordered
from newel.engine.operating import Operating, check_reason, named_person, write_reasoned
from newel.store import erasure
from newel.store.database import Connection

__all__ = ["LegalHold"]

_SET: Final = "hold"
_RELEASE: Final = "release"


class LegalHold:
    """Holds of one deployment."""

    def __init__(self, operating: Operating) -> None:
        """Take what verbs need."""
        self._operating = operating
        self._eyes = FourEyes(operating.vault, operating.second_person)

    async def set(self, whom: UUID, *, actor: Actor, reason: str, is_run: bool = False) -> None:
        """Put a person, or one run, under hold; nothing of theirs is emptied from now on.

        Raises ReasonMissing, NotAllowed (nobody is named), NotFound, NotWaiting (they are erased,
        or under hold already).
        """
        check_reason(_SET, reason)
        event_id = self._operating.new_event_id()
        async with self._operating.database.transaction() as connection:
            subject = await self._known(connection, whom, _SET, actor, is_run=is_run)
            person, run = (None, whom) if is_run else (whom, None)
            if not await erasure.set_hold(connection, UUID(event_id), person=person, run=run):
                named = _named(whom, is_run=is_run)
                raise NotWaiting(verb=_SET, what=named, state="under hold already")
            fact = facts.PersonHoldSet(run=None if run is None else reference("run", run))
            change = await self._told(connection, subject, fact, event_id, _SET, actor, reason)
        self._operating.tell(change)

    async def release(
        self,
        whom: UUID,
        *,
        actor: Actor,
        reason: str = "",
        is_run: bool = False,
        confirms: bool = False,
    ) -> Ordered | None:
        """End a hold, which nobody does for themselves; an order, where two have to agree.

        confirms: as the second of them. Errors as `set`; NotWaiting also for none, for one whose
        release is ordered already, and for a confirmation of nothing.
        """
        named = _named(whom, is_run=is_run)
        async with self._operating.database.transaction() as connection:
            subject = await self._known(connection, whom, _RELEASE, actor, is_run=is_run)
            passed = await self._eyes.ask(
                connection,
                _RELEASE,
                named,
                actor=actor,
                reason=reason,
                confirms=confirms,
                subject=subject,
            )
            changes = [passed.change if isinstance(passed, Ordered) else passed.told]
            if not isinstance(passed, Ordered):
                person, run = (None, whom) if is_run else (whom, None)
                hold = await erasure.release_hold(connection, person=person, run=run)
                if hold is None:
                    raise NotWaiting(verb=_RELEASE, what=named, state="under no hold")
                fact = facts.PersonHoldReleased(
                    hold=str(hold),
                    run=None if run is None else reference("run", run),
                    second=passed.second,
                )
                event_id, said = self._operating.new_event_id(), passed.reason
                changes.append(
                    await self._told(connection, subject, fact, event_id, _RELEASE, passed.by, said)
                )
        for change in changes:
            if change is not None:
                self._operating.tell(change)
        return passed if isinstance(passed, Ordered) else None

    async def _known(
        self, connection: Connection, whom: UUID, verb: str, actor: Actor, *, is_run: bool
    ) -> UUID | None:
        """Lock who is meant, as erasing and emptying do, so that one comes first; whom it is about.

        Raises NotAllowed (nobody is named, or it is the person), NotFound, NotWaiting.
        """
        named = _named(whom, is_run=is_run)
        named_person(actor, verb)
        subject: UUID | None = whom
        if is_run:
            found = await erasure.locked_run(connection, whom)
            if found is None:
                raise NotFound(kind="run", reference=named)
            (subject,) = found
        else:
            is_erased = await erasure.locked(connection, whom)
            if is_erased is None:
                raise NotFound(kind="person", reference=named)
            if is_erased:
                raise NotWaiting(verb=verb, what=named, state="erased already")
        if verb == _SET:
            await erasure.locked_past(connection, whom)
        if verb == _RELEASE:
            named_person(actor, verb, other_than=subject)
        return subject

    async def _told(
        self,
        connection: Connection,
        subject: UUID | None,
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
            subject=None if subject is None else reference("per", subject),
        )


def _named(whom: UUID, *, is_run: bool) -> str:
    return reference("run" if is_run else "per", whom)
