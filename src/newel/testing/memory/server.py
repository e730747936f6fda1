"""The database in memory: tables, a clock that tests own, locks, and the running of statements.

What a statement does is a Python function over a `Transaction`; which function belongs to which
named statement is told by `named`. The server knows nothing of connections that are slow, cut or
frozen: that is the matter of whoever carries statements to it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from newel.store.migrate import migrations
from newel.testing.memory.named import answered
from newel.testing.memory.rules import UNIQUE
from newel.testing.memory.schema import Column, defined
from newel.testing.memory.tables import Key, Row, Table
from newel.testing.memory.transaction import LONGEST_IDLE, Transaction, Waits, failed

__all__ = ["Answer", "Entropy", "Server"]

Answer = list[Row] | int
"""What a statement answers: rows, or how many rows it touched."""

Entropy = Callable[[int], bytes]

_QUIET: Final = frozenset({"worker"})
"""Tables whose changes say nothing about runs: heartbeats."""


class Server:
    """One database in memory.

    clock: the server's own clock, aware; leases go by it. `newel.now()` is that clock and
    `offset`, or `frozen_at`. changes: how many transactions have changed more than heartbeats.
    """

    def __init__(self, *, clock: Callable[[], datetime], entropy: Entropy) -> None:
        """Begin with the rows that the migrations insert."""
        self.clock = clock
        self.entropy = entropy
        self.tables = {name: Table(each, UNIQUE.get(name, {})) for name, each in defined().items()}
        self.locks: dict[tuple[str, Key], dict[Transaction, int]] = {}
        self.changes = 0
        self.listeners: list[Callable[[Transaction], None]] = []
        self._ends: dict[Transaction, asyncio.Future[None]] = {}
        opening = Transaction(self)
        last = migrations()[-1]
        opening.insert(
            "migration", {"number": last.number, "name": last.name, "checksum": last.checksum}
        )
        opening.insert("deployment", {"kind": "test"})
        self.commit(opening)

    def kept(self) -> dict[str, dict[Key, Row]]:
        """All committed rows by table, for `put_back`."""
        return {name: dict(table.rows) for name, table in self.tables.items()}

    def put_back(self, kept: dict[str, dict[Key, Row]]) -> None:
        """Write rows that another server had."""
        for name, rows in kept.items():
            for key, row in rows.items():
                self.tables[name].write(key, row)

    # --- time and chance ----------------------------------------------------------------------

    def server_now(self) -> datetime:
        """`clock_timestamp()`."""
        return self.clock()

    def now(self) -> datetime:
        """`newel.now()`: moved or frozen as `newel.deployment` says."""
        row = self.deployment
        frozen: datetime | None = row["frozen_at"]
        moved: timedelta = row["clock_offset"]
        return frozen or self.clock() + moved

    @property
    def deployment(self) -> Row:
        """The only row of `newel.deployment`."""
        return next(iter(self.tables["deployment"].rows.values()))

    def uuid(self) -> UUID:
        """`gen_random_uuid()`."""
        return UUID(bytes=self.entropy(16), version=4)

    def default(self, column: Column) -> Any:  # Any: a column's value
        """The default of a column."""
        match column.default:
            case "gen_random_uuid":
                return self.uuid()
            case "clock_timestamp":
                return self.server_now()
            case "'{}'":
                return {} if column.type == "jsonb" else []
            case _:
                return column.constant

    # --- statements ---------------------------------------------------------------------------

    def run(self, transaction: Transaction, statement: str, values: tuple[object, ...]) -> Answer:
        """Run a statement in a transaction; raises Waits, or what the server would refuse with.

        What a statement that failed or waits had written is undone.
        """
        before = {table: dict(rows) for table, rows in transaction.writes.items()}
        transaction.touched = self.server_now()
        try:
            return answered(statement, transaction, values)
        except BaseException:
            transaction.writes = before
            raise

    def at_once(self, statement: str, values: tuple[object, ...]) -> Answer:
        """Run a statement as a transaction of its own; raises as `run`."""
        transaction = Transaction(self)
        try:
            found = answered(statement, transaction, values)
        except BaseException:
            self.rollback(transaction)
            raise
        self.commit(transaction)
        return found

    # --- ends ---------------------------------------------------------------------------------

    def commit(self, transaction: Transaction) -> None:
        """Make a transaction's writes visible to all, and let go of its locks."""
        writes = transaction.writes
        if writes:
            self._journalled(transaction)
            for listener in self.listeners:
                listener(transaction)  # before: it sees also what is replaced
            for name, rows in writes.items():
                table = self.tables[name]
                for key, row in rows.items():
                    table.write(key, row)
            if not _QUIET.issuperset(writes):
                self.changes += 1
        self._over(transaction)

    def rollback(self, transaction: Transaction) -> None:
        """Forget a transaction, and let go of its locks."""
        transaction.writes = {}
        self._over(transaction)

    def _journalled(self, transaction: Transaction) -> None:
        """Check what a trigger checks when the transaction ends."""
        for (stream, seq), row in transaction.writes.get("event", {}).items():
            if row is None or (stream, seq) in self.tables["event"].rows:
                raise failed("42501", "newel.event is append-only")

    def _over(self, transaction: Transaction) -> None:
        transaction.is_over = True
        for name in transaction.held:
            holders = self.locks[name]
            del holders[transaction]
            if not holders:
                del self.locks[name]
        transaction.held = {}
        waiting = self._ends.pop(transaction, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def waited(self, transaction: Transaction, met: Waits) -> None:
        """Wait until the holder of a lock has ended; raises a deadlock where nobody could go on."""
        holder = met.holder
        if holder.is_over:
            return
        each: Transaction | None = holder
        while each is not None:
            if each is transaction:
                raise failed("40P01", "deadlock detected")
            each = each.waits_for
        transaction.waits_for = holder
        try:
            ended = self._ends.get(holder)
            if ended is None:
                ended = self._ends[holder] = asyncio.get_running_loop().create_future()
            idle = self.server_now() - holder.touched
            with contextlib.suppress(TimeoutError):  # whoever looks again ends what was idle
                async with asyncio.timeout(max((LONGEST_IDLE - idle).total_seconds(), 0) + 1):
                    await asyncio.shield(ended)
        finally:
            transaction.waits_for = None
