"""The deployment of a seed: an engine of its own, over what was registered once for all of them.

Reading the processes for their registration takes as long as many a seed; its rows and numbers are
the same for every one. All else is new, so that a seed plays the same story whichever went before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, Final

from newel.base.clock import FakeClock
from newel.engine import ticketing
from newel.engine.engine import Engine
from newel.engine.vault import Vault
from newel.engine.worker import WorkerSettings
from newel.testing.desk import TicketDesk
from newel.testing.memory import MemoryDatabase, PlainCarrier, Server
from newel.testing.simulation import tales

if TYPE_CHECKING:
    from newel.testing.simulation.play import Simulation

__all__ = ["deployed", "engine_of"]

_KEK: Final = b"k" * 32
_BEFORE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SETTINGS: Final = WorkerSettings(
    lease=timedelta(seconds=2),
    heartbeat=timedelta(seconds=0.7),
    grace=timedelta(seconds=1),
    look=timedelta(seconds=1),
)


class _Outside:
    """The system outside, whichever it is."""

    name = "outside"
    title = "Outside"
    owner = "it"
    credential = "outside:1"

    async def probe(self) -> None:
        """Answer as the seed's outside does."""
        await tales.OUTSIDE.get().probe()


def deployed(seed: Simulation) -> MemoryDatabase:
    """The database of a seed, with what registration leaves there."""
    seed.server.put_back(_registered().rows)
    return MemoryDatabase(seed.server, seed.network)


def engine_of(seed: Simulation) -> Engine:
    """A program of the deployment: an engine over the seed's database, as if it were registered."""
    vault = Vault(_KEK, entropy=seed.chance.randbytes, clock=seed.clock)
    engine = _engine(seed.database, vault, [seed.tracker])
    engine.versions.update(_registered().versions)
    engine.tickets.version = engine.versions[ticketing.NAME]
    return engine


@dataclass(frozen=True, slots=True)
class _Registered:
    """What a registration leaves: rows by table, and the number of each process's version."""

    rows: Any  # Any: as the server in memory keeps them
    versions: dict[str, int]


@cache
def _registered() -> _Registered:
    chance = Random(0)  # noqa: S311 - nothing here is secret
    server = Server(clock=lambda: _BEFORE, entropy=chance.randbytes)
    vault = Vault(_KEK, entropy=chance.randbytes, clock=FakeClock(_BEFORE))
    engine = _engine(MemoryDatabase(server, PlainCarrier()), vault, [TicketDesk("tracker")])
    asyncio.run(engine.register())
    return _Registered(server.kept(), dict(engine.versions))


def _engine(database: MemoryDatabase, vault: Vault, channels: Sequence[TicketDesk]) -> Engine:
    return Engine(
        database,
        vault,
        [tales.tale],
        connectors=[_Outside()],
        channels=channels,
        events=[tales.NEWS],
        worker=_SETTINGS,
        reads=False,  # a tale is told by one function that interprets it: there is nothing to draw
    )
