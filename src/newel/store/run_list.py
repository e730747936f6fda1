"""The list of runs as people work with it: filtered, counted, in pages.

Runs of newel's own processes (incidents) are left out unless their process is asked for, in the
list and in the counts alike, so that each count is the length of the list it links to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["Narrowed", "counts", "listed"]

_SQL: Final = queries("run_list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """Which runs are wanted; what is None does not narrow.

    standing: a standing, `open` or `ended`. subject: the person a run is about.
    """

    standing: str | None = None
    process: str | None = None
    subject: UUID | None = None


async def listed(
    database: Database, wanted: Narrowed, *, before: UUID | None = None, how_many: int = 50
) -> list[Row]:
    """Runs, newest first, from the one before `before` on."""
    return await database.fetch(
        _SQL.listed, wanted.standing, wanted.process, wanted.subject, before, how_many
    )


async def counts(database: Database, wanted: Narrowed) -> dict[str, int]:
    """How many runs there are of each standing; the standing wanted does not narrow this."""
    rows = await database.fetch(_SQL.counts, wanted.process, wanted.subject)
    return {row["standing"]: row["how_many"] for row in rows}
