"""Runs under way on a fleet, and what must be true of them when all have come to rest."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from newel.audit.leaf import Actor
from newel.engine.engine import Engine
from newel.engine.vault import Vault
from newel.store.database import LOST, Database
from newel.store.migrate import migrate
from newel.store.snapshot import read
from newel.testing.invariants import at_rest
from tests.faults.book import Book
from tests.faults.fleet import Fleet, fleet
from tests.faults.processes import EFFECTS, clocked, journey, remembering, sleeping
from tests.patience import LONG_S

CALLER = Actor(type="service", id="svc_test", via="api")


class Voyage:
    """A fleet with its book, on a server whose address may change."""

    def __init__(self, ships: Fleet, book: Book, dsn: str) -> None:
        self.ships, self.book, self.dsn = ships, book, dsn
        self.names: list[str] = []

    async def begin(self, process: str, how_many: int) -> None:
        """Start runs of a process."""
        database = await Database.open(self.dsn)
        known = (journey, clocked, sleeping, remembering)
        engine = Engine(database, Vault(b"k" * 32), list[Any](known))
        await engine.register()
        for _ in range(how_many):
            self.names.append(f"n{len(self.names)}")
            await engine.start(process, self.names[-1], actor=CALLER)
        await database.close()

    async def until(self, seen: Callable[[], object]) -> None:
        """Wait until something is seen."""
        async with asyncio.timeout(LONG_S):
            while not seen():
                await asyncio.sleep(0.02)

    async def effects(self, how_many: int) -> None:
        """Wait until so many effects were made."""
        await self.until(lambda: self.book.effects.total() >= how_many)

    async def finished(self) -> int:
        """How many runs have completed."""
        connection = await asyncpg.connect(self.dsn, timeout=10)
        try:
            query = "select count(*) from newel.run where state = 'completed'"
            return int(await connection.fetchval(query))
        finally:
            await connection.close()

    async def rest(self) -> None:
        """Wait until every run has completed; a worker that ended must have said why."""
        async with asyncio.timeout(LONG_S):
            while True:
                with contextlib.suppress(*LOST):
                    if await self.finished() == len(self.names):
                        return
                for name in list(self.ships.pids):
                    if not self.ships.is_alive(name):
                        said = self.ships.log(name).strip().splitlines()[-1:]
                        assert said[0].startswith("newel: "), said
                        await self.ships.worker(name)
                await asyncio.sleep(0.1)

    async def judge(self, effects: Sequence[str] = EFFECTS["journey"]) -> None:
        """Fail unless every effect was made once and the rows are sound."""
        connection = await asyncpg.connect(self.dsn)
        try:
            assert at_rest(await read(connection)) == []
        finally:
            await connection.close()
        made = {name.partition("@")[0]: n for name, n in self.book.effects.items()}
        assert made == {f"{name}.{part}": 1 for name in self.names for part in effects}
        assert self.book.doubled() == {}


@contextlib.asynccontextmanager
async def voyage(place: Path, dsn: str, *, through: str | None = None) -> AsyncIterator[Voyage]:
    """Give a fleet over an empty server; the workers are yet to be started.

    through: where the fleet's lines lead, if not to the server itself.
    """
    await migrate(dsn)
    async with Book(1) as book, fleet(place, through or dsn, book) as ships:
        try:
            yield Voyage(ships, book, dsn)
        finally:
            for name in ships.pids:
                ships.signal(name, signal.SIGCONT)
