"""Messages from outside to waits: kept first, then handed over; both sides look after writing.

The sender commits the message and then looks for a wait; the run commits its wait and then
looks for a message. Whoever is second sees the other, so nothing is missed, and the message's
row lock lets only one of them take it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import NotWaiting
from newel.engine.operating import Tell, command
from newel.engine.vault import Vault
from newel.store.database import Database
from newel.store.queries import queries

_SQL: Final = queries("messages")


class Messages:
    """Keeps messages, and hands each to one wait."""

    def __init__(
        self, database: Database, vault: Vault, new_event_id: Callable[[], str], tell: Tell
    ) -> None:
        """Prepare; nothing is read before a message or a wait comes."""
        self._database = database
        self._vault = vault
        self._new_event_id = new_event_id
        self._tell = tell

    async def send(
        self,
        name: str,
        *,
        match: str | None,
        payload: bytes,
        source: str,
        event_id: str,
        actor: Actor,
    ) -> bool:
        """Keep a message and hand it over if a wait is open; False if it was sent before.

        payload: JSON of the event's type.
        """
        kept = await self._database.fetchval(_SQL.keep, source, event_id, name, match, payload)
        await self.deliver(name, match, actor)
        return kept is not None

    async def deliver(self, name: str, match: str | None, actor: Actor) -> None:
        """Hand kept messages of this name and correlation to the waits that are open for them."""
        for row in await self._database.fetch(_SQL.waiting, name, match):
            try:
                await self._hand_over(row["run_id"], row["key"], name, match, actor)
            except NotWaiting:
                continue  # the run has ended meanwhile; the message stays kept

    async def _hand_over(
        self, run: UUID, key: str, name: str, match: str | None, actor: Actor
    ) -> None:
        async with command(
            self._database, self._vault, run, actor, self._new_event_id, self._tell
        ) as made:
            if key not in made.acts:
                return
            message = await made.connection.fetchrow(_SQL.take, name, match, run)
            if message is None:
                return
            sealed = made.sealer.seal(message["payload"])
            digest = made.sealer.digest(sealed)
            made.record(
                facts.EventReceived(
                    source=message["source"],
                    message_id=message["event_id"],
                    body_digest=digest,
                    signature="trusted",
                    wait=key,
                )
            )
            made.record(
                facts.WaitClosed(by="event", outcome_digest=digest), key=key, payload=sealed
            )
            made.change.closed.append(key)
