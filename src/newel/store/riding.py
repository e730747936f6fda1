"""A ride: the transaction of a step's own SQL, in which the step's outcome is written as well.

The step sees a `Guest`, which can ask and change and nothing else. When its code has ended, the
ride waits for the outcome, writes it and commits; or it is abandoned, and nothing ever happened.
No statement is prepared by name and no state of the session is touched, so it works through a
transaction-mode pooler.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from newel.base.errors import Bug, Transient
from newel.store.database import LOST, Connection, Database
from newel.store.queries import queries

__all__ = ["Guest", "Ride"]

T = TypeVar("T")

_SQL: Final = queries("riding")
_LEADING: Final = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?P<word>[A-Za-z]+)", re.DOTALL)
_NOT_THEIRS: Final = frozenset(
    {"abort", "begin", "commit", "deallocate", "discard", "end", "listen", "lock", "prepare"}
    | {"release", "reset", "rollback", "savepoint", "set", "start", "unlisten"}
)
_PASSES: Final = ("08", "40", "53", "55P03", "57")
"""States of SQL that pass by themselves: connection, conflict, resources, lock, intervention."""


class Guest:
    """The connection as a transactional step sees it (`newel.Connection`)."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection

    async def execute(self, statement: str, /, *values: object) -> None:
        """Run one statement."""
        await self._for(statement).fetch(statement, *values)

    async def executemany(self, statement: str, rows: Iterable[Sequence[object]], /) -> None:
        """Run one statement once for each row of values."""
        await self._for(statement).executemany(statement, rows)

    async def fetch(self, statement: str, /, *values: object) -> list[Mapping[str, Any]]:
        """All rows of one statement."""
        return [dict(row) for row in await self._for(statement).fetch(statement, *values)]

    async def fetchrow(self, statement: str, /, *values: object) -> Mapping[str, Any] | None:
        """The first row of one statement, or None."""
        row = await self._for(statement).fetchrow(statement, *values)
        return None if row is None else dict(row)

    async def fetchval(self, statement: str, /, *values: object) -> Any:  # Any: any column
        """The first column of the first row, or None."""
        return await self._for(statement).fetchval(statement, *values)

    def leave(self) -> None:
        """Let go of the connection: the step's code has ended."""
        self._connection = None

    def _for(self, statement: str) -> Connection:
        if self._connection is None:
            raise Bug("the connection of a transactional step was used after the step had ended")
        first = _LEADING.match(statement)
        word = "" if first is None else first["word"].lower()
        if word in _NOT_THEIRS:
            raise Bug(
                f"a transactional step ran `{word.upper()}`: its transaction is newel's, and ends "
                "with the outcome. Leave it out; an exception takes back what the step has done"
            )
        return self._connection


class Ride:
    """One open transaction; it ends by `write` or by `abandon`."""

    def __init__(
        self,
        database: Database,
        connection: PoolConnectionProxy[asyncpg.Record],
        ended: Callable[[], None],
    ) -> None:
        self._database = database
        self._connection = connection
        self._transaction = connection.transaction()
        self._part = connection.transaction()
        self._ended = ended
        self._writes = 0
        self.is_over = False

    @classmethod
    async def begin(
        cls,
        database: Database,
        *,
        role: str | None,
        timeout: timedelta,
        ended: Callable[[], None],
    ) -> Ride:
        """Begin; `ended` is called once it is over. Raises Transient without a connection."""
        try:
            connection = await database.lent()
        except BaseException as error:
            ended()
            if not isinstance(error, LOST):
                raise
            raise Transient(f"the database cannot be reached ({type(error).__name__})") from error
        ride = cls(database, connection, ended)
        milliseconds = str(int(timeout.total_seconds() * 1000))
        await ride._told(ride._begin(milliseconds, role or "none"))
        return ride

    async def _begin(self, milliseconds: str, role: str) -> None:
        await self._transaction.start()
        row = await self._connection.fetchrow(_SQL.begin, milliseconds, role)
        assert row is not None, "a select without a table gives a row"
        self._writes = row["writes"]
        await self._part.start()

    async def carry(
        self, code: Callable[[Guest], Awaitable[T]], answers: tuple[type[Exception], ...]
    ) -> T:
        """Run a step's code; an exception in `answers` takes back its rows and is passed on.

        Raises Transient for what passes by itself and Bug for what the code did wrong; then, and
        when it is cancelled, the ride is over.
        """
        guest = Guest(self._connection)
        try:
            value = await self._told(code(guest), answers)
        except answers:
            await self._told(self._part.rollback())
            await self._told(self._settle())
            raise
        finally:
            guest.leave()
        await self._told(self._kept())
        return value

    async def _kept(self) -> None:
        await self._connection.execute(_SQL.check)
        await self._part.commit()
        await self._settle()

    async def _settle(self) -> None:
        row = await self._connection.fetchrow(_SQL.settle)
        assert row is not None, "a select without a table gives a row"
        if row["writes"] != self._writes:
            raise Bug(
                "the SQL of a transactional step changed tables of the schema `newel`, which are "
                "newel's own"
            )

    async def _told(self, work: Awaitable[T], passed: tuple[type[Exception], ...] = ()) -> T:
        """Wait for work; whatever fails but `passed` ends the ride, in newel's own words."""
        try:
            return await work
        except passed:
            raise
        except BaseException as error:
            is_lost = isinstance(error, LOST) and self._connection.is_closed()
            self.abandon()
            if is_lost:
                raise Transient(f"the database was lost ({type(error).__name__})") from error
            if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
                raise _in_words(error) from error
            raise

    async def write(self, put: Callable[[Connection], Awaitable[dict[Any, Any]]]) -> dict[Any, Any]:
        """Write what `put` writes and commit; what it refuses undoes everything.

        Any exception ends the ride too; whether it was committed is then in the journal alone.
        """
        try:
            refused = await put(self._connection)
            if refused:
                self.abandon()
                return refused
            await self._transaction.commit()
        except BaseException:
            self.abandon()
            raise
        self.is_over = True
        await self._database.given_back(self._connection)
        self._ended()
        return {}

    def abandon(self) -> None:
        """Undo everything, at once and without waiting: the server rolls back what was cut off."""
        if not self.is_over:
            self.is_over = True
            self._connection.terminate()
            self._ended()


def _in_words(error: asyncpg.PostgresError | asyncpg.InterfaceError) -> Exception:
    state = getattr(error, "sqlstate", None) or ""
    if state.startswith(_PASSES):
        return Transient(f"the database refused for now ({type(error).__name__})", code=state)
    if state == "25P02":
        return Bug("the step went on after its SQL had failed: what failed has to leave the step")
    said = f"the SQL of the step was refused ({type(error).__name__})"
    return Bug(said, code=state or None)
