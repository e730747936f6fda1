"""What the bench reads of the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg

from newel.store.database import Database
from newel.store.queries import queries

_SQL: Final = queries("measured")

COMMIT_ONE: Final[str] = f"{_SQL.commit_one};\n"
"""pgbench's script: one small durable transaction."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Bytes of write-ahead log and ended transactions since the server began."""

    wal_bytes: int
    transactions: int


async def counters(database: Database) -> Counters:
    """Read the server's counters."""
    row = await database.fetchrow(_SQL.counters)
    assert row is not None, "a statement without a from-list has one row"
    return Counters(row["wal_bytes"], row["transactions"])


async def open_runs(database: Database) -> int:
    """How many runs have not ended."""
    count: int = await database.fetchval(_SQL.open_runs)
    return count


async def open_tasks(database: Database, runs: list[UUID]) -> list[UUID]:
    """Open tasks of some runs."""
    return [row["id"] for row in await database.fetch(_SQL.open_tasks, runs)]


async def all_ended(database: Database, runs: list[UUID]) -> bool:
    """Whether some runs have all ended."""
    left: int = await database.fetchval(_SQL.not_ended, runs)
    return left == 0


async def active_seconds(database: Database, runs: list[UUID]) -> list[float]:
    """For how many seconds each completed run was at work."""
    return [row["active_us"] / 1e6 for row in await database.fetch(_SQL.active, runs)]


async def make_slow(dsn: str) -> str:
    """Make a database whose commits take a millisecond longer; answers with its address."""
    connection = await asyncpg.connect(dsn)
    try:
        for statement in (_SQL.make_slow, _SQL.delay, _SQL.always_delay):
            await connection.execute(statement)
    finally:
        await connection.close()
    return urlunsplit(urlsplit(dsn)._replace(path="/newel_slow"))
