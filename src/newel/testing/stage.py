"""A whole deployment in memory: a database, an engine, workers, on a loop whose time is a test's.

Production code throughout: `Engine`, `Worker`, `Committer`, verbs, messages and incidents. Only
the database, the loop and the clock are stand-ins. Nothing is waited for: the stage is driven
until nobody can go on, and then it rests until a verb or the clock moves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, TypeVar

from newel.base.clock import DEPLOYMENT
from newel.base.errors import NewelError
from newel.connectors.base import Connector
from newel.engine.attempts import Begun, attempt
from newel.engine.engine import Engine
from newel.engine.finished import Finished
from newel.engine.incidents import Probed
from newel.engine.sharing import gates_of
from newel.engine.ticketing import Channel
from newel.engine.vault import Vault
from newel.engine.worker import Worker, WorkerSettings
from newel.flow.process import Process
from newel.testing.boundaries import Crash, told
from newel.testing.loop import Place, VirtualLoop
from newel.testing.memory import MemoryConnection, MemoryDatabase, Server, Transaction
from newel.testing.memory.tables import Row
from newel.testing.scene import CONSOLE, NeverRests, Scene

__all__ = ["Stage", "StageClock"]

T = TypeVar("T")

_SETTINGS: Final = WorkerSettings(
    lease=timedelta(seconds=3),
    heartbeat=timedelta(seconds=1),
    grace=timedelta(seconds=1),
    look=timedelta(milliseconds=250),
)
_LOOKED: Final = 0.3
"""After so many seconds of the loop every worker has looked at incidents and found nothing."""

_PATIENCE: Final = 7200.0


class StageClock:
    """The clock of a stage's server: it goes with the loop, from a moment of the test's choice."""

    def __init__(self, loop: VirtualLoop, begins: datetime) -> None:
        self._loop = loop
        self._begins = begins
        self._read = (0.0, begins)

    def now(self) -> datetime:
        """The server's own time."""
        seconds = self._loop.time()
        if seconds != self._read[0]:
            self._read = (seconds, self._begins + timedelta(seconds=seconds))
        return self._read[1]

    def monotonic(self) -> float:
        """The loop's seconds."""
        return self._loop.time()


@dataclass(slots=True)
class Staff:
    """A worker, the place it lives in, and the task that is its life."""

    place: Place
    worker: Worker
    life: asyncio.Task[None]


