"""The ledger as it is read: who holds what, since when, why, and by whose decision."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["of_person"]

_SQL: Final = queries("ledger")


async def of_person(database: Database, person: UUID) -> list[Row]:
    """Grants of a person by system, each system's account first; with the event that made each."""
    return await database.fetch(_SQL.of_person, person)
