"""Endpoints that are told of events: what the code declares, how they fare, what they are owed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

_SQL: Final = queries("endpoints")

State = Literal["waiting", "accepted", "dead"]
"""Of a delivery; dead: it was given up."""


async def known(connection: Connection, name: str) -> Row | None:
    """One endpoint under its row lock, held until the transaction ends."""
    return await connection.fetchrow(_SQL.known, name)


async def declare(
    connection: Connection, name: str, *, url_host: str, events: Sequence[str]
) -> None:
    """Keep what the code declares."""
    await connection.execute(_SQL.declare, name, url_host, list(events))


async def retire(connection: Connection, declared: Collection[str]) -> list[Row]:
    """End the endpoints that are not declared; answers with names and hosts."""
    return await connection.fetch(_SQL.retire, list(declared))


async def claim(database: Database, name: str, *, how_many: int, seconds: float) -> list[Row]:
    """Take deliveries that are due, for so many seconds and as one more attempt each."""
    return await database.fetch(_SQL.claim, name, how_many, seconds)


async def accepted(database: Database, name: str, stream: UUID, seq: int, answer: str) -> None:
    """Say that a delivery was accepted."""
    await database.execute(_SQL.accepted, name, stream, seq, answer)


async def failed(
    database: Database,
    name: str,
    stream: UUID,
    seq: int,
    *,
    attempts: int,
    next_at: datetime | None,
    answer: str,
) -> None:
    """Say that an attempt has failed, and when the next is; None gives the delivery up."""
    await database.execute(_SQL.failed, name, stream, seq, attempts, next_at, answer)


async def well(database: Database, name: str) -> None:
    """Say that an endpoint accepts what it is told."""
    await database.execute(_SQL.well, name)


async def unwell(database: Database, name: str) -> None:
    """Say that an endpoint has not accepted something."""
    await database.execute(_SQL.unwell, name)


async def disable(connection: Connection, name: str, why: Literal["gone", "operator"]) -> bool:
    """Send nothing any more; False if that was so."""
    return await connection.fetchval(_SQL.disable, name, why) is not None


async def enable(connection: Connection, name: str) -> None:
    """Send again, at once what has waited."""
    await connection.execute(_SQL.enable, name)
    await connection.execute(_SQL.due_now, name)


async def again(connection: Connection, name: str, events: Sequence[UUID] | None) -> list[UUID]:
    """Send these events again, or (None) all that were given up; answers with which."""
    rows = await connection.fetch(_SQL.again, name, None if events is None else list(events))
    return [row["event_id"] for row in rows]


async def in_trouble(database: Database, declared: Collection[str], before: datetime) -> list[Row]:
    """Endpoints that are gone, or have accepted nothing since before a moment."""
    return await database.fetch(_SQL.in_trouble, list(declared), before)


async def listed(database: Database) -> list[Row]:
    """The endpoints by name, with what is waiting for them and what was given up."""
    return await database.fetch(_SQL.listed)


async def deliveries(
    database: Database,
    name: str,
    *,
    state: State | None,
    after: tuple[datetime, UUID] | None = None,
    how_many: int,
) -> list[Row]:
    """Deliveries of an endpoint, the latest event first. after: moment and event of one of them."""
    moment, event = after or (None, None)
    return await database.fetch(_SQL.deliveries, name, state, moment, event, how_many)


async def figures(database: Database, name: str, since: datetime) -> Row:
    """How an endpoint has fared with the events since a moment."""
    row = await database.fetchrow(_SQL.figures, name, since)
    assert row is not None, "an aggregate has one row"
    return row


async def by_hour(database: Database, name: str, since: datetime) -> list[Row]:
    """What became of the events since a moment, by hour from there; empty hours are left out."""
    return await database.fetch(_SQL.by_hour, name, since)


async def forget(
    database: Database, *, before: datetime, dead_before: datetime, how_many: int
) -> int:
    """Remove deliveries of which nobody needs to know any more; answers with how many."""
    return len(await database.fetch(_SQL.forget, before, dead_before, how_many))
