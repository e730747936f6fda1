"""Group commit: one writer per worker, whose batches are as large as what waits for it.

Changes submitted while a commit is in flight form the next batch; there is no artificial
linger. A batch is one round trip and one transaction. When the server refuses a batch as a
whole, it is bisected until the Change that it cannot take stands alone. When the server cannot
be reached, or cannot take anything now (its disk is full, it has become a standby), the Changes
are kept and tried again until the lease is in doubt.

Server and worker take turns on a batch, so two batches are on their way: what has been
committed is told (and its runs driven on) while the server already writes the next. That needs
something to be left for the next batch, so a batch has an upper size, though a larger one
would cost the server less for each Change.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import asyncpg

from newel.base.errors import LeaseLost
from newel.domain.change import Change
from newel.engine.enduring import Patience
from newel.engine.operating import with_streams
from newel.store.changes import RARE_REFUSED, STREAM_MOVED, Refusal, apply
from newel.store.database import LOST, Connection, Database, is_lost, whole

_MAX_EVENTS: Final = 2000
_MAX_CHANGES: Final = 128
_RECONNECT_S: Final = 0.2
_UNIQUE_VIOLATION: Final = "23505"
_MOST_VIOLATIONS: Final = 3
_PASSING: Final = (STREAM_MOVED, RARE_REFUSED, _UNIQUE_VIOLATION, "40", "53", "55P03", "57")


class _Written(NamedTuple):
    """A batch that was committed but for the runs that were refused, each with its reason."""

    batch: list[Change]
    refused: Mapping[UUID, Refusal | Exception]


class Outlet(Protocol):
    """Who is told what became of Changes; all three are synchronous."""

    def committed(self, changes: list[Change]) -> None:
        """These Changes are durable."""
        ...

    def refused(self, run: UUID, why: Refusal | Exception, *, upto: int) -> None:
        """None of this run's submitted Changes was written; the batch had them up to `upto`."""
        ...

    def lease_lost(self) -> None:
        """Another worker has taken over: nothing more can be written."""
        ...


