"""Two transactions that meet: what one of them does between the other's look and its locks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from newel.store import runs
from newel.store.database import Connection, Database, Row

Meanwhile = Callable[[], Awaitable[object]]


class Late:
    """A connection whose first look for runs began before something, and locks after it."""

    def __init__(self, connection: Connection, meanwhile: Meanwhile) -> None:
        self._connection, self._meanwhile = connection, meanwhile
        self._is_over = False

    async def fetch(self, query: str, *values: Any) -> list[Row]:
        """Look, let go, let it happen, and lock what was found: as one statement that was slow."""
        if self._is_over or "for update of r" not in query:
            return await self._connection.fetch(query, *values)
        self._is_over = True
        await self._connection.execute("savepoint looked")
        found = await self._connection.fetch(query, *values)
        await self._connection.execute("rollback to looked")
        await self._meanwhile()
        for row in found:
            await self._connection.fetch(
                "select from newel.run where id = $1 for update", row["id"]
            )
        return found


def late(monkeypatch: pytest.MonkeyPatch, search: str, meanwhile: Meanwhile) -> None:
    """Let a search for runs find once what was so before something happened."""
    real = getattr(runs, search)

    async def looked(connection: Connection, *arguments: Any) -> Any:  # Any: as the real one
        monkeypatch.setattr(runs, search, real)
        return await real(Late(connection, meanwhile), *arguments)

    monkeypatch.setattr(runs, search, looked)


async def waits(database: Database, task: asyncio.Task[Any]) -> bool:
    """Whether a task comes to wait for a row that another transaction has locked."""
    waiting = (
        "select exists (select from pg_stat_activity "
        "where datname = current_database() and wait_event in ('transactionid', 'tuple'))"
    )
    while not task.done():
        if await database.fetchval(waiting):
            return True
    return False
