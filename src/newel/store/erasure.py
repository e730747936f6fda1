"""Erasing a person in the tables: the order, what stands in its way, and what is emptied.

Legal hold stands here as well: it belongs to retention.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from newel.store.database import Connection, Row
from newel.store.queries import queries

__all__ = [
    "emptied",
    "in_the_way",
    "locked",
    "locked_past",
    "locked_run",
    "ordered",
    "pending",
    "release_hold",
    "runs_of",
    "set_hold",
]

_SQL: Final = queries("erasure")


async def locked(connection: Connection, person: UUID) -> bool | None:
    """Lock a person, so that nothing about them begins; whether they are erased, None if unknown.

    Locks: the keys, then the person; before any run.
    """
    await connection.fetch(_SQL.lock_keys, person)
    row = await connection.fetchrow(_SQL.lock_person, person)
    return None if row is None else bool(row["key_state"] == "erased")


async def pending(connection: Connection, person: UUID) -> Row | None:
    """What was ordered and not yet confirmed; None if nothing was, or its time is over."""
    return await connection.fetchrow(_SQL.pending, person)


async def ordered(
    connection: Connection,
    person: UUID,
    *,
    by: dict[str, Any],  # Any: JSON
    orderer: UUID,
    event_id: UUID,
    lasts: timedelta,
) -> datetime | None:
    """Keep an order; answers with until when, None if there is one already."""
    expires_at: datetime | None = await connection.fetchval(
        _SQL.order, person, by, orderer, event_id, lasts
    )
    return expires_at


async def in_the_way(connection: Connection, person: UUID) -> list[Row]:
    """What is still open about a person: kind, id, name."""
    rows: list[Row] = await connection.fetch(_SQL.in_the_way, person)
    return rows


async def runs_of(connection: Connection, person: UUID) -> list[Row]:
    """Runs about a person with those they started about nobody; locked."""
    rows: list[Row] = await connection.fetch(_SQL.runs, person)
    return rows


async def emptied(connection: Connection, person: UUID, runs: Sequence[UUID]) -> dict[str, int]:
    """Empty all that names the person, and destroy the keys; answers with rows by table."""
    of = list(runs)
    number = await connection.fetchval(_SQL.hr_key, person)
    counts = {
        "task": len(await connection.fetch(_SQL.tasks, of)),
        "access_grant": len(await connection.fetch(_SQL.grants, person)),
        "inbox": len(await connection.fetch(_SQL.messages, of)),
        "webhook_received": len(await connection.fetch(_SQL.deliveries, of)),
        "start_request": len(await connection.fetch(_SQL.requests, of)),
        "hr_record": len(await connection.fetch(_SQL.records, of, number)),
        "person_key": len(await connection.fetch(_SQL.keys, person)),
    }
    await connection.execute(_SQL.person, person)
    await connection.execute(_SQL.carried_out, person)
    return counts


async def set_hold(
    connection: Connection, event_id: UUID, *, person: UUID | None, run: UUID | None
) -> bool:
    """Put a person or a run under legal hold; False where they are under one already."""
    return await connection.fetchval(_SQL.set_hold, event_id, person, run) is not None


async def release_hold(
    connection: Connection, *, person: UUID | None, run: UUID | None
) -> UUID | None:
    """End a legal hold; answers with the event that set it, None where there is none."""
    found: UUID | None = await connection.fetchval(_SQL.release_hold, person, run)
    return found


async def locked_run(connection: Connection, run: UUID) -> tuple[UUID | None] | None:
    """Lock a run, so that nothing of it is emptied meanwhile; its subject, None if unknown."""
    row = await connection.fetchrow(_SQL.lock_run, run)
    return None if row is None else (row["subject"],)


async def locked_past(connection: Connection, whom: UUID) -> None:
    """Lock what has ended about a person, or of a run, so that nothing is emptied meanwhile."""
    await connection.execute(_SQL.lock_past, whom)