class Committer:
    """Writes the Changes of one worker, in the order of submission for each run."""

    def __init__(
        self,
        database: Database,
        outlet: Outlet,
        *,
        may_write: Callable[[], bool],
        timeout_s: float = 30.0,
    ) -> None:
        """Prepare; `may_write` says whether the lease still holds by the local clock.

        timeout_s: after so long without an answer the connection is taken for dead.
        """
        self._database = database
        self._timeout_s = timeout_s
        self._outlet = outlet
        self._may_write = may_write
        self._patience = Patience("writer")
        self._waiting: deque[Change] = deque()
        self._wanted = asyncio.Event()
        self._connection: Connection | None = None
        self._in_flight: set[UUID] = set()
        self._untold: list[_Written] = []
        self._batch_done = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._violations: dict[UUID, int] = {}
        self.fence: tuple[int, int] = (0, 0)
        self.commits = 0
        self.new_event_id: Callable[[], str] = str

    def submit(self, change: Change) -> None:
        """Queue a Change; the outlet is told what becomes of it."""
        self._waiting.append(change)
        self._idle.clear()
        self._wanted.set()

    async def drained(self) -> None:
        """Wait until nothing is queued or in flight."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write batches until cancelled."""
        writing: asyncio.Task[list[_Written]] | None = None
        try:
            while True:
                if not self._waiting or any(written.refused for written in self._untold):
                    self._tell()  # what builds on a refused Change is taken back first
                    self._in_flight = set()
                while not self._waiting:  # what was submitted may have been taken back since
                    await self._more()
                batch = self._next_batch()
                if not batch:  # what there was has been taken back meanwhile
                    continue
                self._in_flight.update(change.run for change in batch)
                writing = asyncio.create_task(self._written(batch))
                await asyncio.sleep(0)  # the batch is on its way; meanwhile:
                self._tell()
                self._in_flight = {change.run for change in batch}
                self._untold = await writing
        finally:
            if writing is not None:
                writing.cancel()
            _abandon(self._waiting)
            if self._connection is not None:
                self._connection.terminate()

    async def _more(self) -> None:
        """Wait for a Change, and for everyone who is ready to add theirs."""
        self._idle.set()
        self._wanted.clear()
        await self._wanted.wait()
        await asyncio.sleep(0)

    def _next_batch(self) -> list[Change]:
        batch: list[Change] = []
        events = 0
        while self._waiting and events < _MAX_EVENTS and len(batch) < _MAX_CHANGES:
            if self._waiting[0].is_solo and batch:
                break
            change = self._waiting.popleft()
            batch.append(change)
            events += len(change.events)
            if change.is_solo:
                break
        return batch

    async def _written(self, batch: list[Change]) -> list[_Written]:
        """Write a batch; if nobody knows what became of it, the database is asked."""
        with self._patience:
            return await self._write(batch)
        return [_Written(batch, {change.run: "moved" for change in batch})]

    async def _write(self, batch: list[Change]) -> list[_Written]:
        """Write a batch, in pieces if need be; answers with what is to be told."""
        while True:
            try:
                return [_Written(batch, await self._commit(batch))]
            except LeaseLost:
                self._outlet.lease_lost()
                return []
            except LOST as error:
                if not is_lost(error):  # a value that cannot be encoded
                    return await self._split(batch, error)
                self._drop_connection()
                if not self._may_write():
                    self._outlet.lease_lost()
                    return []
                await asyncio.sleep(_RECONNECT_S)
            except asyncpg.PostgresError as error:
                if error.sqlstate != STREAM_MOVED:
                    return await self._split(batch, error)

    async def _commit(self, batch: list[Change]) -> dict[UUID, Refusal]:
        if batch[0].ride is not None:
            return await self._ridden(batch[0])
        if self._connection is None:
            self._connection = await self._database.dedicated(timeout_s=self._timeout_s)
        worker, epoch = self.fence
        if not batch[0].is_solo:
            self.commits += 1
            return await apply(self._connection, batch, worker=worker, epoch=epoch)
        async with whole(self._connection):
            return await self._alone(self._connection, batch[0])

    async def _alone(self, connection: Connection, change: Change) -> dict[UUID, Refusal]:
        worker, epoch = self.fence
        await with_streams(connection, change, self.new_event_id)
        self.commits += 1
        return await apply(connection, change.whole, worker=worker, epoch=epoch)

    async def _ridden(self, change: Change) -> dict[UUID, Refusal]:
        """Write a Change in the transaction of its step; what passes is tried again as a whole."""
        moved: dict[UUID, Refusal] = {change.run: "moved"}
        try:
            refused: dict[UUID, Refusal] = await change.ride.write(
                lambda connection: self._alone(connection, change)
            )
        except LOST as error:
            if isinstance(error, ValueError):
                raise
            return moved
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "").startswith(_PASSING):
                return moved
            raise
        return refused

    async def _split(self, batch: list[Change], error: Exception) -> list[_Written]:
        """Find out which Change the server cannot take; the others must not suffer for it."""
        runs = list(dict.fromkeys(change.run for change in batch))
        if len(runs) == 1:
            return [_Written(batch, {runs[0]: self._why(runs[0], error)})]
        half = set(runs[: len(runs) // 2])
        return [
            *await self._write([change for change in batch if change.run in half]),
            *await self._write([change for change in batch if change.run not in half]),
        ]

    def _why(self, run: UUID, error: Exception) -> Refusal | Exception:
        """Why one run was refused: somebody else may just have been first; else its own fault.

        A unique violation says so only at first: one that comes again and again is the Change's
        own fault, and its run parks.
        """
        state = getattr(error, "sqlstate", None)
        if state == RARE_REFUSED:
            return "others"
        if state != _UNIQUE_VIOLATION:
            return error
        self._violations[run] = self._violations.get(run, 0) + 1
        if self._violations[run] < _MOST_VIOLATIONS:
            return "moved"
        del self._violations[run]
        return error

    def _tell(self) -> None:
        untold, self._untold = self._untold, []
        for written in untold:
            with self._patience:
                self._tell_of(written)
                continue
            for run in {change.run for change in written.batch}:
                self._outlet.refused(run, "moved", upto=_last(written, run))
        self._batch_done.set()
        self._batch_done = asyncio.Event()

    def _tell_of(self, written: _Written) -> None:
        refused, changes = written.refused, written.batch
        if refused:
            changes = [change for change in changes if change.run not in refused]
        if self._violations:
            for change in changes:
                self._violations.pop(change.run, None)
        self._outlet.committed(changes)
        for run, why in refused.items():
            self._outlet.refused(run, why, upto=_last(written, run))

    async def settled(self, run: UUID) -> None:
        """Wait until nothing of this run is queued or in flight."""
        while run in self._in_flight or any(change.run == run for change in self._waiting):
            await self._batch_done.wait()

    def forget(self, run: UUID) -> list[Change]:
        """Take a run's queued Changes back: they build on one that was refused."""
        mine = [change for change in self._waiting if change.run == run]
        self._waiting = deque(change for change in self._waiting if change.run != run)
        _abandon(mine)
        return mine

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _abandon(changes: Iterable[Change]) -> None:
    for change in changes:
        if change.ride is not None:
            change.ride.abandon()


def _last(written: _Written, run: UUID) -> int:
    """Where the stream of a run would stand had its part of a batch been written."""
    return max(change.to_seq for change in written.batch if change.run == run)
