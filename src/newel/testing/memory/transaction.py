"""One transaction: what it has written so far, which only it sees, and the locks it holds.

Read committed: every look sees what is committed now, and the transaction's own writes. A
statement that needs a lock which somebody else holds raises `Waits`; whoever runs statements
undoes it, waits for the other to end, and runs it again from the start, as PostgreSQL looks
again at a row that was locked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from newel.testing.memory.rules import CHECKS
from newel.testing.memory.schema import typed
from newel.testing.memory.tables import Key, Row, Table

if TYPE_CHECKING:
    from newel.testing.memory.server import Server

__all__ = ["CHANGE", "KEY_SHARE", "LONGEST_IDLE", "WHOLE", "Transaction", "Waits", "failed"]

KEY_SHARE: Final = 1
CHANGE: Final = 2
WHOLE: Final = 3
"""Strengths of row locks: FOR KEY SHARE, that of an update, FOR UPDATE."""


LONGEST_IDLE: Final = timedelta(seconds=10)
"""As those ask for it who hold a row over several statements (`runs.locked`, `streams.head`)."""


class Waits(BaseException):
    """A lock is held by another transaction."""

    def __init__(self, holder: Transaction) -> None:
        self.holder = holder


def failed(code: str, message: str, constraint: str | None = None) -> asyncpg.PostgresError:
    """Make the error that the server would send."""
    kind = asyncpg.PostgresError.get_message_class_for_sqlstate(code)  # type: ignore[attr-defined]  # not in the stubs
    error: asyncpg.PostgresError = kind(message)
    vars(error).update(sqlstate=code, constraint_name=constraint)  # as the driver sets them
    return error


class Transaction:
    """Reads and writes of one transaction; `Server` ends it."""

    __slots__ = ("epoch", "held", "is_over", "server", "touched", "waits_for", "worker", "writes")

    def __init__(self, server: Server) -> None:
        """Begin."""
        self.server = server
        self.writes: dict[str, dict[Key, Row | None]] = {}
        self.held: dict[tuple[str, Key], int] = {}
        self.waits_for: Transaction | None = None
        self.is_over = False
        self.touched = server.server_now()
        self.worker: int | None = None
        self.epoch: int | None = None

    # --- time -------------------------------------------------------------------------------

    def now(self) -> datetime:
        """`newel.now()`."""
        return self.server.now()

    def server_now(self) -> datetime:
        """`clock_timestamp()`: what leases go by."""
        return self.server.server_now()

    # --- reading ----------------------------------------------------------------------------

    def get(self, table: str, key: Key) -> Row | None:
        """One row by its primary key."""
        mine = self.writes.get(table)
        if mine is not None and key in mine:
            return mine[key]
        return self.server.tables[table].rows.get(key)

    def rows(self, table: str) -> Iterator[Row]:
        """All rows of a table."""
        mine = self.writes.get(table)
        committed = self.server.tables[table].rows
        if not mine:
            yield from committed.values()
            return
        for key, row in committed.items():
            if key not in mine:
                yield row
        yield from (row for row in mine.values() if row is not None)

    def of(self, table: str, group: Any) -> Iterator[Row]:  # Any: a column's value
        """The rows of one group (`tables.GROUPED`)."""
        mine = self.writes.get(table)
        kept = self.server.tables[table]
        if not mine:
            yield from (row for _, row in kept.of(group))
            return
        for key, row in kept.of(group):
            if key not in mine:
                yield row
        column = kept.group
        assert column is not None, f"{table} is not grouped"
        yield from (row for row in mine.values() if row is not None and row[column] == group)

    # --- locks ------------------------------------------------------------------------------

    def lock(self, table: str, key: Key, strength: int = WHOLE) -> None:
        """Lock a row until the end; raises Waits while somebody else holds it."""
        if (holder := self._taken_by(table, key, strength)) is not None:
            raise Waits(holder)

    def lock_free(self, table: str, key: Key, strength: int = WHOLE) -> bool:
        """Lock a row unless somebody else holds it (SKIP LOCKED)."""
        return self._taken_by(table, key, strength) is None

    def _taken_by(self, table: str, key: Key, strength: int) -> Transaction | None:
        name = (table, key)
        if self.held.get(name, 0) >= strength:
            return None
        self._end_idle(name)
        holders = self.server.locks.get(name)
        if holders is None:
            self.server.locks[name] = {self: strength}
        else:
            for other, held in holders.items():
                if other is not self and (WHOLE in {held, strength} or held == strength == CHANGE):
                    return other
            holders[self] = strength
        self.held[name] = strength
        return None

    def _end_idle(self, name: tuple[str, Key]) -> None:
        """Let the server end transactions in the way that have been idle for too long."""
        latest = self.server.server_now() - LONGEST_IDLE
        for other in list(self.server.locks.get(name, ())):
            if other is not self and other.waits_for is None and other.touched < latest:
                self.server.rollback(other)

    # --- writing ----------------------------------------------------------------------------

    def insert(self, table: str, row: Row) -> Row:
        """Insert a row; absent columns take their defaults. Raises what the schema refuses."""
        full = self.completed(table, row)
        if (clash := self._put(table, full, is_new=True)) is not None:
            raise failed("23505", f"duplicate key value violates {clash}", clash)
        return full

    def insert_new(self, table: str, row: Row) -> Row | None:
        """Insert a row unless something of it is taken (ON CONFLICT DO NOTHING)."""
        full = self.completed(table, row)
        return full if self._put(table, full, is_new=True) is None else None

    def update(self, table: str, key: Key, **columns: Any) -> Row:  # Any: columns' values
        """Change columns of a row that is there."""
        self.lock(table, key, CHANGE)
        old = self.get(table, key)
        assert old is not None, f"{table} {key} was read before it is changed"
        row = {**old, **columns}
        if (clash := self._put(table, row, is_new=False)) is not None:
            raise failed("23505", f"duplicate key value violates {clash}", clash)
        return row

    def delete(self, table: str, key: Key) -> None:
        """Delete a row."""
        self.lock(table, key)
        self.writes.setdefault(table, {})[key] = None

    def completed(self, table: str, row: Row) -> Row:
        """A row with all columns: those that are absent have their defaults."""
        kept = self.server.tables[table]
        unknown = row.keys() - kept.columns.keys()
        if unknown:
            raise failed("42703", f"{table} has no column {', '.join(sorted(unknown))}")
        full = kept.blank.copy()
        for name, value in row.items():
            read = kept.read[name]
            full[name] = value if read is None or value is None else read(value)
        for name, column in kept.drawn.items():
            if name not in row:
                full[name] = (
                    next(kept.numbers) if column.is_identity else self.server.default(column)
                )
        return full

    def recordset(self, table: str, row: Row) -> Row:
        """A row out of jsonb (`jsonb_populate_recordset`): absent columns are null."""
        columns = self.server.tables[table].columns
        return {name: typed(column.type, row.get(name)) for name, column in columns.items()}

    def _put(self, table: str, row: Row, *, is_new: bool) -> str | None:
        """Write a whole row; answers with the name of what is taken already, if it is."""
        kept = self.server.tables[table]
        key = kept.key_of(row)
        self._check(kept, row)
        if is_new:
            self.lock(table, key)
            if self.get(table, key) is not None:
                return f"{table}_pkey"
        old = None if is_new else self.get(table, key)
        for name, unique in kept.unique.items():
            value = unique(row)
            if value is None or (old is not None and unique(old) == value):
                continue
            if self._clashes(kept, name, value, key):
                return name
        self.writes.setdefault(table, {})[key] = row
        return None

    def _clashes(self, kept: Table, name: str, value: Any, key: Key) -> bool:  # Any: as above
        self.lock(name, value)
        unique = kept.unique[name]
        mine = self.writes.get(kept.name, {})
        owner = kept.taken[name].get(value)
        if owner is not None and owner != key and owner not in mine:
            for other in self.server.locks.get((kept.name, owner), ()):
                if owner in other.writes.get(kept.name, {}):
                    raise Waits(other)  # it may be about to give the value up
            return True
        return any(
            other != key and row is not None and unique(row) == value for other, row in mine.items()
        )

    def _check(self, kept: Table, row: Row) -> None:
        for name in kept.required:
            if row[name] is None:
                raise failed("23502", f"null value in column {name} of {kept.name}")
        for name, holds in CHECKS.get(kept.name, {}).items():
            if not holds(row):
                raise failed("23514", f"{kept.name} violates {name}", name)
        for name, target in kept.references.items():
            if row[name] is not None:
                self.lock(target, row[name], KEY_SHARE)
                if self.get(target, row[name]) is None:
                    raise failed("23503", f"{kept.name}.{name} names no {target}")
