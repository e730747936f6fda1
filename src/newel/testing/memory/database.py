"""`Database` and `Connection` of the store, over a database in memory.

A statement is carried to the server by a `Carrier`; the plain one lets everybody else go on
before the answer comes, as any network does. Simulations carry more slowly, and lose things.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NoReturn, Protocol, TypeVar, cast

import asyncpg

from newel.base.errors import Bug
from newel.store.database import Connection, Database, whole
from newel.testing.memory.server import Answer, Server
from newel.testing.memory.transaction import Transaction, Waits

__all__ = ["Carrier", "MemoryConnection", "MemoryDatabase", "PlainCarrier"]

T = TypeVar("T")


class Carrier(Protocol):
    """How requests get to the server and answers back."""

    def here(self) -> object:
        """Who opens a connection, where somebody wants to know."""
        ...

    async def carry(
        self,
        connection: MemoryConnection,
        what: str,
        values: tuple[Any, ...],
        act: Callable[[], T],
    ) -> T:
        """Let the server act, and bring back its answer; `Waits` is for the caller.

        what: the statement's text, or `begin`, `commit`, `rollback`, `connect`.
        """
        ...


class PlainCarrier:
    """Carries at once; everybody else may go on in between."""

    def here(self) -> object:
        """Nobody wants to know."""
        return None

    async def carry(
        self,
        connection: MemoryConnection,
        what: str,
        values: tuple[Any, ...],
        act: Callable[[], T],
    ) -> T:
        """Let the server act."""
        del connection, what, values
        await asyncio.sleep(0)
        return act()


class MemoryConnection:
    """One connection; at most one transaction at a time, savepoints inside."""

    def __init__(self, server: Server, carrier: Carrier) -> None:
        """Open it."""
        self.server = server
        self.place: object = None
        self._carrier = carrier
        self._transaction: Transaction | None = None
        self._is_closed = False

    # --- statements -------------------------------------------------------------------------

    async def fetch(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Rows of a statement."""
        found = await self._run(statement, values)
        return [Record(row) for row in found] if isinstance(found, list) else []

    async def fetchrow(self, statement: str, *values: object) -> dict[str, Any] | None:
        """The first row, or None."""
        found = await self._run(statement, values)
        return Record(found[0]) if isinstance(found, list) and found else None

    async def fetchval(self, statement: str, *values: object) -> Any:  # Any: any column
        """The first column of the first row, or None."""
        row = await self.fetchrow(statement, *values)
        return None if row is None else next(iter(row.values()))

    async def execute(self, statement: str, *values: object) -> str:
        """Run a statement; answers with its tag, which ends with how many rows it touched."""
        found = await self._run(statement, values)
        return f"OK {found if isinstance(found, int) else len(found)}"

    async def _run(self, statement: str, values: tuple[object, ...]) -> Answer:
        while True:
            self._check()
            transaction = self._transaction
            act = partial(self._acted, transaction, statement, values)
            try:
                return await self._carrier.carry(self, statement, values, act)
            except Waits as signal:
                waiting = transaction or Transaction(self.server)
                await self.server.waited(waiting, signal)

    def _acted(
        self, transaction: Transaction | None, statement: str, values: tuple[object, ...]
    ) -> Answer:
        if transaction is None:
            return self.server.at_once(statement, values)
        if transaction.is_over:
            raise asyncpg.InterfaceError("the transaction is over")
        return self.server.run(transaction, statement, values)

    # --- transactions -----------------------------------------------------------------------

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All or nothing of what the block does; inside another one, of this block alone."""
        self._check()
        if self._transaction is not None:
            async with self._savepoint(self._transaction):
                yield
            return
        await self._carrier.carry(self, "begin", (), self._begin)
        transaction = self._begun()
        try:
            yield
        except BaseException:
            await self._ended(transaction, "rollback", self.server.rollback)
            raise
        await self._ended(transaction, "commit", self.server.commit)

    def _begin(self) -> None:
        self._transaction = Transaction(self.server)

    def _begun(self) -> Transaction:
        assert self._transaction is not None, "it was just begun"
        return self._transaction

    async def _ended(
        self, transaction: Transaction, what: str, end: Callable[[Transaction], None]
    ) -> None:
        def ended() -> None:
            self._transaction = None
            if transaction.is_over:
                raise asyncpg.ConnectionDoesNotExistError("the connection was closed")
            end(transaction)

        if self._is_closed:  # the server has rolled it back already
            if what == "commit":
                self._check()
            return
        await self._carrier.carry(self, what, (), ended)

    @asynccontextmanager
    async def _savepoint(self, transaction: Transaction) -> AsyncIterator[None]:
        before = {table: dict(rows) for table, rows in transaction.writes.items()}
        try:
            yield
        except BaseException:
            transaction.writes = before
            raise

    # --- life -------------------------------------------------------------------------------

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._transaction is not None

    def is_closed(self) -> bool:
        """Whether it can be used no more."""
        return self._is_closed

    async def close(self, *, timeout: float | None = None) -> None:
        """Close it."""
        del timeout
        self.terminate()

    def terminate(self) -> None:
        """Cut it: the server rolls back what was not committed."""
        self._is_closed = True
        if self._transaction is not None and not self._transaction.is_over:
            self.server.rollback(self._transaction)
        self._transaction = None

    def _check(self) -> None:
        if self._is_closed:
            raise asyncpg.InterfaceError("the connection is closed")


class Record(dict[str, Any]):
    """A row as the driver gives it: by name, by place, and its values in order."""

    def __missing__(self, place: object) -> Any:  # Any: a column's value
        """Give the value at a place."""
        if isinstance(place, int):
            return list(self.values())[place]
        raise KeyError(place)

    def __iter__(self) -> Any:  # Any: the driver's rows iterate over values
        return iter(self.values())


class MemoryDatabase(Database):
    """A `Database` whose server is in memory."""

    def __init__(self, server: Server, carrier: Carrier | None = None) -> None:
        """Take the server; carrier: how statements get there."""
        self.dsn = "memory"
        self.is_pooled = False
        self.listeners = {}
        self.server = server
        self._carrier = carrier or PlainCarrier()
        self.connections: list[MemoryConnection] = []

    def move_to(self, server: Server, carrier: Carrier) -> None:
        """Be another database from now on."""
        self.server, self._carrier = server, carrier
        self.connections = []

    async def close(self) -> None:
        """Cut all connections."""
        for connection in self.connections:
            connection.terminate()
        self.connections.clear()

    def _connected(self) -> MemoryConnection:
        connection = MemoryConnection(self.server, self._carrier)
        connection.place = self._carrier.here()
        self.connections = [each for each in self.connections if not each.is_closed()]
        self.connections.append(connection)
        return connection

    async def dedicated(self, *, timeout_s: float = 0.0) -> Connection:
        """A connection of one's own; nothing here is ever late."""
        del timeout_s
        connection = self._connected()
        await self._carrier.carry(connection, "connect", (), lambda: None)
        return cast("Connection", connection)

    async def lent(self) -> NoReturn:
        """Refuse: the company's own SQL needs PostgreSQL."""
        raise Bug(
            "a transactional step ran in memory, where there is no SQL; use the `engine` fixture, "
            "or call its `function` with a connection of your own"
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction on a connection of the pool."""
        connection = self._connected()
        try:
            async with whole(cast("Connection", connection)):
                yield cast("Connection", connection)
        finally:
            connection.terminate()

    async def _run(self, act: Callable[[Connection], Any]) -> Any:  # Any: as in Database
        connection = self._connected()
        try:
            return await act(cast("Connection", connection))
        finally:
            connection.terminate()
