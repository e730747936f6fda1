"""The right of a worker to its runs: a lease in the database, extended by a heartbeat.

    register -> beat, beat, … -> leave              epoch e
                  |
                  lease over by the local clock,    drop all runs, then
                  or taken over by another          renew with epoch e + 1

The lease is the server's: `lease_until` goes by its clock, and whoever finds it over may take the
runs. The worker cannot see that clock, so it counts with its own monotonic one from the moment
*before* it asked, and only four fifths of the time: it lets go before anybody else may take, also
when its process was stopped, its host's clock was moved, or no answer comes any more. The beat has
a connection of its own, whose every statement ends within one beat, so that neither a long commit
nor a dead line can hold it up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

from newel.base.version import VERSION
from newel.engine.enduring import Patience
from newel.engine.pace import monotonic
from newel.store import runs, workers
from newel.store.database import LOST, Connection, Database

_SAFETY: Final = 0.8
_LEAVE_S: Final = 5.0


class Body(Protocol):
    """What hears the heart: told of every lease, and of its loss."""

    def lease_taken(self, as_of: datetime) -> None:
        """The lease holds from now on; `as_of` is the database's time."""
        ...

    def lease_lost(self) -> None:
        """Drop everything: another may own the runs."""
        ...

    async def beaten(self, connection: Connection) -> None:
        """The heart has beaten; the connection may be used for what is looked at as often."""
        ...

    async def took_over(self, connection: Connection, held: Mapping[int, int]) -> None:
        """Write down, in the transaction, which workers have lost how many runs."""
        ...

    def unsure(self) -> None:
        """What the database thinks this worker owns may be more than it knows of."""
        ...


class Heart:
    """The lease of one worker; `until` is a moment of the monotonic clock."""

    def __init__(
        self, database: Database, body: Body, *, lease: timedelta, heartbeat: timedelta
    ) -> None:
        """Prepare; `register` takes the first lease, `beat` keeps it."""
        self._database = database
        self._body = body
        self._lease = lease
        self._gap = heartbeat.total_seconds()
        self.worker = 0
        self.epoch = 0
        self.until = 0.0

    def holds(self) -> bool:
        """Whether the lease is beyond doubt."""
        return monotonic() < self.until

    async def register(self, connection: Connection) -> None:
        """Become a worker, with a first lease."""
        began = monotonic()
        self.worker, self.epoch = await workers.register(
            connection,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=VERSION,
            lease=self._lease,
        )
        self._taken(began, (await runs.next_due(connection)).as_of)

    async def beat(self) -> None:
        """Keep the lease until cancelled; let go of the runs before it ends without a beat."""
        connection: Connection | None = None
        patience, pause = Patience("heartbeat"), self._gap
        try:
            while True:
                await asyncio.sleep(pause)
                pause = self._gap / 5
                with contextlib.suppress(*LOST), patience:
                    async with asyncio.timeout(self._longest()):
                        if connection is None or connection.is_closed():
                            connection = await self._database.dedicated(timeout_s=self._gap)
                        await self.beat_once(connection)
                    pause = self._gap
                    continue
                if connection is not None:
                    connection.terminate()
                if not self.holds():
                    self._body.lease_lost()
        finally:
            if connection is not None:
                connection.terminate()

    def _longest(self) -> float:
        """How long a beat may take: not beyond the lease, if there still is one."""
        left = self.until - monotonic()
        return min(left, self._gap) if left > 0 else self._gap

    async def beat_once(self, connection: Connection) -> None:
        """Extend the lease, or take a new one; then take over from whoever has lost theirs."""
        began = monotonic()
        as_of = await workers.beat(
            connection, worker=self.worker, epoch=self.epoch, lease=self._lease
        )
        if as_of is None or not self.holds():
            # Also where nobody has taken over: attempts may have been left out meanwhile.
            self._body.lease_lost()
            began = monotonic()
            self._body.unsure()
            epoch = await workers.renew(connection, worker=self.worker, lease=self._lease)
            if epoch is None:
                return  # the next beat tries again
            self.epoch = epoch
            as_of = (await runs.next_due(connection)).as_of
        self._taken(began, as_of)
        await workers.take_over(connection, say=lambda held: self._body.took_over(connection, held))
        await self._body.beaten(connection)

    async def leave(self, connection: Connection) -> None:
        """Give the lease back; what cannot be given back now lapses with it."""
        if connection.is_closed():
            return
        with contextlib.suppress(*LOST):
            await asyncio.wait_for(
                workers.stop(connection, worker=self.worker, epoch=self.epoch), timeout=_LEAVE_S
            )
            await connection.close(timeout=2)

    def _taken(self, began: float, as_of: datetime) -> None:
        self.until = began + self._lease.total_seconds() * _SAFETY
        self._body.lease_taken(as_of)
