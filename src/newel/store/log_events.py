"""The sealed events of the log, one after another, read at one moment and never held as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final, NamedTuple

from newel.store.database import Connection, Row
from newel.store.queries import queries

__all__ = [
    "SealedEvent",
    "event_hashes",
    "hash_at",
    "pruned_until",
    "sealed_after",
    "sealed_events",
    "sealed_in",
]

_SQL: Final = queries("log_events")


class SealedEvent(NamedTuple):
    """An entry and its place in a log epoch."""

    log_epoch: int
    leaf_index: int
    hash: bytes
    entry: bytes


async def sealed_events(
    connection: Connection, *, since: datetime, until: datetime, by_stream: bool = False
) -> AsyncIterator[SealedEvent]:
    """Give the events that occurred from `since` to before `until`, in the order of the log.

    by_stream: stream after stream instead. One reading at a time in a transaction.
    """
    await connection.execute(_SQL.by_stream if by_stream else _SQL.in_order, since, until)
    while rows := await connection.fetch(_SQL.more):
        for row in rows:
            yield SealedEvent(row["log_epoch"], row["leaf_index"], row["leaf_hash"], row["entry"])
    await connection.execute(_SQL.close)


async def sealed_after(
    connection: Connection, log_epoch: int, leaf_index: int
) -> AsyncIterator[SealedEvent]:
    """Give all sealed events after a place in the log, in its order."""
    await connection.execute(_SQL.after, log_epoch, leaf_index)
    while rows := await connection.fetch(_SQL.more):
        for row in rows:
            yield SealedEvent(row["log_epoch"], row["leaf_index"], row["leaf_hash"], row["entry"])
    await connection.execute(_SQL.close)


async def sealed_in(
    connection: Connection, log_epoch: int, size: int
) -> AsyncIterator[SealedEvent]:
    """Give the first leaves of a log epoch, in its order; an entry that is gone is empty."""
    await connection.execute(_SQL.in_log, log_epoch, size)
    while rows := await connection.fetch(_SQL.more):
        for row in rows:
            entry = row["entry"] or b""
            yield SealedEvent(row["log_epoch"], row["leaf_index"], row["leaf_hash"], entry)
    await connection.execute(_SQL.close)


async def pruned_until(connection: Connection) -> datetime | None:
    """Up to when events may be missing, because they were pruned; None where none was."""
    found: datetime | None = await connection.fetchval(_SQL.pruned_until)
    return found


async def hash_at(connection: Connection, log_epoch: int, leaf_index: int) -> bytes | None:
    """Read the leaf hash at a place in the log; None if the log does not reach it."""
    found: bytes | None = await connection.fetchval(_SQL.hash_at, log_epoch, leaf_index)
    return found


async def event_hashes(
    connection: Connection, *, since: datetime, until: datetime
) -> AsyncIterator[Row]:
    """Give stream, seq, type and leaf hash of all events of a period, both ends in it."""
    await connection.execute(_SQL.hashes, since, until)
    while rows := await connection.fetch(_SQL.more_hashes):
        for row in rows:
            yield row
    await connection.execute(_SQL.close_hashes)
