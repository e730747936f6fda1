"""Systems as their page shows them: what holds them up, who waits, who has access."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["blocked", "counts", "incidents", "levels", "waiting_runs"]

_SQL: Final = queries("systems")


async def incidents(database: Database, systems: Sequence[str]) -> list[Row]:
    """The incidents of some systems that are not closed, the oldest first."""
    return await database.fetch(_SQL.incidents, list(systems))


async def counts(database: Database, systems: Sequence[str]) -> list[Row]:
    """How many runs wait at each system, and how many people have access to it."""
    return await database.fetch(_SQL.counts, list(systems))


async def blocked(database: Database, credentials: Sequence[str]) -> list[Row]:
    """Credentials that are to be used less often, and until when."""
    return await database.fetch(_SQL.blocked, list(credentials))


async def levels(database: Database, credentials: Sequence[str]) -> list[Row]:
    """What is left in the buckets of some credentials, as it was left last."""
    return await database.fetch(_SQL.levels, list(credentials))


async def waiting_runs(database: Database, system: str, *, how_many: int) -> list[Row]:
    """Runs that are tried again or parked at a system, those that need a person first."""
    return await database.fetch(_SQL.waiting_runs, system, how_many)
