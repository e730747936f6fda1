"""Connections to PostgreSQL: a pool without session state, and pinned ones for workers.

Everything here works through a transaction-mode pooler: no `SET` but `SET LOCAL`, no
session-level locks, no temporary tables. Behind a pooler, which is noticed when the database is
opened, no statement is prepared under a name and every one runs inside a transaction: a statement
is parsed and bound in two messages, and between two transactions the server may be another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record
Listeners: TypeAlias = dict[str, tuple[str, ...]]
"""Which endpoints are told of an event, by its type; empty where nobody wants to be told."""

_CONNECT_TIMEOUT_S: Final = 10.0
_COMMAND_TIMEOUT_S: Final = 30.0

CUT: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut while it was being used
    asyncpg.OperatorInterventionError,  # shut down, starting up, recovering, cancelled
    TimeoutError,
)
"""What asyncpg raises when a connection cannot be used (any more)."""

LOST: Final = (
    *CUT,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.PostgresSystemError,  # its disk cannot be read or written
    asyncpg.ReadOnlySQLTransactionError,  # it is a standby, or was the primary
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidCachedStatementError,  # a migration came between two uses of a statement
    asyncpg.OutdatedSchemaCacheError,
)
"""What says that the server cannot take this now: the same may well succeed a moment later."""


def is_lost(error: BaseException) -> bool:
    """Whether to try again later; False for a value that asyncpg cannot encode, now or ever."""
    return isinstance(error, LOST) and not isinstance(error, ValueError)


@asynccontextmanager
async def whole(connection: Connection) -> AsyncIterator[None]:
    """One transaction of a connection; what ended its block is told even if no rollback can be."""
    is_good, ended = False, None
    try:
        async with connection.transaction():
            try:
                yield
                is_good = True
            finally:
                ended = None if is_good else sys.exception()
    except LOST:
        if ended is None:
            raise
        raise ended from None


class _PlainConnection(asyncpg.Connection):
    """A connection that needs no cleaning on release, because nothing here leaves state."""

    listeners: Listeners

    def get_reset_query(self) -> str:
        """Say that a released connection needs no statement."""
        return ""


class _PooledConnection(_PlainConnection):
    """A connection to a pooler, whose statements never leave the transaction they are part of."""

    async def _execute(self, *values: Any, **more: Any) -> Any:  # Any: asyncpg's own
        if self.is_in_transaction():
            return await super()._execute(*values, **more)  # type: ignore[misc]  # not in the stubs
        async with self._own_transaction():
            return await super()._execute(*values, **more)  # type: ignore[misc]  # as above

    @asynccontextmanager
    async def _own_transaction(self) -> AsyncIterator[None]:
        has_begun = False
        try:
            async with self.transaction():
                has_begun = True
                yield
        finally:
            if not has_begun:  # nor does anybody know whether the server has begun it
                self.terminate()


class Database:
    """Access to one PostgreSQL database."""

    def __init__(
        self, dsn: str, pool: asyncpg.Pool[Any], *, is_pooled: bool, listeners: Listeners
    ) -> None:
        """Take a pool; listeners: shared by all connections, for the write door to look at."""
        self.dsn = dsn
        self.is_pooled = is_pooled
        self.listeners = listeners
        self._pool = pool

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        is_pooled: bool | None = None,
        size: int = 6,
        listeners: Listeners | None = None,
    ) -> Database:
        """Connect; at most `size` connections, opened when they are needed.

        is_pooled: whether a transaction-mode pooler stands in between; None looks for it.
        listeners: those of another way into the same database, so that whoever is told of what is
        written there is told of this, too.
        """
        if is_pooled is None:
            is_pooled = await _is_behind_a_pooler(dsn)
        listeners = {} if listeners is None else listeners
        pool = await asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=size,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=_COMMAND_TIMEOUT_S,
            init=partial(_prepared, listeners=listeners),
            **_manner(is_pooled=is_pooled),
        )
        return cls(dsn, pool, is_pooled=is_pooled, listeners=listeners)

    async def close(self) -> None:
        """Close all connections; those in use are cut after a moment."""
        try:
            await asyncio.wait_for(self._pool.close(), timeout=2)
        except TimeoutError:
            self._pool.terminate()

    async def dedicated(self, *, timeout_s: float = _COMMAND_TIMEOUT_S) -> Connection:
        """A connection of one's own, outside the pool, for a writer or a heartbeat.

        timeout_s: how long a statement may take; an answer that never comes is noticed by it.
        """
        connection: Connection = await asyncpg.connect(
            self.dsn,
            timeout=min(_CONNECT_TIMEOUT_S, timeout_s),
            command_timeout=timeout_s,
            **_manner(is_pooled=self.is_pooled),
        )
        await _prepared(connection, self.listeners)
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
        async with self._acquired() as connection:
            transaction = connection.transaction()
            with _ended_if_cancelled(connection):
                await transaction.start()
            is_good = is_dead = False
            try:
                yield connection
                is_good = True
            except CUT as error:
                is_dead = is_lost(error)
                raise
            finally:
                if is_good:
                    with _ended_if_cancelled(connection):
                        await transaction.commit()
                elif is_dead:  # the answer to a rollback would not come, either
                    _cut(connection)
                else:
                    try:
                        await transaction.rollback()
                    except LOST:  # what ended the block is told, be it only that it was cancelled
                        _cut(connection)

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection:
            try:
                yield connection
            except CUT as error:
                if is_lost(error):
                    _cut(connection)
                raise

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
        async with self._acquired() as connection:
            return await act(connection)


@contextlib.contextmanager
def _ended_if_cancelled(connection: Connection) -> Iterator[None]:
    """End a connection of which nobody knows any more whether it is in a transaction."""
    try:
        yield
    except asyncio.CancelledError:
        _cut(connection)
        raise


def _cut(connection: Connection) -> None:
    """End a connection, unless somebody has done so already."""
    with contextlib.suppress(asyncpg.InterfaceError):
        connection.terminate()


def _manner(*, is_pooled: bool) -> dict[str, Any]:  # Any: arguments of asyncpg
    return {
        "connection_class": _PooledConnection if is_pooled else _PlainConnection,
        "statement_cache_size": 0 if is_pooled else 256,
    }


async def _is_behind_a_pooler(dsn: str) -> bool:
    """Whether the process that was announced at login is another than the one that answers.

    A pooler that keeps one server connection for the whole session looks direct, and is as good.
    """
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, **_manner(is_pooled=True))
    try:
        answering: int = await connection.fetchval("select pg_backend_pid()")
        announced: int = connection.get_server_pid()
        return answering != announced
    finally:
        await connection.close()


def listeners_of(connection: Connection) -> Listeners:
    """Who is told of what is written through a connection; nobody, if it is no one of ours."""
    found: Listeners = getattr(connection, "listeners", {})
    return found


async def _prepared(connection: Connection, listeners: Listeners) -> None:
    connection.listeners = listeners  # type: ignore[union-attr]  # of `_PlainConnection`
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
