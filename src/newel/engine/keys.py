"""Keys of the API: made and revoked, each with its audit event in the same transaction.

A key is `newel_<8 characters>_<43 characters>`: the first part is its public name, the second
is chance enough (256 bits) that a plain SHA-256 may be stored. The key itself is given once.
Source: security document, §4.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, Event
from newel.base.errors import InvalidInput, NotFound
from newel.base.ids import Ids
from newel.domain.change import Beside
from newel.engine.operating import write_aside
from newel.store import access, registry
from newel.store.database import Connection, Database

__all__ = ["Keys", "MadeKey"]

_LETTERS: Final = string.ascii_letters + string.digits
_SCOPES: Final = ("api",)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A new key; text: the whole of it, to be shown once. id: its public part."""

    id: str
    text: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"MadeKey({self.id})"


class Keys:
    """The keys of one deployment."""

    def __init__(self, database: Database) -> None:
        """Take the database; keys are written with their audit events."""
        self._database = database
        self._ids = Ids()

    async def new(self, name: str, *, lasts: timedelta, actor: Actor) -> MadeKey:
        """Make a key; from then on the API asks for one. Raises InvalidInput."""
        if not name.strip():
            raise InvalidInput({"name": "is empty"})
        if lasts <= timedelta(0):
            raise InvalidInput({"days": "must be more than 0"})
        public = "".join(secrets.choice(_LETTERS) for _ in range(8))
        text = f"newel_{public}_{secrets.token_urlsafe(32)}"
        async with self._database.transaction() as connection:
            expires_at = await access.add_key(
                connection,
                key=public,
                name=name.strip(),
                sha256=hashlib.sha256(text.encode()).digest(),
                lasts=lasts,
            )
            fact = facts.AdminKeyCreated(key=public, scopes=_SCOPES, expires_at=expires_at)
            await self._tell(connection, fact, actor)
        return MadeKey(id=public, text=text, expires_at=expires_at)

    async def revoke(self, key: str, *, actor: Actor) -> None:
        """Make a key open nothing, at once. Raises NotFound for a key that opens nothing."""
        async with self._database.transaction() as connection:
            if not await access.revoke_key(connection, key):
                raise NotFound(kind="key", reference=key)
            await self._tell(connection, facts.AdminKeyRevoked(key=key), actor)

    async def _tell(self, connection: Connection, fact: Event, actor: Actor) -> None:
        told = Beside("admin", fact, await registry.now(connection), actor, None)
        await write_aside(connection, [told], id_=self._ids.new(), new_event_id=self._ids.event_id)
