"""The whole engine on a real PostgreSQL, led by a test through the same verbs as one in memory.

    async def test_two_workers_share_the_work(engine: House) -> None:
        async with engine.running(onboarding.request(jane), at="2026-01-02", workers=3) as run:
            await run.decide("manager-confirms", approved=True)

The deployment lives in a thread and on a loop of its own, so that a verb and the clock can wait
for it without help from the test's loop. `newel.now()` is the test's: it goes on by itself as
slowly as real time does, and leaps where the test says so.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any, Final, TypeVar

from newel.audit.leaf import Actor
from newel.base.clock import DEPLOYMENT
from newel.engine.engine import Engine
from newel.engine.incidents import Probed
from newel.engine.ticketing import Channel
from newel.engine.vault import Vault
from newel.engine.worker import Worker, WorkerSettings
from newel.flow.process import Process, Request
from newel.store import deployment, tables
from newel.store.database import Database
from newel.testing.databases import NewDatabase
from newel.testing.desk import TicketDesk
from newel.testing.memory.tables import Row
from newel.testing.running import OPERATOR, Run, began, definitions, led, systems, wire
from newel.testing.scene import CONSOLE, NeverRests, Scene

__all__ = ["House", "HouseScene"]

R = TypeVar("R")
T = TypeVar("T")

_PATIENCE_S: Final = 60.0
_SETTINGS: Final = WorkerSettings(look=timedelta(milliseconds=20))
_LOOKED: Final = 3
"""After so many notices a worker has looked at incidents once more, and found nothing to do."""


class House:
    """Opens deployments, each on a database of its own; the fixture `engine` is one."""

    def __init__(self, new_database: NewDatabase) -> None:
        """Take a maker of databases."""
        self._new_database = new_database

    @asynccontextmanager
    async def running(
        self,
        request: Request[R],
        *,
        at: datetime | str | None = None,
        code: Process[..., Any] | Sequence[Process[..., Any]] = (),  # Any: each has its own result
        processes: Sequence[Process[..., Any]] = (),
        connectors: Sequence[Probed] = (),
        workers: int = 2,
        settings: WorkerSettings | None = None,
        actor: Actor = OPERATOR,
    ) -> AsyncIterator[Run[R]]:
        """Start a run on PostgreSQL and let it go as far as it can; as `newel.testing.running`."""
        given, tickets = definitions(request, code, processes), TicketDesk()
        async with self._new_database() as url:
            with _loop() as loop, _own_clock():
                scene = HouseScene(loop, url, settings or _SETTINGS)
                try:
                    scene.open(given, systems(given, connectors), tickets, began(at), workers)
                    wire(scene)
                    with led(scene, request, actor, tickets) as run:
                        yield run
                finally:
                    scene.close()


class HouseScene(Scene):
    """One deployment on PostgreSQL; what is asked of it is done by its own loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, url: str, settings: WorkerSettings) -> None:
        self.vault = Vault(os.urandom(32))
        self.workers: list[tuple[Worker, asyncio.Task[None]]] = []
        self._loop, self._url, self._settings = loop, url, settings
        self._offset = timedelta(0)
        self._stack = AsyncExitStack()
        self._make: Callable[[Sequence[Process[..., Any]]], Engine]  # Any: each has its own result

    def open(
        self,
        processes: Sequence[Process[..., Any]],  # Any: as above
        connectors: Sequence[Probed],
        desk: Channel,
        begins: datetime,
        workers: int,
    ) -> None:
        """Open the database, register, move the clock and let the workers begin."""
        database = self.run(Database.open(self._url))
        self._stack.push_async_callback(database.close)

        def made(given: Sequence[Process[..., Any]]) -> Engine:  # Any: as above
            return Engine(
                database,
                self.vault,
                given,
                connectors=connectors,
                channels=[desk],
                worker=self._settings,
                console_url=CONSOLE,
            )

        self._make, self.engine = made, made(processes)
        self.run(deployment.mark_test(database))
        self._shift(begins - datetime.now(UTC))
        self.run(self.engine.register())
        for _ in range(workers):
            self.run(self._hired())

    def close(self) -> None:
        """End all workers, and close the database."""
        self.run(self._dismissed())
        self.run(self._stack.aclose())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out a request as somebody outside; answers with its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)

    def settle(self) -> None:
        """Wait until the deployment rests, and every worker has looked once more."""
        self.run(self._settled())

    def deploy(self, processes: Sequence[Process[..., Any]]) -> None:  # Any: as above
        """Replace the code: the workers leave, and as many with these processes begin."""
        many = len(self.workers)
        self.run(self._dismissed())
        self.engine = self._make(processes)
        self.run(self.engine.register())
        for _ in range(many):
            self.run(self._hired())

    def now(self) -> datetime:
        """`newel.now()`, by the clock of this machine, which the server has, too."""
        return datetime.now(UTC) + self._offset

    def rows(self, table: str) -> list[Row]:
        """The committed rows of a table."""
        return self.run(self._all(table))

    def of(self, table: str, group: object) -> list[Row]:
        """The rows of a table that belong to a run, or to a person."""
        return self.run(tables.group_of(self.engine.database, table, group))

    # --- inside -----------------------------------------------------------------------------

    def _set(self, moment: datetime) -> None:
        self._shift(max(moment - self.now(), timedelta(0)))

    def _shift(self, by: timedelta) -> None:
        self._offset += by
        DEPLOYMENT.offset = self._offset
        self.run(deployment.move_clock(self.engine.database, by))

    async def _all(self, table: str) -> list[Row]:
        return await tables.all_of(self.engine.database, table)

    async def _hired(self) -> None:
        worker = self.engine.new_worker()
        life = asyncio.create_task(worker.run())
        self.workers.append((worker, life))
        await worker.registered.wait()

    async def _dismissed(self) -> None:
        for _, life in self.workers:
            life.cancel()
        await asyncio.gather(*(life for _, life in self.workers), return_exceptions=True)
        self.workers.clear()

    async def _settled(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S / 2):
                seen = None
                while seen != (seen := await self._calm()):
                    await asyncio.gather(*(_looked(worker) for worker, _ in self.workers))
        except TimeoutError:
            rows = await self._all("run"), await self._all("open_act")
            raise NeverRests(f"it is {self.now()}, and there is {rows}") from None

    async def _calm(self) -> tuple[int, ...]:
        """Wait until nobody works; answers with how far the journals are then."""
        for worker, _ in self.workers:
            worker.poke()
        waits = [
            asyncio.create_task(worker.notices.until(self._is_calm)) for worker, _ in self.workers
        ]
        lives = [life for _, life in self.workers]
        try:
            await asyncio.wait([*waits, *lives], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        for worker, life in self.workers:
            if life.done():
                life.result()
            if worker.failure is not None:
                raise worker.failure
        return tuple(sorted(row["seq"] for row in await self._all("run")))

    async def _is_calm(self) -> bool:
        runs, incidents = await self._all("run"), await self._all("incident")
        return self.rests(runs, incidents, self.now())


async def _looked(worker: Worker) -> None:
    seen = 0

    async def has() -> bool:
        nonlocal seen
        seen += 1
        return seen > _LOOKED

    holds: Callable[[], Awaitable[bool]] = has
    await worker.notices.until(holds)


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own while the block does."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="newel-testing", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def _own_clock() -> Iterator[None]:
    """Give the deployment's clock back as it was."""
    before = DEPLOYMENT.source, DEPLOYMENT.offset
    try:
        yield
    finally:
        DEPLOYMENT.source, DEPLOYMENT.offset = before
