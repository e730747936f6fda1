"""The ledger as it is read: who holds what, since when, why, and by whose decision."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from newel.domain.grants import Held
from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

__all__ = [
    "came_with",
    "ended_between",
    "ended_of_awaited",
    "ended_since",
    "had_between",
    "held",
    "holder",
    "left",
    "of_person",
]

_SQL: Final = queries("ledger")


async def of_person(database: Database, person: UUID) -> list[Row]:
    """Grants of a person by system, each system's account first, with what made and ended them."""
    return await database.fetch(_SQL.of_person, person)


async def had_between(
    database: Database,
    begin: datetime,
    until: datetime,
    *,
    person: UUID | None = None,
    system: str | None = None,
    entitlement: str | None = None,
    after: UUID | None = None,
    how_many: int,
) -> list[Row]:
    """Access that people had from a moment on until before another, by entitlement.

    person, system, entitlement: only of these. after: the grant after which the page begins.
    """
    return await database.fetch(
        _SQL.had_between, begin, until, person, system, entitlement, after, how_many
    )


async def ended_between(
    database: Database, begin: datetime, until: datetime, *, system: str | None, cause: str | None
) -> list[Row]:
    """Access that ended in a span of time, by run and system, the slowest first."""
    return await database.fetch(_SQL.ended_between, begin, until, system, cause)


async def held(source: Database | Connection, person: UUID, entitlement: str) -> Held | None:
    """The grant that a person has of an entitlement: open, or suspended and not given back."""
    row = await source.fetchrow(_SQL.held, person, entitlement)
    return None if row is None else Held(**row)


async def came_with(source: Database | Connection, grant: UUID) -> dict[str, Held]:
    """What the outcome that made a grant gave beside it, and that is not over, by entitlement."""
    rows = await source.fetch(_SQL.came_with, grant)
    names = ("id", "state", "level", "valid_from")
    return {row["entitlement"]: Held(**{name: row[name] for name in names}) for row in rows}


async def holder(
    database: Database, entitlement: str, account: str, person: UUID | None
) -> UUID | None:
    """Who is known to have an account, by its id; the person, where they were only invited yet."""
    found: UUID | None = await database.fetchval(_SQL.holder, entitlement, account, person)
    return found


async def ended_since(database: Database, person: UUID, run: UUID, moment: datetime) -> bool:
    """Whether another run has ended access of a person after a moment."""
    return bool(await database.fetchval(_SQL.ended_since, person, run, moment))


async def left(database: Database) -> list[Row]:
    """Access that runs gave which were cancelled lately, and that stands; run by run."""
    return await database.fetch(_SQL.left)


async def ended_of_awaited(database: Database, event: str) -> list[str]:
    """Grants whose end is awaited as an event correlated by their id, and that have ended."""
    rows = await database.fetch(_SQL.ended_of_awaited, event)
    return [row["match"] for row in rows]
