"""Webhooks: deliveries from outside, each kept once; refusals, counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

_SQL: Final = queries("webhooks")


async def keep_received(
    connection: Connection,
    *,
    delivery: UUID,
    source: str,
    event_id: str,
    digest: bytes,
    body: bytes,
    at: datetime,
) -> bytes | None:
    """Keep a delivery; answers with the digest of the one that was kept before, if there is one."""
    kept = await connection.fetchval(
        _SQL.keep_received, delivery, source, event_id, digest, body, at
    )
    if kept is not None:
        return None
    before: bytes = await connection.fetchval(_SQL.received_before, source, event_id)
    return before


async def settle_received(
    connection: Connection,
    delivery: UUID,
    *,
    runs: Sequence[UUID],
    messages: int,
    refused: str | None,
) -> None:
    """Say what became of a delivery."""
    await connection.execute(_SQL.settle_received, delivery, list(runs), messages, refused)


async def locked_received(connection: Connection, delivery: UUID) -> Row | None:
    """One delivery under its row lock."""
    return await connection.fetchrow(_SQL.locked_received, delivery)


async def received(
    database: Database, *, source: str | None, only_refused: bool, how_many: int
) -> list[Row]:
    """Deliveries as they came, the latest first."""
    return await database.fetch(_SQL.received, source, only_refused, how_many)


async def heard(database: Database, names: Sequence[str]) -> list[Row]:
    """When something came last from each source, and how much of it was not all done."""
    return await database.fetch(_SQL.heard, list(names))


async def empty_received(database: Database, before: datetime) -> None:
    """Empty the bodies of deliveries that came before a moment and were not refused."""
    await database.execute(_SQL.empty_received, before)


async def refused(connection: Connection, source: str, cause: str, at: datetime) -> Row | None:
    """The counter of a refusal under its row lock; None if this is the first one."""
    if await connection.fetchval(_SQL.refusal, source, cause, at) is not None:
        return None
    return await connection.fetchrow(_SQL.locked_refusal, source, cause)


async def count_refusal(
    connection: Connection, source: str, cause: str, *, told_at: datetime, untold: int
) -> None:
    """Set the counter of a refusal: when it was told last, and how many were not since then."""
    await connection.execute(_SQL.count_refusal, source, cause, told_at, untold)


async def untold_refusals(database: Database, before: datetime) -> list[Row]:
    """Refusals that were counted and not told since before a moment."""
    return await database.fetch(_SQL.untold_refusals, before)


async def last_heard(database: Database, source: str, names: Sequence[str]) -> datetime:
    """When something came last from a source, under any of its names; else since the first look."""
    async with database.transaction() as connection:
        await connection.execute(_SQL.meet_source, source)
        moment: datetime = await connection.fetchval(_SQL.last_heard, source, list(names))
    return moment


async def sealed_after(connection: Connection, id_: UUID, how_many: int) -> list[Row]:
    """What is sealed under a key-encryption key, after an id, locked: id, sealed."""
    rows: list[Row] = await connection.fetch(_SQL.sealed_after, id_, how_many)
    return rows


async def reseal(connection: Connection, id_: UUID, sealed: bytes) -> None:
    """Keep it as it is sealed under another key-encryption key."""
    await connection.execute(_SQL.reseal, id_, sealed)
