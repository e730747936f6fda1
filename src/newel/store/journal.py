"""Reading the journal: outcomes for a replay, open acts, and the events of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

_SQL: Final = queries("journal")


async def outcomes(connection: Connection, runs: Sequence[UUID]) -> list[Row]:
    """The events from which the given runs are replayed, by run and place."""
    return await connection.fetch(_SQL.outcomes, list(runs))


async def open_acts(connection: Connection, runs: Sequence[UUID]) -> list[Row]:
    """What is open of the given runs."""
    return await connection.fetch(_SQL.open_acts, list(runs))


async def free_locks(connection: Connection, runs: Sequence[UUID]) -> list[Row]:
    """Run and key of acts that may have the lock they wait for."""
    return await connection.fetch(_SQL.free_locks, list(runs))


async def events(
    database: Database, stream: UUID, *, after: int = 0, how_many: int = 500
) -> list[Row]:
    """The events of one stream from `after` on, in order."""
    return await database.fetch(_SQL.events, stream, after, how_many)


async def payload_digests(connection: Connection, streams: Sequence[UUID]) -> dict[UUID, list[str]]:
    """The digests of the payloads that runs still have, by run, in the order of their events."""
    rows = await connection.fetch(_SQL.payload_digests, list(streams))
    return {row["stream_id"]: row["digests"] for row in rows}


async def empty_payloads(connection: Connection, streams: Sequence[UUID]) -> None:
    """Empty the payloads of runs that are marked as expired in this transaction."""
    await connection.execute(_SQL.empty_payloads, list(streams))


async def prune(connection: Connection, streams: Sequence[UUID]) -> int:
    """Remove the events of runs that are marked as pruned in this transaction; how many those were.

    How a run began and ended, what was decided and what access it changed stays.
    """
    return len(await connection.fetch(_SQL.prune, list(streams)))
