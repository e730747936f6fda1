"""Erasing a person: two people want it, nothing is open, and nobody can read them any more.

The one who orders it says why, somebody else confirms it within a day. In the transaction of the
confirmation the payloads of the person's runs are emptied, names, addresses and texts taken out of
the tables, and the person's keys destroyed: what is sealed under them in leaves stays, so every
hash and proof holds, and nobody can open it. The log says what was emptied, and at whose wish.
Source: our own audit document §15; security document §6, F7.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import NotAllowed, NotFound, NotWaiting
from newel.base.ids import reference
from newel.domain.change import Beside, Change
from newel.engine.operating import (
    Operating,
    check_reason,
    named_person,
    said_reason,
    write_aside,
)
from newel.engine.retention import emptied
from newel.store import erasure, registry
from newel.store.database import Connection, Row

__all__ = ["Erased", "Erasing", "Ordered"]

LASTS: Final = timedelta(hours=24)
_VERB: Final = "erase"
_POLICY: Final = "erasure"
_PREFIXES: Final = {"run": "run", "access": "grt", "task": "tsk"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """An order that waits until somebody else confirms it."""

    person: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was emptied: rows by table; keys: how many of the person's were destroyed."""

    person: str
    keys: int
    runs: int
    rows: dict[str, int]


class Erasing:
    """Erases people of one deployment."""

    def __init__(self, operating: Operating) -> None:
        """Take what verbs need."""
        self._operating = operating
        self._new_event_id = operating.new_event_id

    async def order(self, person: UUID, *, actor: Actor, reason: str) -> Ordered:
        """Order it; somebody else has to confirm within 24 hours.

        Raises ReasonMissing, NotAllowed (nobody is named, or it is the person), NotFound,
        NotWaiting (something is open, it is ordered already, or done).
        """
        check_reason(_VERB, reason)
        orderer = named_person(actor, _VERB, other_than=person)
        event_id = self._new_event_id()
        async with self._operating.database.transaction() as connection:
            await self._erasable(connection, person)
            expires_at = await erasure.ordered(
                connection,
                person,
                by=actor.kept,
                orderer=orderer,
                event_id=UUID(event_id),
                lasts=LASTS,
            )
            if expires_at is None:
                raise NotWaiting(
                    verb=_VERB, what=_named(person), state="waiting for a second person already"
                )
            said = await said_reason(
                connection, self._operating.vault, event_id, actor, code=_VERB, text=reason
            )
            change = await self._tell(
                connection,
                facts.SubjectErasureOrdered(expires_at=expires_at),
                actor,
                person,
                id_=event_id,
                reason=said,
            )
        self._operating.tell(change)
        return Ordered(person=_named(person), expires_at=expires_at)

    async def confirm(self, person: UUID, *, actor: Actor) -> Erased:
        """Carry out what somebody else has ordered; it cannot be undone.

        Raises NotAllowed (nobody is named, or it is the person or who ordered it), NotFound,
        NotWaiting (something is open, nothing was ordered, or its time is over).
        """
        second = named_person(actor, _VERB, other_than=person)
        async with self._operating.database.transaction() as connection:
            rows = await self._erasable(connection, person)
            order = await erasure.pending(connection, person)
            if order is None:
                raise NotWaiting(
                    verb="confirm", what=f"erasing {_named(person)}", state="not ordered"
                )
            if order["orderer"] == second:
                raise NotAllowed(actor=_named(second), verb=_VERB, needed="a second person")
            by = Actor(**order["ordered_by"])
            full = [row for row in rows if not row["is_empty"]]
            changes = await emptied(
                connection, full, policy=_POLICY, actor=by, new_event_id=self._new_event_id
            )
            counts = await erasure.emptied(connection, person, [row["id"] for row in rows])
            keys = counts.pop("person_key")
            fact = facts.SubjectErased(
                keys=keys,
                rows=facts.ErasedRows(run=len(full), **counts),
                order=str(order["event_id"]),
                second=_named(second),
            )
            changes.append(await self._tell(connection, fact, by, person))
        self._operating.vault.forget()
        for change in changes:
            self._operating.tell(change)
        return Erased(person=_named(person), keys=keys, runs=len(full), rows=counts)

    async def _erasable(self, connection: Connection, person: UUID) -> list[Row]:
        """Lock the person and their runs, and refuse where they are still in something.

        Answers with the runs. Locked first, so that a hold on one of them is seen, or waits.
        """
        is_erased = await erasure.locked(connection, person)
        if is_erased is None:
            raise NotFound(kind="person", reference=_named(person))
        if is_erased:
            raise NotWaiting(verb=_VERB, what=_named(person), state="erased already")
        rows = await erasure.runs_of(connection, person)
        found = await erasure.in_the_way(connection, person)
        if found:
            told = [_told(row["kind"], row["id"], row["name"]) for row in found]
            raise NotWaiting(
                verb=_VERB, what=_named(person), state=f"still part of {', '.join(told)}"
            )
        return rows

    async def _tell(
        self,
        connection: Connection,
        fact: facts.SubjectErased | facts.SubjectErasureOrdered,
        actor: Actor,
        person: UUID,
        *,
        id_: str | None = None,
        reason: dict[str, object] | None = None,
    ) -> Change:
        at = await registry.now(connection)
        told = Beside("admin", fact, at, actor, None, _named(person), id_, reason=reason)
        return await write_aside(
            connection,
            [told],
            id_=self._operating.vault.ids().new(),
            new_event_id=self._new_event_id,
        )


def _named(person: UUID) -> str:
    return reference("per", person)


def _told(kind: str, id_: UUID, name: str) -> str:
    """Name what is open: `the run run_… (onboarding)`; of a password its system says enough."""
    if kind == "hold":
        return "a legal hold, which somebody has to release"
    if kind == "password":
        return f"a first password for {name} that waits to be read"
    return f"the {kind} {reference(_PREFIXES[kind], id_)} ({name})"
