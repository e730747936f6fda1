"""Rooms: where only so many may be active at once, over all workers."""

from __future__ import annotations

from typing import Final

from newel.store.database import Connection, Database
from newel.store.queries import queries

_SQL: Final = queries("rooms")


async def known(connection: Connection) -> dict[str, int | None]:
    """The places of every room; None for as many as are wanted."""
    return {row["name"]: row["at_most"] for row in await connection.fetch(_SQL.known)}


async def declare(connection: Connection, name: str, at_most: int | None) -> None:
    """Set the places of a room."""
    await connection.execute(_SQL.declare, name, at_most)


async def call_queued(database: Database, system: str) -> int:
    """Call the oldest steps that wait for a place at a system; answers with how many."""
    called: int = await database.fetchval(_SQL.call_queued, system)
    return called
