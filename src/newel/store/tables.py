"""Whole tables, for tests that lead a deployment; nothing in production reads so."""

from __future__ import annotations

from typing import Any, Final

from newel.store.database import Database
from newel.store.queries import queries

__all__ = ["all_of", "group_of"]

_SQL: Final = queries("tables")


async def all_of(database: Database, table: str) -> list[dict[str, Any]]:  # Any: columns
    """The rows of a table."""
    return [dict(row) for row in await database.fetch(getattr(_SQL, f"all_{table}"))]


async def group_of(database: Database, table: str, group: object) -> list[dict[str, Any]]:
    """The rows of a table that belong to a run, or to a person."""
    return [dict(row) for row in await database.fetch(getattr(_SQL, f"{table}_of"), group)]
