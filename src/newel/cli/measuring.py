"""The engine's own figures: steps a second, commits, log volume, CPU; and the server's limit."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from newel.audit.leaf import Actor
from newel.engine.engine import Engine
from newel.engine.starting import Start, born
from newel.engine.told import Teller, service
from newel.engine.vault import Vault
from newel.engine.worker import Worker, WorkerSettings
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.step import step
from newel.store import measured as sql
from newel.store.changes import apply
from newel.store.database import Database
from newel.store.migrate import migrate

_STEPS: Final = 10
_PGBENCH_S: Final = 2
_GLANCE_S: Final = 0.02
_ACTOR: Final = Actor(type="service", id="svc_bench")


@step(in_doubt="repeat")
async def nothing() -> None:
    """Do nothing, durably."""


@process(subject=None, owner="it")
async def ten_steps() -> None:
    """Ten steps, one after another."""
    for _ in range(_STEPS):
        await nothing()


@process(subject=None, owner="it")
async def idle_onboarding() -> None:
    """Two steps in sequence, four in parallel: the shape of an onboarding."""
    await nothing["first"]()
    await nothing["second"]()
    await parallel(nothing["a"](), nothing["b"](), nothing["c"](), nothing["d"]())


class Bench:
    """A worker in this process over an empty database, measured."""

    def __init__(
        self,
        pgbench: Path,
        database: Database,
        engine: Engine,
        worker: Worker,
        running: asyncio.Task[None],
    ) -> None:
        """Take what is open and running."""
        self._running = running
        self._pgbench = pgbench
        self._database = database
        self._engine = engine
        self._worker = worker

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, dsn: str, kek: Path, pgbench: Path) -> AsyncIterator[Bench]:
        """Open the database and run a worker while the block runs."""
        await migrate(dsn)
        database = await Database.open(dsn)
        settings = WorkerSettings(concurrency=1000)
        engine = Engine(database, Vault.at(kek), [ten_steps, idle_onboarding], worker=settings)
        await engine.register()
        with Path("/dev/null").open("wb") as nowhere:  # noqa: ASYNC230 - opens no file
            worker = engine.new_worker()
            worker.teller = Teller(service("worker", "bench"), nowhere.write)
            running = asyncio.create_task(worker.run())
            try:
                await worker.registered.wait()
                yield cls(pgbench, database, engine, worker, running)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await database.close()

    async def figures(self, *, rounds: int, runs: int) -> dict[str, Any]:
        """Measure everything, taking turns with pgbench; medians of all rounds."""
        busy: list[dict[str, float]] = []
        limits: list[float] = []
        idle: list[tuple[float, int]] = []
        await self.busy(runs // 3 or 1)  # warms caches up; not counted
        for _ in range(rounds):
            limits.append(await commits_per_second(self._pgbench, self._database.dsn))
            busy.append(await self.busy(runs))
            idle.extend([await self.idle() for _ in range(20)])
        middle = {name: statistics.median(each[name] for each in busy) for name in busy[0]}
        limit = statistics.median(limits)
        idle_ms = statistics.median(ms for ms, _ in idle)
        return {
            "steps_per_s": round(middle["steps_per_s"]),
            "steps_vs_pgbench": round(
                statistics.median(
                    each["steps_per_s"] / tps for each, tps in zip(busy, limits, strict=True)
                ),
                2,
            ),
            "pgbench_c1_tps": round(limit),
            "onboarding_idle_p50_ms": round(idle_ms, 2),
            "onboarding_idle_vs_4_commits": round(idle_ms / (4000 / limit), 2),
            "commits_idle_onboarding": round(statistics.median(commits for _, commits in idle)),
            "commits_per_step_busy": round(middle["commits"], 4),
            "statements_per_step": round(middle["statements"], 4),
            "wal_bytes_per_step": round(middle["wal"]),
            "cpu_us_per_step": round(middle["cpu"] * 1e6, 1),
        }

    async def busy(self, runs: int) -> dict[str, float]:
        """Runs of ten steps, claimed from the queue, until all have ended."""
        await self.enqueue(runs)
        before = await sql.counters(self._database)
        commits, cpu = self._worker.committer.commits, time.process_time()
        began = time.perf_counter()
        self._worker.poke()
        await self._until(self._all_ended)
        took = time.perf_counter() - began
        cpu = time.process_time() - cpu
        after = await sql.counters(self._database)
        steps = runs * _STEPS
        return {
            "steps_per_s": steps / took,
            "commits": (self._worker.committer.commits - commits) / steps,
            "statements": (after.transactions - before.transactions) / steps,
            "wal": (after.wal_bytes - before.wal_bytes) / steps,
            "cpu": cpu / steps,
        }

    async def share(self) -> tuple[float, float]:
        """Work with others on what is queued: when it began and ended, by the machine's clock."""
        began = time.monotonic()
        self._worker.poke()
        # Other processes end runs, too, and tell nobody here.
        while await sql.open_runs(self._database):  # noqa: ASYNC110 - see above
            await asyncio.sleep(_GLANCE_S)
        return began, time.monotonic()

    async def _until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a condition holds; a worker that dies meanwhile is told, not waited for."""
        waiting = asyncio.ensure_future(self._worker.notices.until(holds))
        await asyncio.wait({waiting, self._running}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            self._running.result()
        await waiting

    async def _all_ended(self) -> bool:
        return self._worker.is_idle and await sql.open_runs(self._database) == 0

    async def enqueue(self, runs: int) -> None:
        """Put runs of ten steps into the queue, in one transaction."""
        at = self._worker.now()
        changes = [
            born(self._start(self._worker.new_uuid(), ten_steps, at), self._worker.event_id)[0]
            for _ in range(runs)
        ]
        async with self._database.transaction() as connection:
            await apply(connection, changes)

    def _start(self, run: UUID, definition: Any, at: Any, **more: Any) -> Start:
        return Start(
            run=run,
            process=definition,
            version=self._engine.versions[definition.name],
            arguments={},
            subject=None,
            actor=_ACTOR,
            source="api",
            at=at,
            sealer=self._engine.vault.sealer(run, None, None, None),
            **more,
        )

    async def idle(self) -> tuple[float, int]:
        """One onboarding alone, born in the worker's process: milliseconds, and commits."""
        worker = self._worker
        commits, began = worker.committer.commits, time.perf_counter()
        owner = (worker.worker, worker.epoch)
        worker.start_here(
            self._start(worker.new_uuid(), idle_onboarding, worker.now(), owner=owner)
        )

        async def done() -> bool:
            return worker.is_idle

        await self._until(done)
        return (time.perf_counter() - began) * 1000, worker.committer.commits - commits


async def commits_per_second(program: Path, dsn: str, *, seconds: int = _PGBENCH_S) -> float:
    """The server's own rate of commits with one client, by `pgbench`."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(sql.COMMIT_ONE)
        script.flush()
        asked = await asyncio.create_subprocess_exec(
            str(program),
            *("-n", "-c", "1", "-T", str(seconds), "-f", script.name, dsn),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await asked.communicate()
    for line in said.decode().splitlines():
        if line.startswith("tps = "):
            return float(line.split()[2])
    raise RuntimeError(f"pgbench gave no rate: {complained.decode()}")
