"""People as they are read: one person, the list, the search, names by reference.

Personal columns live in `newel.person` alone, so every name on a page or in a sentence comes
from here. Rows are written by the write door.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["candidates", "latest", "listed", "names", "read", "runs_of"]

_SQL: Final = queries("people")


async def read(database: Database, person: UUID) -> Row | None:
    """One person with the manager's name, and the database's time."""
    return await database.fetchrow(_SQL.read, person)


async def listed(
    database: Database, *, refs: Sequence[UUID] | None = None, after: str = "", how_many: int = 50
) -> list[Row]:
    """People with their newest run and the count of their grants, by name.

    refs: only these. after: only those whose name comes later.
    """
    chosen = None if refs is None else list(refs)
    return await database.fetch(_SQL.listed, chosen, after, how_many)


async def candidates(
    database: Database, *, text: str, grams: Sequence[str], how_many: int = 200
) -> list[Row]:
    """People whose name or address shares trigrams with what was typed, most shared first.

    text: as typed; an address or an employee number is also compared whole. Trigrams that only
    tell the first letter of a word would let everybody with that letter in: they count, but
    nobody is found by them unless there are no others.
    """
    telling = [gram for gram in grams if not gram.startswith("  ")] or list(grams)
    return await database.fetch(_SQL.candidates, text.strip(), list(grams), telling, how_many)


async def names(database: Database, refs: Collection[UUID]) -> dict[UUID, str]:
    """Display names by reference; those who are not known are absent."""
    if not refs:
        return {}
    rows = await database.fetch(_SQL.names, list(refs))
    return {row["ref"]: row["display_name"] for row in rows}


async def runs_of(database: Database, person: UUID, *, how_many: int = 50) -> list[Row]:
    """Runs about a person: open ones first, then the newest; with their first event."""
    return await database.fetch(_SQL.runs_of, person, how_many)


async def latest(database: Database, person: UUID, *, how_many: int = 40) -> list[Row]:
    """The latest events of all runs about a person, the newest first; attempts left out."""
    return await database.fetch(_SQL.latest, person, how_many)
