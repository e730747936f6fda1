"""Tokens that systems renew, kept for all workers: sealed, and renewed by one of them at a time.

The row of a credential is locked from before its refresh token is spent until the next one is
kept, in one transaction; a worker that is frozen in between loses the lock with its connection.
Source: connectors document, §8.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

import asyncpg
import orjson

from newel.base.errors import AuthFailed, LogInconsistent, Transient
from newel.base.secrets import Secret
from newel.connectors.rotating import Keeper, Kept
from newel.engine.vault import Vault
from newel.store import kept_tokens
from newel.store.database import LOST, Connection, Database

__all__ = ["Renews", "TokenKeeping"]


@runtime_checkable
class Renews(Protocol):
    """A connector whose token may be one that is renewed."""

    def keep_tokens_in(self, keeper: Keeper) -> None:
        """Let the deployment keep what renewing gives; nothing for one that is never renewed."""
        ...


@dataclass(slots=True)
class _Turn:
    """See `newel.connectors.rotating.Turn`."""

    connection: Connection
    vault: Vault
    id: UUID
    kept: Kept | None = None

    async def keep(self, kept: Kept) -> None:
        """Keep this instead."""
        text = orjson.dumps(
            {
                "origin": kept.origin,
                "refresh": kept.refresh.reveal(),
                "access": kept.access.reveal(),
                "expires_at": kept.expires_at,
            }
        )
        sealed = self.vault.sealed(text, self.id)
        await kept_tokens.keep(self.connection, self.id, sealed)

    def take(self, sealed: bytes | None) -> None:
        """Open what was kept. Raises AuthFailed under another key-encryption key."""
        if sealed is None:
            return
        try:
            shape = orjson.loads(self.vault.opened(sealed, self.id))
        except LogInconsistent as cause:
            raise AuthFailed(
                "The token that was kept cannot be opened with this key-encryption key."
            ) from cause
        self.kept = Kept(
            origin=shape["origin"],
            refresh=Secret(shape["refresh"]),
            access=Secret(shape["access"]),
            expires_at=datetime.fromisoformat(shape["expires_at"]),
        )


class TokenKeeping:
    """Keeps the tokens of one deployment."""

    def __init__(self, database: Database, vault: Vault) -> None:
        """Take where they are kept, and what they are sealed with."""
        self._database = database
        self._vault = vault

    @asynccontextmanager
    async def turn(self, credential: str) -> AsyncIterator[_Turn]:
        """Hold the turn at a credential. Locks: its row of `newel.kept_token`, nothing else."""
        try:
            async with self._database.transaction() as connection:
                turn = _Turn(connection, self._vault, _id_of(credential))
                turn.take(await kept_tokens.await_turn(connection, turn.id, credential))
                yield turn
        except (asyncpg.LockNotAvailableError, *LOST) as cause:
            raise Transient(
                f"The turn to renew the token was not had ({type(cause).__name__})"
            ) from cause


def _id_of(credential: str) -> UUID:
    """The row of a credential; the seal is bound to it, so nothing of another one opens with it."""
    return UUID(bytes=hashlib.sha256(f"kept token\0{credential}".encode()).digest()[:16])
