"""Erasing a person: asked for by one person, agreed to by another, carried out in one transaction.

It is a run of the built-in process `newel.erase`, so that it is recorded as everything else is and
a second person decides in the manner of every approval: never whoever asked, never the person it
is about. Keys are destroyed and rows emptied; leaves stay as they are, and with them every proof.
What was sealed in a leaf can be read by nobody any more, in older backups neither once the
key-encryption key has changed.
Source: our own audit document §15.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import Invalid, InvalidInput, NotFound, NotWaiting, Rejected
from newel.base.ids import parse_reference, reference
from newel.domain.change import Beside, Change
from newel.domain.people import team
from newel.engine.beginning import Begin
from newel.engine.operating import Operating, write_aside
from newel.engine.retention import emptied
from newel.engine.starting import Wanted
from newel.flow.process import Process, process
from newel.flow.step import step
from newel.flow.waits import approval
from newel.store import erasing, registry
from newel.store.database import Connection, Row

__all__ = ["NAME", "Erasing", "Order", "Why"]

NAME: Final = "newel.erase"
Why = Literal["request", "retention", "mistake"]
"""Why a person is erased; a code, because free text would be personal data again."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Whom to erase, by reference, and why."""

    person: str
    why: Why


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What was done: runs whose payloads were emptied, other rows, keys that were destroyed."""

    runs: int
    rows: int
    keys: int


class Erasing:
    """Erases people of one deployment."""

    def __init__(self, operating: Operating, begin: Begin) -> None:
        """Prepare; begin: starts a run in the caller's transaction."""
        self._operating = operating
        self._begin = begin
        self.process = self._made()

    async def ask(self, person: UUID, *, why: Why, actor: Actor) -> UUID:
        """Ask for a person to be erased, and a second person to agree; answers with the run.

        Raises NotFound, NotWaiting (something is still going on about them), InvalidInput.
        """
        if actor.person is None:
            raise InvalidInput({"actor": "name the person who asks for this"})
        operating = self._operating
        wanted = Wanted(
            run=operating.vault.ids().run_id(),
            process=self.process,
            arguments={"order": Order(person=reference("per", person), why=why)},
            actor=actor,
            source="api",
        )
        async with operating.database.transaction() as connection:
            await _erasable(connection, person)
            change, _ = await self._begin(connection, wanted)
        operating.tell(change)
        return wanted.run

    async def erase(self, person: UUID, *, second: str) -> Erased:
        """Erase a person, once; errors as `ask`. second: the reference of who agreed."""
        operating = self._operating
        async with operating.database.transaction() as connection:
            about = await erasing.runs(connection, person)
            row = await _erasable(connection, person)
            if row["key_state"] == "erased":
                return Erased(runs=0, rows=0, keys=0)
            left = [each for each in about if each["payload_expired_at"] is None]
            changes = await emptied(connection, operating, left, policy="erased")
            done = await erasing.empty(
                connection,
                person,
                number=row["hr_key"],
                about=[each["id"] for each in about],
            )
            fact = facts.SubjectErased(
                keys=done.keys,
                runs=len(left),
                tasks=done.tasks,
                messages=done.messages,
                second=second,
            )
            changes.append(await self._told(connection, fact, person))
        operating.vault.forget(person)
        for change in changes:
            operating.tell(change)
        return Erased(runs=len(left), rows=done.tasks + done.messages, keys=done.keys)

    async def _told(
        self, connection: Connection, fact: facts.SubjectErased, person: UUID
    ) -> Change:
        at = await registry.now(connection)
        actor = Actor(type="system", id="newel")
        told = Beside("admin", fact, at, actor, None, reference("per", person))
        ids = self._operating.vault.ids()
        return await write_aside(
            connection, [told], id_=ids.new(), new_event_id=self._operating.new_event_id
        )

    def _made(self) -> Process[[Order], Erased]:
        @step(name="newel.erase.now", in_doubt="repeat", title="Erase")
        async def now(person: str, second: str) -> Erased:
            """Destroy the keys, empty the rows."""
            try:
                return await self.erase(person_of(person), second=second)
            except (NotFound, NotWaiting) as refused:
                raise Invalid(str(refused)) from refused

        @process(name=NAME, title="Erase a person", owner="it", subject=None)
        async def erase(order: Order) -> Erased:
            """Let a second person agree, then erase for good."""
            decision = await approval("second-person", by=team("it"))
            if not decision.approved:
                raise Rejected(decision)
            return await now(order.person, decision.by)

        return erase


def person_of(named: str) -> UUID:
    """Read the reference of a person. Raises NotFound."""
    try:
        kind, person = parse_reference(named)
    except ValueError:
        raise NotFound(kind="person", reference=named) from None
    if kind != "per":
        raise NotFound(kind="person", reference=named)
    return person


async def _erasable(connection: Connection, person: UUID) -> Row:
    row = await erasing.person(connection, person)
    if row is None:
        raise NotFound(kind="person", reference=reference("per", person))
    runs, grants = await erasing.in_the_way(connection, person)
    if runs or grants:
        state = f"the subject of {runs} open runs and has {grants} open grants"
        raise NotWaiting(verb="erase", what=reference("per", person), state=state)
    return row
