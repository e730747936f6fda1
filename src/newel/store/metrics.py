"""What monitoring reads: a few numbers of the deployment as a whole, none of a person or a run."""

from __future__ import annotations

from typing import Final

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["counted", "numbers"]

_SQL: Final = queries("metrics")


async def numbers(database: Database) -> Row:
    """Everything that is one number; ages in seconds, None where nothing could be old."""
    row = await database.fetchrow(_SQL.numbers)
    assert row is not None, "a statement without a from-list has one row"
    return row


async def counted(database: Database) -> list[Row]:
    """How many there are of each sort: `what`, `labels`, `how_many`, `age` of the oldest."""
    return await database.fetch(_SQL.counted)
