"""Confirmations: acts of no run that one person has ordered, and another one has to confirm."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from newel.store.database import Connection, Row
from newel.store.queries import queries

__all__ = ["carried_out", "ordered", "pending"]

_SQL: Final = queries("confirmations")


async def ordered(
    connection: Connection,
    act: str,
    about: str,
    *,
    by: dict[str, Any],  # Any: JSON
    orderer: UUID,
    event_id: UUID,
    lasts: timedelta,
) -> datetime | None:
    """Keep an order; answers with until when, None if there is one already."""
    await connection.execute(_SQL.lapse, act, about)
    expires_at: datetime | None = await connection.fetchval(
        _SQL.order, event_id, act, about, by, orderer, lasts
    )
    return expires_at


async def pending(connection: Connection, act: str, about: str) -> Row | None:
    """What was ordered and waits for somebody else: event_id, ordered_by, orderer; locked."""
    return await connection.fetchrow(_SQL.pending, act, about)


async def carried_out(connection: Connection, event_id: UUID) -> None:
    """End an order that is carried out in this transaction."""
    await connection.execute(_SQL.carry_out, event_id)
