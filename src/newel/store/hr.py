"""What HR has said of each employment, so that the same said again starts nothing."""

from __future__ import annotations

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


async def settle(
    connection: Connection,
    feed: str,
    employee: str,
    *,
    starts_on: date | None,
    ends_on: date | None,
    position: bytes | None,
    onboarding: UUID | None,
    offboarding: UUID | None,
) -> None:
    """Keep what is known of an employment now."""
    await connection.execute(
        _SQL.settle, feed, employee, starts_on, ends_on, position, onboarding, offboarding
    )


async def asked_until(database: Database, feed: str) -> datetime | None:
    """Until when a feed was asked for changes; None if it never was."""
    moment: datetime | None = await database.fetchval(_SQL.asked_until, feed)
    return moment


async def ask_from(database: Database, feed: str, moment: datetime) -> None:
    """Ask for changes from a moment on, the next time."""
    await database.execute(_SQL.ask_from, feed, moment)
