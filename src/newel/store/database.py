"""Connections to PostgreSQL: a pool without session state, and pinned ones for workers.

Everything here works through a transaction-mode pooler: no `SET` but `SET LOCAL`, no
session-level locks, no temporary tables. Where a pooler is declared, statements are not
prepared on the server and every one runs inside an explicit transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record

_CONNECT_TIMEOUT_S: Final = 10.0
_COMMAND_TIMEOUT_S: Final = 30.0

LOST: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut while it was being used
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    TimeoutError,
)
"""What asyncpg raises when the server cannot be reached (any more)."""


class _PlainConnection(asyncpg.Connection):
    """A connection that needs no cleaning on release, because nothing here leaves state."""

    def get_reset_query(self) -> str:
        """Say that a released connection needs no statement."""
        return ""


class Database:
    """Access to one PostgreSQL database."""

    def __init__(self, dsn: str, pool: asyncpg.Pool[Any], *, is_pooled: bool) -> None:
        self.dsn = dsn
        self.is_pooled = is_pooled
        self._pool = pool

    @classmethod
    async def open(cls, dsn: str, *, is_pooled: bool = False, size: int = 6) -> Database:
        """Connect; at most `size` connections, opened when they are needed."""
        pool = await asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=size,
            connection_class=_PlainConnection,
            statement_cache_size=0 if is_pooled else 256,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=_COMMAND_TIMEOUT_S,
            init=_prepared,
        )
        return cls(dsn, pool, is_pooled=is_pooled)

    async def close(self) -> None:
        """Close all connections; those in use are cut after a moment."""
        try:
            await asyncio.wait_for(self._pool.close(), timeout=2)
        except TimeoutError:
            self._pool.terminate()

    async def dedicated(self) -> Connection:
        """A connection of one's own, outside the pool, for a writer or a heartbeat."""
        connection = await asyncpg.connect(
            self.dsn,
            connection_class=_PlainConnection,
            statement_cache_size=0 if self.is_pooled else 256,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=_COMMAND_TIMEOUT_S,
        )
        await _prepared(connection)
        return connection

    async def lent(self) -> PoolConnectionProxy[asyncpg.Record]:
        """A connection of the pool, until it is given back or terminated."""
        connection: PoolConnectionProxy[asyncpg.Record] = await self._pool.acquire()
        return connection

    async def given_back(self, connection: PoolConnectionProxy[asyncpg.Record]) -> None:
        """Give a connection back that was lent."""
        await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction, read committed; commits when the block ends well."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection

    async def fetch(self, statement: str, *values: object) -> list[Row]:
        """Rows of one statement, in a transaction of its own."""
        rows: list[Row] = await self._run(lambda each: each.fetch(statement, *values))
        return rows

    async def fetchrow(self, statement: str, *values: object) -> Row | None:
        """The first row of one statement, or None."""
        row: Row | None = await self._run(lambda each: each.fetchrow(statement, *values))
        return row

    async def fetchval(self, statement: str, *values: object) -> Any:  # Any: any column
        """The first column of the first row, or None."""
        return await self._run(lambda connection: connection.fetchval(statement, *values))

    async def execute(self, statement: str, *values: object) -> None:
        """One statement whose rows nobody wants."""
        await self._run(lambda connection: connection.execute(statement, *values))

    async def _run(self, act: Callable[[Connection], Awaitable[Any]]) -> Any:  # Any: as above
        async with self._pool.acquire() as connection:
            if not self.is_pooled:
                return await act(connection)
            async with connection.transaction():
                return await act(connection)


async def _prepared(connection: Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, encoder=_dumped, decoder=orjson.loads, schema="pg_catalog"
        )


def _dumped(value: object) -> str:
    return orjson.dumps(value, default=_portable).decode()


def _portable(value: object) -> object:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, UUID):  # asyncpg's own subclass
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot stand in a rare row")
