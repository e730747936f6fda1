"""Messages from outside to waits: kept first, then handed over; both sides look after writing.

The sender commits the message and then looks for a wait; the run commits its wait and then
looks for a message. Whoever is second sees the other, so nothing is missed, and the message's
row lock lets only one of them take it. Whoever is second may die, or lose the database, between
writing and looking: every worker looks from time to time for messages that were overlooked so.
A message whose event is not kept (`buffered=False`) is handed over in the transaction that writes
it, or is lost, and an audit event tells of that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import InvalidInput, NotWaiting
from newel.domain.acts import OpenAct
from newel.domain.change import Beside
from newel.engine.enduring import Patience, now_and_then
from newel.engine.operating import Command, Tell, command, write_aside
from newel.engine.vault import Vault
from newel.flow.waits import Event
from newel.store import registry
from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

__all__ = ["SIGNED", "Message", "Messages", "Sent", "State", "over"]

_SQL: Final = queries("messages")
SIGNED: Final = "webhook/"
"""How the source of a message begins that a hook has proven; nobody else may name one."""
"""How the source of a message begins that came in a signed delivery."""

Fate = Literal["delivered", "kept", "lost"]
State = Literal["kept", "lost", "taken", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What was sent: for an event, by correlation or to one run. payload: its JSON.

    event_id: the sender's; the same one from the same source is the same message.
    """

    name: str
    payload: bytes
    source: str
    event_id: str
    match: str | None = None
    to: UUID | None = None
    is_buffered: bool = True

    @property
    def digest(self) -> bytes:
        """Tells whether another message under the same id is the same."""
        where = f"{self.name}\0{self.match or ''}\0{self.to or ''}\0".encode()
        return hashlib.sha256(where + self.payload).digest()


def over(event: Event[str], match: str, *, event_id: str) -> Message:
    """What newel itself tells whoever waits for the end of something; match: of what."""
    return Message(
        name=event.name,
        match=match,
        payload=event.codec.dump("over"),
        source="newel",
        event_id=event_id,
        is_buffered=event.is_buffered,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of a message. is_new: it had not been sent before. run: which run took it."""

    fate: Fate
    is_new: bool
    run: UUID | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether a wait has taken it."""
        return self.fate == "delivered"


@dataclass
class Messages:
    """Keeps messages, and hands each to one wait."""

    database: Database
    vault: Vault
    new_event_id: Callable[[], str]
    tell: Tell

    async def send(self, message: Message, actor: Actor) -> Sent:
        """Keep a message, and hand it over if a wait is open.

        Raises InvalidInput if the same event id was used for something else before.
        """
        known = await self.database.fetchrow(_SQL.kept_before, message.source, message.event_id)
        if known is not None:
            return _as_before(known, message)
        if message.is_buffered:
            is_new = await self.keep(self.database, message)
            if is_new:
                await self.deliver(message.name, message.match, actor, to=message.to)
            known = await self.database.fetchrow(_SQL.kept_before, message.source, message.event_id)
            assert known is not None, "it was kept just now"
            sent = _as_before(known, message)
            return Sent(fate=sent.fate, is_new=is_new, run=sent.run)
        return await self._send_unkept(message, actor)

    async def keep(
        self, where: Database | Connection, message: Message, *, is_lost: bool = False
    ) -> bool:
        """Write a message down; False if it is there. Whoever keeps it delivers it, too."""
        kept = await where.fetchval(
            _SQL.keep,
            message.source,
            message.event_id,
            message.name,
            message.match,
            message.to,
            message.payload,
            message.digest,
            is_lost,
        )
        return kept is not None

    async def listed(self, state: State, how_many: int) -> list[Row]:
        """Messages as they lie, the latest first: those that nobody has waited for, and others."""
        return await self.database.fetch(_SQL.listed, state, how_many)

    async def deliver(
        self, name: str, match: str | None, actor: Actor, *, to: UUID | None = None
    ) -> None:
        """Hand kept messages that fit to the waits that are open for them."""
        for row in await self.database.fetch(_SQL.waiting, name, match, to):
            try:
                async with self._command(row["run_id"], actor) as made:
                    await _take(made, row["key"], name)
            except NotWaiting:
                continue  # the run has ended meanwhile; the message stays kept

    async def deliver_to(self, run: UUID, key: str, name: str, actor: Actor) -> None:
        """Hand the oldest kept message that fits to one wait, which has just been opened."""
        try:
            async with self._command(run, actor) as made:
                await _take(made, key, name)
        except NotWaiting:
            return

    async def watch(self, host: Any, pause: timedelta) -> None:  # Any: the worker, who acts
        """Deliver what was overlooked, from time to time; until cancelled."""

        async def look() -> None:
            for row in await self.database.fetch(_SQL.overlooked):
                await self.deliver_to(row["run_id"], row["key"], row["name"], host.actor)

        patience = Patience("look for overlooked messages")
        await now_and_then(look, pause.total_seconds(), patience)

    def _command(self, run: UUID, actor: Actor) -> AbstractAsyncContextManager[Command]:
        return command(self.database, self.vault, run, actor, self.new_event_id, self.tell)

    # --- messages that nobody keeps ----------------------------------------------------------

    async def _send_unkept(self, message: Message, actor: Actor) -> Sent:
        for row in await self.database.fetch(_SQL.waiting, message.name, message.match, message.to):
            try:
                async with self._command(row["run_id"], actor) as made:
                    if row["key"] not in made.acts:
                        continue
                    if not await self.keep(made.connection, message):
                        break  # the same message came twice at once
                    await _take(made, row["key"], message.name)
            except NotWaiting:
                continue
            return Sent(fate="delivered", is_new=True, run=row["run_id"])
        return await self._lose(message, actor)

    async def _lose(self, message: Message, actor: Actor) -> Sent:
        aside, change = self.vault.ids().new(), None
        async with self.database.transaction() as connection:
            if await self.keep(connection, message, is_lost=True):
                at = await registry.now(connection)
                fact = facts.EventRefused(
                    source=message.source, cause="nobody-waits", n=1, window_s=0
                )
                stream = f"system/{message.source}"
                change = await write_aside(
                    connection,
                    [Beside(stream, fact, at, actor, message.source)],
                    id_=aside,
                    new_event_id=self.new_event_id,
                )
        if change is not None:
            self.tell(change)
            return Sent(fate="lost", is_new=True)
        known = await self.database.fetchrow(_SQL.kept_before, message.source, message.event_id)
        assert known is not None, "another sender has kept it"
        return _as_before(known, message)


def _as_before(known: Row, message: Message) -> Sent:
    if known["digest"] != message.digest:
        raise InvalidInput({"event_id": "was used for another message before"})
    fate: Fate = "lost" if known["is_lost"] else "kept"
    if known["taken_by"] is not None:
        fate = "delivered"
    return Sent(fate=fate, is_new=False, run=known["taken_by"])


async def _take(made: Command, key: str, name: str) -> None:
    act: OpenAct | None = made.acts.get(key)
    if act is None or act.event != name:
        return
    message = await made.connection.fetchrow(_SQL.take, name, act.match, made.run)
    if message is None:
        return
    sealed = made.sealer.seal(message["payload"])
    digest = made.sealer.digest(sealed)
    made.record(
        facts.EventReceived(
            source=message["source"],
            message_id=message["event_id"],
            body_digest=digest,
            signature="verified" if message["source"].startswith(SIGNED) else "trusted",
            wait=key,
        )
    )
    made.close(act, by="event", digest=digest, payload=sealed)
