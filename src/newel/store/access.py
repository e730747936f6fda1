"""Who may use newel: keys of the API. Only the SHA-256 of a key is ever stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

__all__ = ["add_key", "any_key", "keys", "read_key", "revoke_key", "used_key"]

_SQL: Final = queries("access")


async def any_key(database: Database) -> bool:
    """Whether a key was ever made and not revoked; an expired one still closes the door."""
    return bool(await database.fetchval(_SQL.any_key))


async def read_key(database: Database, key: str) -> Row | None:
    """One key that is neither revoked nor expired, by its public part."""
    return await database.fetchrow(_SQL.read_key, key)


async def used_key(database: Database, key: str) -> None:
    """Note that a key was used; at most once a minute."""
    await database.execute(_SQL.used_key, key)


async def keys(database: Database) -> list[Row]:
    """All keys that are not revoked, the newest first; never their hashes."""
    return await database.fetch(_SQL.keys)


async def add_key(
    connection: Connection, *, key: str, name: str, sha256: bytes, lasts: timedelta
) -> datetime:
    """Add a key by its public part; answers with when it expires."""
    expires_at: datetime = await connection.fetchval(_SQL.add_key, key, name, sha256, lasts)
    return expires_at


async def revoke_key(connection: Connection, key: str) -> bool:
    """Make a key open nothing; False if it opened nothing before."""
    return await connection.fetchval(_SQL.revoke_key, key) is not None
