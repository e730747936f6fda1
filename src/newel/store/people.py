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

__all__ = [
    "common",
    "fitting",
    "latest",
    "listed",
    "names",
    "read",
    "runs_of",
    "similar",
    "skipped",
]

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


async def fitting(
    database: Database, *, text: str, whole: Sequence[str], begun: Sequence[str], how_many: int
) -> list[Row]:
    """People whose address or number is the text; else those who have all trigrams of a set.

    whole: those of the words; begun: those of words that go on. Of each kind at most how_many.
    """
    return await database.fetch(_SQL.fitting, text.strip(), list(whole), list(begun), how_many)


async def common(database: Database, grams: Sequence[str]) -> dict[str, float]:
    """In about how many people each of some trigrams stands; one that is absent is rare."""
    rows = await database.fetch(_SQL.common, list(grams))
    return {row["gram"]: row["people"] for row in rows}


async def similar(
    database: Database,
    *,
    grams: Sequence[str],
    telling: Sequence[str],
    sets: Sequence[Sequence[str]] = (),
    read: int = 1_000,
    of_each: int = 60,
    how_many: int = 60,
) -> list[Row]:
    """People who have a telling trigram or all of a set, those first who share most of `grams`.

    read: how many with a telling trigram are looked at; of_each: how many of each set.
    """
    written = ["|".join(each) for each in sets]
    return await database.fetch(
        _SQL.similar, list(grams), list(telling), written, read, of_each, how_many
    )


async def names(database: Database, refs: Collection[UUID]) -> dict[UUID, str]:
    """Display names by reference; those who are not known are absent."""
    if not refs:
        return {}
    rows = await database.fetch(_SQL.names, list(refs))
    return {row["ref"]: row["display_name"] for row in rows}


async def runs_of(database: Database, person: UUID, *, how_many: int = 50) -> list[Row]:
    """Runs about a person: open ones first, then the newest; with their first event."""
    return await database.fetch(_SQL.runs_of, person, how_many)


async def skipped(database: Database, run: UUID) -> int:
    """How many steps of a run were skipped."""
    found: int = await database.fetchval(_SQL.skipped, run)
    return found


async def latest(database: Database, person: UUID, *, how_many: int = 40) -> list[Row]:
    """The latest events of all runs about a person, the newest first; attempts left out."""
    return await database.fetch(_SQL.latest, person, how_many)
