"""Runs that are not over, in pages, for whoever looks at all of them before new code comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["unfinished"]

_SQL: Final = queries("unfinished")
_PAGE: Final = 200


async def unfinished(database: Database, processes: Sequence[str]) -> AsyncIterator[list[Row]]:
    """Open runs of these processes (id, process, state, subject), in the order of their ids."""
    after: UUID | None = None
    while rows := await database.fetch(_SQL.unfinished, list(processes), after, _PAGE):
        yield list(rows)
        after = rows[-1]["id"]
