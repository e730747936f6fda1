"""What stands beside every page: the database's time, and the counts of the navigation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from newel.store.database import Database
from newel.store.queries import queries

__all__ = ["BOUND", "Overview", "overview"]

BOUND: Final = 10_000
"""How far is counted; what is more is given as one more than that, and shown as `10,000+`."""

_SQL: Final = queries("overview")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Counts of what is open, as of a moment of the database's clock; at most one above `BOUND`."""

    as_of: datetime
    deployment: str
    runs: int
    tasks: int
    overdue_tasks: int
    incidents: int


async def overview(database: Database) -> Overview:
    """Count what is open, no further than one above `BOUND`."""
    row = await database.fetchrow(_SQL.overview, BOUND + 1)
    assert row is not None, "a statement without a from-list has one row"
    return Overview(**dict(row))
