"""Every table as lines of JSON, read at one moment and never held as a whole.

A cursor lives in one transaction, so this works through a pooler in transaction mode; and nothing
of it is prepared under a name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from newel.store.database import Connection, Database
from newel.store.queries import queries

__all__ = ["LEFT_OUT", "TABLES", "Snapshot", "snapshot"]

_SQL: Final = queries("export")
_BLOCK: Final = "table_"
_LARGE: Final = frozenset({"task_file"})

TABLES: Final = tuple(
    sorted(name.removeprefix(_BLOCK) for name, _ in _SQL if name.startswith(_BLOCK))
)
"""The tables that are exported."""

LEFT_OUT: Final = {
    "event_default": "a part of `event`",
    "kept_token": "tokens of systems, and what renews them",
    "person_key": "whoever has it can read what erasing a person made unreadable",
    "received_secret": "first passwords on their way to a person, for nobody else to have",
    "removal": "a count of the last hour, worth nothing to another deployment",
    "system_calls": "how systems answered in the last two days; it proves nothing",
}
"""The tables that are not, each with the reason."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A deployment at one moment: which it is, and the migrations it has been through."""

    connection: Connection
    as_of: datetime
    deployment: UUID
    kind: str
    migrations: tuple[str, ...]

    async def lines(self, table: str) -> AsyncIterator[str]:
        """The rows of a table as JSON, in a fixed order; one table at a time."""
        await self.connection.execute(getattr(_SQL, f"{_BLOCK}{table}"))
        more = _SQL.one_more if table in _LARGE else _SQL.more
        while rows := await self.connection.fetch(more):
            for row in rows:
                yield row["line"]
        await self.connection.execute(_SQL.close)

    async def wrapped(self, person: UUID, n: int) -> bytes | None:
        """The n-th key of a person, wrapped; None once it was destroyed."""
        found: bytes | None = await self.connection.fetchval(_SQL.wrapped, person, n)
        return found


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[Snapshot]:
    """Look at a deployment at one moment, for as long as the block lasts."""
    async with database.transaction() as connection:
        await connection.execute(_SQL.snapshot)
        as_of = (await connection.fetchrow(_SQL.manner))["as_of"]  # type: ignore[index]  # one row
        row = await connection.fetchrow(_SQL.identity)
        assert row is not None, "the migrations insert the only row"
        yield Snapshot(connection, as_of, row["id"], row["kind"], tuple(row["migrations"]))
