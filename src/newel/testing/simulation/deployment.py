"""The deployment that all seeds of one program share: its engine is made and registered once.

Reading processes, making codecs and registering takes longer than many a seed. What a seed decides
is moved in: server, network, chance, clock and the outside; nothing of the seed before is left.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, Final

from newel.engine.engine import Engine
from newel.engine.vault import Vault
from newel.engine.wording import Case, Issue
from newel.engine.worker import WorkerSettings
from newel.testing.desk import TicketDesk
from newel.testing.memory import MemoryDatabase, PlainCarrier, Server
from newel.testing.simulation import tales

if TYPE_CHECKING:
    from newel.testing.simulation.play import Simulation

__all__ = ["Deployment", "deployment"]

_BEFORE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SETTINGS: Final = WorkerSettings(
    lease=timedelta(seconds=2),
    heartbeat=timedelta(seconds=0.7),
    grace=timedelta(seconds=1),
    look=timedelta(seconds=1),
)


class _Chance:
    """Chance and time of whichever seed is played."""

    def __init__(self) -> None:
        self.random = Random(0)  # noqa: S311 - a seed's chance, no secret
        self.clock: Any = None  # Any: the clock of a stage

    def bytes(self, count: int) -> bytes:
        """So many random bytes."""
        return self.random.randbytes(count)

    def now(self) -> datetime:
        """The seed's time."""
        return _BEFORE if self.clock is None else self.clock.now()

    def monotonic(self) -> float:
        """The seed's seconds."""
        return 0.0 if self.clock is None else self.clock.monotonic()


class _Outside:
    """The system outside, whichever it is."""

    name = "outside"
    title = "Outside"
    owner = "it"
    credential = "outside:1"

    async def probe(self) -> None:
        """Answer as the seed's outside does."""
        await tales.OUTSIDE.get().probe()


class _Tracker(TicketDesk):
    """The tracker of whichever seed is played."""

    inner: TicketDesk

    async def open(self, case: Case) -> Issue:
        """Open a ticket in the seed's tracker."""
        return await self.inner.open(case)

    async def find(self, case: Case) -> Issue | None:
        """Look into the seed's tracker."""
        return await self.inner.find(case)


class Deployment:
    """One engine over one database, whose insides are those of a seed."""

    def __init__(self) -> None:
        """Make the engine and register it."""
        self._chance = _Chance()
        self._tracker = _Tracker("tracker")
        server = Server(clock=self._chance.now, entropy=self._chance.bytes)
        self.database = MemoryDatabase(server, PlainCarrier())
        vault = Vault(b"k" * 32, "test", entropy=self._chance.bytes, clock=self._chance)
        self.engine = Engine(
            self.database,
            vault,
            [tales.tale],
            connectors=[_Outside()],
            channels=[self._tracker],
            events=[tales.NEWS],
            worker=_SETTINGS,
        )
        asyncio.run(self.engine.register())
        self._registered = server.kept()

    def move_into(self, seed: Simulation) -> None:
        """Give everything to a seed."""
        self._chance.random, self._chance.clock = seed.chance, seed.clock
        self._tracker.inner = seed.tracker
        seed.server.put_back(self._registered)
        self.database.move_to(seed.server, seed.network)
        self.engine._ids.begin_anew()  # noqa: SLF001 - what a seed makes must not hang on the one before


@cache
def deployment() -> Deployment:
    """The deployment of this program."""
    return Deployment()
