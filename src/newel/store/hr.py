"""What HR has said of each employment, so that the same said again starts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

_SQL: Final = queries("hr")


async def locked(connection: Connection, feed: str, employee: str) -> Row:
    """What is known of an employment, under its row lock; empty where nothing is."""
    await connection.execute(_SQL.meet, feed, employee)
    row = await connection.fetchrow(_SQL.locked, feed, employee)
    assert row is not None, "the row was made above"
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What is known of an employment, as it is kept. look_at: when to look again, unasked."""

    starts_on: date | None
    ends_on: date | None
    position: bytes | None
    name: bytes | None
    onboarding: UUID | None
    offboarding: UUID | None
    look_at: datetime | None


async def settle(connection: Connection, feed: str, employee: str, now_known: Settled) -> None:
    """Keep what is known of an employment now."""
    await connection.execute(
        _SQL.settle,
        feed,
        employee,
        now_known.starts_on,
        now_known.ends_on,
        now_known.position,
        now_known.name,
        now_known.onboarding,
        now_known.offboarding,
        now_known.look_at,
    )


async def look_again(connection: Connection, feed: str, employee: str, moment: datetime) -> None:
    """Look at an employment again at a moment; what is known of it stays."""
    await connection.execute(_SQL.look_again, feed, employee, moment)


async def to_look_at(database: Database, feed: str) -> list[tuple[str, datetime]]:
    """Whose records have to be looked at again without a word of HR, and since when."""
    rows = await database.fetch(_SQL.to_look_at, feed)
    return [(row["employee"], row["look_at"]) for row in rows]


async def asked_until(database: Database, feed: str) -> datetime | None:
    """Until when a feed was asked for changes; None if it never was."""
    moment: datetime | None = await database.fetchval(_SQL.asked_until, feed)
    return moment


async def ask_from(database: Database, feed: str, moment: datetime) -> None:
    """Ask for changes from a moment on, the next time."""
    await database.execute(_SQL.ask_from, feed, moment)
