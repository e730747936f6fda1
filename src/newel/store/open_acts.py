"""What is open of runs, as people see it: with the task, the incident and the ticket behind it.

The engine reads open acts bare (`journal.open_acts`); pages and the status sentence also need
who is asked, which incident holds a step up, and where its ticket is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["awaited", "of_runs"]

_SQL: Final = queries("open_acts")


async def of_runs(database: Database, runs: Sequence[UUID]) -> list[Row]:
    """Open acts of the given runs, by run, then oldest first."""
    return await database.fetch(_SQL.of_runs, list(runs))


async def awaited(database: Database, event: str) -> list[str]:
    """What open waits for an event are correlated by."""
    return [row["match"] for row in await database.fetch(_SQL.awaited, event)]
