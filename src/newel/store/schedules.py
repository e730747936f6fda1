"""Schedules: the rows by which many workers start each occurrence once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

_SQL: Final = queries("schedules")


async def known(connection: Connection, name: str) -> Row | None:
    """One schedule under its row lock, held until the transaction ends."""
    return await connection.fetchrow(_SQL.known, name)


Declared = tuple[str, str, str, str, str]
"""Name, process, cron, zone and missed policy of a schedule, as the code declares them."""


async def declare(connection: Connection, declared: Declared, next_at: datetime) -> None:
    """Keep what the code declares."""
    await connection.execute(_SQL.declare, *declared, next_at)


async def retire(
    connection: Connection, *, processes: Collection[str], declared: Collection[str]
) -> list[str]:
    """End the schedules of these processes that are not declared; answers with their names."""
    rows = await connection.fetch(_SQL.retire, list(processes), list(declared))
    return sorted(row["name"] for row in rows)


async def next_due(
    database: Database, declared: Sequence[Declared]
) -> tuple[datetime, datetime | None]:
    """The database's time, and when the first of these schedules is due."""
    row = await database.fetchrow(_SQL.next_due, *_columns(declared))
    assert row is not None, "a statement without a from-list has one row"
    return row["as_of"], row["due"]


async def take_due(connection: Connection, declared: Sequence[Declared]) -> Row | None:
    """A due schedule, locked until the transaction ends; None if none is due or free."""
    return await connection.fetchrow(_SQL.take_due, *_columns(declared))


def _columns(declared: Sequence[Declared]) -> list[list[str]]:
    return [list(column) for column in zip(*declared, strict=True)]


async def decided(
    connection: Connection,
    *,
    schedule: str,
    planned_at: datetime,
    decided_at: datetime,
    run: UUID | None,
    left_out: int = 0,
    refused: str | None = None,
) -> bool:
    """Keep what became of a planned moment; False if that was decided before."""
    found = await connection.fetchval(
        _SQL.decided, schedule, planned_at, decided_at, run, left_out, refused
    )
    return found is not None


async def go_on(connection: Connection, name: str, next_at: datetime) -> None:
    """Say which planned moment is decided next."""
    await connection.execute(_SQL.go_on, name, next_at)


async def pause(connection: Connection, name: str) -> bool:
    """Pause a schedule; False if it is paused or there is none."""
    return await connection.fetchval(_SQL.pause, name) is not None


async def resume(connection: Connection, name: str, next_at: datetime) -> None:
    """Let a schedule go on."""
    await connection.execute(_SQL.resume, name, next_at)


async def listed(database: Database) -> list[Row]:
    """All schedules that have not retired, by name, with what was decided last."""
    return await database.fetch(_SQL.listed)


async def occurrences(database: Database, name: str, how_many: int = 20) -> list[Row]:
    """What became of a schedule's moments, the latest first."""
    return await database.fetch(_SQL.occurrences, name, how_many)
