"""The list of runs as people work with it: filtered, counted, in pages.

Runs of newel's own processes (incidents) are left out unless their process is asked for, in the
list and in the counts alike, so that each count is the length of the list it links to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from newel.store.database import Database, Row
from newel.store.overview import BOUND
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
    values: list[object] = [wanted.process, wanted.subject, before, how_many]
    match wanted.standing:
        case None:
            statement = _SQL.all_ids
        case "open":
            statement = _SQL.open_ids
        case "ended":
            statement = _SQL.ended_ids
        case "completed":
            statement = _SQL.completed_ids
        case "waiting":
            statement = _SQL.waiting_ids
        case "failed" | "cancelled":
            statement = _SQL.stopped_ids
            values.append(wanted.standing)
        case _:
            statement = _SQL.moving_ids
            values.append(wanted.standing)
    rows = await database.fetch(statement, *values)
    return await database.fetch(_SQL.listed, [row["id"] for row in rows])


async def counts(database: Database, wanted: Narrowed) -> dict[str, int]:
    """How many runs there are of each standing; the standing wanted does not narrow this.

    What is more than `BOUND` is given as one more than that: nobody reads ten thousand rows, and
    counting a million of them at each look would cost what everything else does together.
    """
    bound = BOUND + 1
    if wanted.subject is not None:
        rows = await database.fetch(_SQL.counts_of_subject, wanted.subject, wanted.process)
    elif wanted.process is not None:
        rows = await database.fetch(_SQL.open_counts_of_process, wanted.process, bound)
        rows += await database.fetch(_SQL.ended_counts_of_process, wanted.process, bound)
    else:
        rows = await database.fetch(_SQL.open_counts, bound)
        rows += await database.fetch(_SQL.ended_counts, bound)
    return {row["standing"]: int(row["how_many"]) for row in rows if row["how_many"]}
