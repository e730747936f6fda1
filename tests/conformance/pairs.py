"""The same statements on PostgreSQL and in memory, with every answer compared.

A `Pair` holds both. Their clocks are frozen at the same moment, so that rows can be compared as a
whole; what goes by the server's own clock, and ids that the database draws, are left out.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from newel.store.database import Connection, Database
from newel.testing.memory import MemoryDatabase, Server
from newel.testing.memory.schema import defined

NOON: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
OWN_TIME: Final = {
    "lease_until", "stopped_at", "recorded_at", "received_at", "created_at", "registered_at",
    "updated_at", "applied_at", "frozen_at", "clock_offset",
}  # fmt: skip
"""Columns that go by the server's own clock, or say how the test has set it."""
DRAWN: Final = {("inbox", "id"), ("deployment", "id"), ("worker", "started_at")}
NOT_COMPARED: Final = {"migration", "deployment", "api_key", "schedule"}


class Pair:
    """PostgreSQL and memory, side by side."""

    def __init__(self, real: Database, memory: MemoryDatabase) -> None:
        self.real = real
        self.memory = memory
        self.log: list[str] = []

    @classmethod
    async def open(cls, url: str) -> Pair:
        """Open both on an empty database, at noon."""
        real = await Database.open(url)
        await real.execute("update newel.deployment set kind = 'test', frozen_at = $1", NOON)
        server = Server(clock=lambda: datetime.now(UTC), entropy=os.urandom)
        memory = MemoryDatabase(server)
        row = server.deployment
        server.tables["deployment"].write(row["only_row"], {**row, "frozen_at": NOON})
        return cls(real, memory)

    async def both(
        self, what: str, act: Any, *, is_ordered: bool = True, drawn: str | None = None
    ) -> Any:
        """Let an act happen on both; answers with what both answered, or the code of the error.

        act: takes a database. drawn: a column that the database draws by chance. Raises
        AssertionError where they differ.
        """
        real = await _told(act, self.real)
        memory = await _told(act, self.memory)
        self.log.append(f"{what} -> {_shown(real)}"[:300])
        if not is_ordered:
            real, memory = sorted(real, key=str), sorted(memory, key=str)
        if drawn is not None:
            for row in (*real, *memory):
                row[drawn] = ""
        assert memory == real, "\n".join([*self.log[-12:], f"real   {real}", f"memory {memory}"])
        return real

    async def compared(self) -> None:
        """Compare the rows of all tables."""
        for table, columns in defined().items():
            if table in NOT_COMPARED:
                continue
            rows = await self.real.fetch(f"select * from newel.{table}")
            names = [name for name in columns.columns if not _is_left_out(table, name)]
            real = sorted(str([_plain(row[name]) for name in names]) for row in rows)
            kept = self.memory.server.tables[table].rows.values()
            memory = sorted(str([_plain(row[name]) for name in names]) for row in kept)
            assert memory == real, f"{table}: {self.log[-5:]}"


def _is_left_out(table: str, column: str) -> bool:
    return column in OWN_TIME or (table, column) in DRAWN


async def _told(act: Any, database: Database) -> Any:
    try:
        found = await act(database)
    except asyncpg.PostgresError as error:
        return f"error {error.sqlstate}"
    if isinstance(found, list):
        return [_plain(each) for each in found]
    return _plain(found)


def _plain(value: Any) -> Any:
    if isinstance(value, asyncpg.Record | dict):
        return {name: _plain(each) for name, each in value.items() if name not in OWN_TIME}
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, datetime) and value.year == 1:
        return "-infinity"
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=UTC)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _shown(value: Any) -> str:
    return str(value)[:160]


async def in_transaction(database: Database, act: Any) -> Any:
    """Let an act happen in one transaction; it takes the connection."""
    async with database.transaction() as connection:
        return await act(connection)


HOUR: Final = timedelta(hours=1)
Act = Connection