class Stage(Scene):
    """See the module. crash: what happens to the first worker; order: a seed of arrivals."""

    def __init__(
        self,
        processes: Sequence[Process[..., Any]],  # Any: each has its own result
        *,
        begins: datetime,
        seed: int = 0,
        is_shuffled: bool = False,
        crash: Crash | None = None,
        connectors: Sequence[Probed] = (),
        desk: Channel | None = None,
        settings: WorkerSettings | None = None,
        reads: bool = True,
    ) -> None:
        self.random = Random(seed)  # noqa: S311 - a seed's chance, no secret
        self.loop = VirtualLoop(self.random if is_shuffled else None)
        self.clock = StageClock(self.loop, begins)
        self.crash = crash or Crash()
        self.server = Server(clock=self.clock.now, entropy=self.random.randbytes)
        self.database = MemoryDatabase(self.server, self)
        self.staff: list[Staff] = []
        self._is_shuffled = is_shuffled
        self.connectors, self._desk = connectors, desk
        self._settings = settings or _SETTINGS
        self._reads = reads
        self._commits: dict[MemoryConnection, list[str]] = {}
        self._frozen: list[Place] = []
        self._sleeps = False
        self._slept = asyncio.Event()
        self._asleep = 0
        kek = self.random.randbytes(32)
        self.vault = Vault(kek, entropy=self.random.randbytes, clock=self.clock)
        self.engine = self._engine(processes)

    def _engine(self, processes: Sequence[Process[..., Any]]) -> Engine:  # Any: as above
        return Engine(
            self.database,
            self.vault,
            processes,
            connectors=self.connectors,
            channels=[] if self._desk is None else [self._desk],
            worker=self._settings,
            reads=self._reads,
            console_url=CONSOLE,
        )

    # --- life -------------------------------------------------------------------------------

    @contextmanager
    def open(self) -> Iterator[Stage]:
        """Own the deployment's clock while the block runs; end everything afterwards."""
        before = DEPLOYMENT.source, DEPLOYMENT.offset
        DEPLOYMENT.source, DEPLOYMENT.offset = self.clock, timedelta(0)
        try:
            self.loop.run(self.engine.register())
            self.hire()
            yield self
        finally:
            for connection in self.database.connections:
                connection.terminate()
            self.loop.close_down()
            DEPLOYMENT.source, DEPLOYMENT.offset = before

    def hire(self) -> Staff:
        """Let one more worker begin, and wait until it has."""
        found = self._replace()
        self.loop.drive(lambda: found.worker.registered.is_set() or found.life.done())
        return found

    def _replace(self) -> Staff:
        """Start one more worker; the lease of one that died runs out by itself."""
        for each in self.connectors:
            if isinstance(each, Connector):
                each.http.wire.forget()  # a new process has connections of its own
                each.share(gates_of(self.engine.database))  # and turns of its own
        place = Place(f"worker {len(self.staff) + 1}")
        worker = self.engine.new_worker()
        worker.attempt = lambda begun: self._attempted(place, begun)
        life = self.loop.begin_at(place, worker.run(), name=place.name)
        found = Staff(place, worker, life)
        self.staff.append(found)
        return found

    def deploy(self, processes: Sequence[Process[..., Any]]) -> None:  # Any: as above
        """Replace the code: the workers leave, and one with these processes begins."""
        for each in self.staff:
            if each.place.is_alive and not each.life.done():
                self.loop.run(each.worker.stop())
                self.loop.drive(each.life.done)
        self.engine = self._engine(processes)
        self.loop.run(self.engine.register())
        self.hire()

    def kill(self, place: Place) -> None:
        """Kill -9: nothing of the place runs any more, the server notices its connections gone."""
        place.is_alive = False
        for connection in self.database.connections:
            if connection.place is place:
                connection.terminate()

    # --- driving ----------------------------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out a request as somebody outside; answers with its result."""
        return self.loop.run(work)

    def settle(self) -> None:
        """Drive until the deployment rests: nobody works, nothing is due, all has been looked at.

        Raises NeverRests after hours of its own time, and what a worker has failed with.
        """
        while True:
            self._poke()
            patience = self.loop.time() + _PATIENCE
            if not self.loop.drive(self._is_calm, deadline=patience):
                raise NeverRests(self.told())
            self._check()
            if self._frozen:
                self._wake()
                continue
            before = self.server.changes
            self.loop.drive(lambda: False, deadline=self.loop.time() + _LOOKED)
            if self.server.changes == before and self._is_calm():
                self._check()
                return

    def _is_calm(self) -> bool:
        tables = self.server.tables
        runs, incidents = tables["run"].rows.values(), tables["incident"].rows.values()
        return self.loop.is_idle and self.rests(runs, incidents, self.server.now())

    def _check(self) -> None:
        for each in self.staff:
            if each.worker.failure is not None:
                raise each.worker.failure
        if self.loop.faults:
            fault = self.loop.faults[0]
            error = fault.get("exception")
            raise error if error is not None else NewelError(str(fault.get("message")))

    def _poke(self) -> None:
        for each in self.staff:
            each.worker.poke()

    def _wake(self) -> None:
        """Let the sleepers wake, now that others have gone on without them."""
        for place in self._frozen:
            self.loop.thaw(place)
        self._frozen.clear()
        self._slept.set()

    # --- time -------------------------------------------------------------------------------

    def now(self) -> datetime:
        """`newel.now()`."""
        return self.server.now()

    def _set(self, moment: datetime) -> None:
        offset = max(moment, self.server.now()) - self.clock.now()
        transaction = Transaction(self.server)
        transaction.update("deployment", True, clock_offset=offset)
        self.server.commit(transaction)
        DEPLOYMENT.offset = offset

    # --- reading ----------------------------------------------------------------------------

    def rows(self, table: str) -> list[Row]:
        """The committed rows of a table."""
        return list(self.server.tables[table].rows.values())

    def of(self, table: str, group: object) -> list[Row]:
        """The rows of a table that belong to a run, or to a person."""
        return [row for _, row in self.server.tables[table].of(group)]

    # --- what happens to workers (Carrier) --------------------------------------------------

    def here(self) -> object:
        """The place of whoever opens a connection."""
        return self.loop.here()

    async def carry(
        self,
        connection: MemoryConnection,
        what: str,
        values: tuple[Any, ...],
        act: Callable[[], T],
    ) -> T:
        """Carry a statement; a worker may die before it, or before its answer."""
        place = self.loop.here()
        if place is None:
            await asyncio.sleep(0)
            return act()
        if (text := told(what, values)) is not None:
            return await self._carried(connection, place, text, act)
        await self._way()
        found = act()
        if what == "commit":
            for each in self._commits.pop(connection, ()):
                await self._pass(place, "after the commit of", each)
        await self._way()
        return found

    async def _carried(
        self, connection: MemoryConnection, place: Place, text: str, act: Callable[[], T]
    ) -> T:
        await self._way()
        await self._pass(place, "before the commit of", text)
        found = act()
        if connection.is_in_transaction:
            self._commits.setdefault(connection, []).append(text)
        else:
            await self._pass(place, "after the commit of", text)
        await self._way()
        return found

    async def _way(self) -> None:
        if self._is_shuffled:
            await asyncio.sleep(self.random.random() * 0.002)
        else:
            await asyncio.sleep(0)

    async def _attempted(self, place: Place, begun: Begun) -> Finished:
        await self._pass(place, "before the effect of", begun.key)
        if self._is_shuffled:
            await asyncio.sleep(self.random.random() * 0.02)
        done = await attempt(begun)
        if self._is_shuffled:
            await asyncio.sleep(self.random.random() * 0.02)
        await self._pass(place, "after the effect of", begun.key)
        return done

    async def _pass(self, place: Place, when: str, what: str) -> None:
        if place is not self.staff[0].place:
            return
        if self._sleeps and not self._slept.is_set():
            if when == "before the effect of":
                return  # it is in the air: it comes to its end first
            await self._asleep_at(place, is_attempt=when == "after the effect of")
            return
        point = self.crash.seen.passed(when, what)
        if self.crash.point is None or point.number != self.crash.point.number:
            return
        if self.crash.how == "killed" or not point.is_freezable:
            self.kill(place)
            self._replace()
            await asyncio.sleep(0)  # never comes back
        else:
            self._sleeps = True
            await self._asleep_at(place, is_attempt=when == "after the effect of")

    async def _asleep_at(self, place: Place, *, is_attempt: bool) -> None:
        """Sleep until others have gone on; the place sleeps when nothing of it is in the air.

        What were called only after the waking would be a second effect that no fence can stop:
        then the outside must refuse it, which is not what this crash is about.
        """
        self._asleep += is_attempt
        if len(self.staff[0].worker._attempts) == self._asleep:  # noqa: SLF001 - it has no door
            place.is_alive = False
            self._frozen.append(place)
            self._replace()
        await self._slept.wait()
