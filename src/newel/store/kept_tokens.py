"""Tokens that systems renew, with what renews them next; kept sealed, renewed one at a time."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from newel.store.database import Connection, Row
from newel.store.queries import queries

__all__ = ["await_turn", "keep", "reseal", "sealed_after"]

_SQL: Final = queries("kept_tokens")


async def await_turn(connection: Connection, id_: UUID, credential: str) -> bytes | None:
    """Wait for the turn to renew a token; answers with what was kept, sealed. Locks: its row."""
    await connection.execute(_SQL.make_turn, id_, credential)
    kept: bytes | None = await connection.fetchval(_SQL.await_turn, id_)
    return kept


async def keep(connection: Connection, id_: UUID, sealed: bytes) -> None:
    """Keep what a renewal has given, in the transaction that has the turn."""
    await connection.execute(_SQL.keep, id_, sealed)


async def sealed_after(connection: Connection, id_: UUID, how_many: int) -> list[Row]:
    """What is sealed under a key-encryption key, after an id, locked: id, sealed."""
    rows: list[Row] = await connection.fetch(_SQL.sealed_after, id_, how_many)
    return rows


async def reseal(connection: Connection, id_: UUID, sealed: bytes) -> None:
    """Keep it as it is sealed under another key-encryption key."""
    await connection.execute(_SQL.reseal, id_, sealed)
