"""All tables that the engine's invariants are about, read as of one moment."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from newel.store.database import Connection, Row
from newel.store.queries import queries

__all__ = ["Snapshot", "read"]

_SQL: Final = queries("snapshot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Rows by table; events in the order of their streams, batches in that of their writing."""

    runs: list[Row] | list[dict[str, Any]]  # Any: columns, also of a database in memory
    events: list[Row] | list[dict[str, Any]]
    streams: list[Row] | list[dict[str, Any]]
    open_acts: list[Row] | list[dict[str, Any]]
    workers: list[Row] | list[dict[str, Any]]
    batches: list[Row] | list[dict[str, Any]]
    tickets: list[Row] | list[dict[str, Any]]
    overlooked: list[Row] | list[dict[str, Any]]


async def read(connection: Connection) -> Snapshot:
    """Read everything in one transaction that sees one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return Snapshot(
            **{
                each.name: await connection.fetch(getattr(_SQL, each.name))
                for each in fields(Snapshot)
            }
        )
