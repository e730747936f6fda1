"""Secrets that newel hands on: kept sealed until their link is opened, once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

__all__ = [
    "expire",
    "found",
    "has_missed",
    "keep",
    "reseal",
    "sealed_after",
    "sent",
    "take",
]

_SQL: Final = queries("received_secrets")


async def keep(
    connection: Connection,
    *,
    id_: UUID,
    person: UUID,
    system: str,
    token_sha256: bytes,
    sealed: bytes,
    lasts: timedelta,
) -> datetime | None:
    """Keep a secret in place of the one that waits; answers with when its link ends.

    None for a person who is not known. Locks: the person.
    """
    if await connection.fetchval(_SQL.lock_person, person) is None:
        return None
    await connection.execute(_SQL.replace, person, system)
    expires_at: datetime = await connection.fetchval(
        _SQL.keep, id_, person, system, token_sha256, sealed, lasts
    )
    return expires_at


async def sent(database: Database, id_: UUID) -> None:
    """Say that the link of a secret was sent."""
    await database.execute(_SQL.sent, id_)


async def has_missed(database: Database, *, person: UUID, system: str) -> bool:
    """Whether the person's latest link was not sent, or not opened in time; False for none."""
    return bool(await database.fetchval(_SQL.has_missed, person, system))


async def found(database: Database, token_sha256: bytes) -> Row | None:
    """What became of a link, and what it is about; None if there is no such link."""
    return await database.fetchrow(_SQL.found, token_sha256)


async def take(connection: Connection, token_sha256: bytes) -> Row | None:
    """Take a secret out, sealed; None if its link shows nothing (any more)."""
    return await connection.fetchrow(_SQL.take, token_sha256)


async def expire(database: Database) -> None:
    """Forget what nobody has fetched in time."""
    await database.execute(_SQL.expire)


async def sealed_after(connection: Connection, id_: UUID, how_many: int) -> list[Row]:
    """What is sealed under a key-encryption key, after an id, locked: id, sealed."""
    rows: list[Row] = await connection.fetch(_SQL.sealed_after, id_, how_many)
    return rows


async def reseal(connection: Connection, id_: UUID, sealed: bytes) -> None:
    """Keep it as it is sealed under another key-encryption key."""
    await connection.execute(_SQL.reseal, id_, sealed)
