"""The ledger as it is read: who holds what, since when, why, and by whose decision."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from newel.domain.grants import Held
from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

__all__ = ["ended_since", "held", "of_person"]

_SQL: Final = queries("ledger")


async def of_person(database: Database, person: UUID) -> list[Row]:
    """Grants of a person by system, each system's account first, with what made and ended them."""
    return await database.fetch(_SQL.of_person, person)


async def held(source: Database | Connection, person: UUID, entitlement: str) -> Held | None:
    """The grant that a person has of an entitlement: open, or suspended and not given back."""
    row = await source.fetchrow(_SQL.held, person, entitlement)
    return None if row is None else Held(**row)


async def ended_since(database: Database, person: UUID, run: UUID, moment: datetime) -> bool:
    """Whether another run has ended access of a person after a moment."""
    return bool(await database.fetchval(_SQL.ended_since, person, run, moment))
