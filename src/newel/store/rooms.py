"""Rooms: where only so many may be active at once, over all workers, or nobody for a while."""

from __future__ import annotations

from typing import Final

from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

_SQL: Final = queries("rooms")


async def known(connection: Connection) -> dict[str, int | None]:
    """The places of every room; None for as many as are wanted."""
    return {row["name"]: row["at_most"] for row in await connection.fetch(_SQL.known)}


async def declare(connection: Connection, name: str, at_most: int | None) -> None:
    """Set the places of a room."""
    await connection.execute(_SQL.declare, name, at_most)


async def pause(connection: Connection, name: str, by: str) -> bool:
    """Leave a room without a place; False if it is paused already."""
    return await connection.fetchval(_SQL.pause, name, by) is not None


async def resume(connection: Connection, name: str) -> bool:
    """Give a paused room its places back; False if it is not paused."""
    return await connection.fetchval(_SQL.resume, name) is not None


async def paused(database: Database | Connection) -> dict[str, Row]:
    """The systems that somebody has paused: who, and since when."""
    return {row["system"]: row for row in await database.fetch(_SQL.paused)}


async def call_queued(database: Database | Connection, system: str) -> int:
    """Call the oldest steps that wait for a place at a system; answers with how many."""
    called: int = await database.fetchval(_SQL.call_queued, system)
    return called
