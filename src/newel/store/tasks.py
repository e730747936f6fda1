"""Human work as it is read: the inbox, and one task with what stands behind it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["listed", "read"]

_SQL: Final = queries("tasks")


async def listed(database: Database, *, is_open: bool = True, how_many: int = 100) -> list[Row]:
    """Open tasks, the most urgent first; or those that are over, the latest first."""
    return await database.fetch(_SQL.opened if is_open else _SQL.ended, how_many)


async def read(database: Database, task: UUID) -> Row | None:
    """One task with its run, the people in it, and the database's time."""
    return await database.fetchrow(_SQL.read, task)
