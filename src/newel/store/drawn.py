"""Drawings of processes as they were read when their versions were registered."""

from __future__ import annotations

from typing import Final

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["drawing", "versions"]

_SQL: Final = queries("drawn")


async def drawing(database: Database, process: str, version: int | None) -> str | None:
    """The drawing of a version, or of the newest, as canonical JSON; None where there is none."""
    rows = await database.fetch(_SQL.drawing, process, version)
    return rows[0]["drawing"] if rows else None


async def versions(database: Database, process: str) -> list[Row]:
    """All versions (version, sha256, registered_at, open_runs), the newest first."""
    return list(await database.fetch(_SQL.versions, process))
