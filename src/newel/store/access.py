"""Who may use newel: keys of the API. Only the SHA-256 of a key is ever stored."""

from __future__ import annotations

from typing import Final

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["any_key", "read_key", "used_key"]

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
