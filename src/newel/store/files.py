"""Files that people attach to a task as evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

__all__ = ["empty", "keep", "read"]

_SQL: Final = queries("files")


async def keep(
    connection: Connection,
    *,
    task: UUID,
    run: UUID,
    name: bytes,
    content: bytes,
    size: int,
    sha256: str,
    at: datetime,
) -> None:
    """Keep the file of a task. name, content: sealed; size, sha256: of the open content."""
    await connection.execute(_SQL.keep, task, run, name, content, size, sha256, at)


async def read(database: Database, task: UUID) -> Row | None:
    """The file of a task, with what opens it; None if there is none."""
    return await database.fetchrow(_SQL.read, task)


async def empty(connection: Connection, runs: Sequence[UUID]) -> None:
    """Empty the files of runs whose payloads are emptied."""
    await connection.execute(_SQL.empty, list(runs))
