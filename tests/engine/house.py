"""A deployment for tests: the whole engine on a real database whose clock the test owns."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from newel.audit.leaf import Actor
from newel.base.errors import Transient
from newel.base.ids import reference
from newel.engine.engine import Engine
from newel.engine.ticketing import Case, Issue
from newel.engine.vault import Vault
from newel.engine.worker import Worker, WorkerSettings
from newel.store.database import Database
from tests.patience import PATIENCE_S

OPERATOR = Actor(type="service", id="svc_test", via="api")


@dataclass
class Desk:
    """A tracker in memory that counts what it was asked; `is_down` makes every call fail."""

    credential: str = "desk:1"
    channel: str = "desk"
    is_tracker: bool = True
    issues: dict[str, Issue] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    reopened: list[str] = field(default_factory=list)
    links: dict[str, list[str]] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    swept: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    async def find(self, case: Case) -> Issue | None:
        """Give the issue of an incident."""
        return self.issues.get(case.incident)

    async def open(self, case: Case) -> Issue:
        """Open the issue, or find it."""
        if case.incident not in self.issues:
            issue = Issue(channel=self.channel, key=f"OPS-{len(self.issues) + 1}", url="")
            self.issues[case.incident] = issue
        self.opened.append(case.title)
        self.cases.append(case)
        return self.issues[case.incident]

    async def comment(self, issue: Issue, key: str, text: str) -> None:
        """Note the comment."""
        self.comments.append(f"{issue.key}/{key.partition('/')[0]}")
        self.texts.append(text)

    async def close(self, issue: Issue) -> None:
        """Note that it was closed."""
        self.closed.append(issue.key)

    async def attach(self, issue: Issue, runs: Sequence[str]) -> None:
        """Note the links, each once."""
        known = self.links.setdefault(issue.key, [])
        known.extend(run for run in runs if run not in known)

    async def reopen(self, issue: Issue) -> None:
        """Note that it was opened again."""
        self.reopened.append(issue.key)

    async def sweep(self, case: Case, issue: Issue) -> int:
        """Note that somebody looked for a second one."""
        self.swept.append(issue.key)
        return 0


@dataclass
class System:
    """A system outside: up or down as the test says; its operations are counted by key."""

    name: str = "github"
    title: str = "GitHub"
    credential: str = "github:cafe"
    owner: str = "platform"
    is_down: bool = False
    probes: int = 0

    async def probe(self) -> None:
        """Answer, unless it is down."""
        self.probes += 1
        if self.is_down:
            raise Transient("no answer")


async def _ended(worker: Worker, task: asyncio.Task[None]) -> None:
    """End a worker, and wait until nothing of it holds a row or a connection any more."""
    left = [task, *worker._background, *worker._attempts.values()]
    task.cancel()
    _, pending = await asyncio.wait(left, timeout=PATIENCE_S)
    assert not pending, f"they do not end: {pending}"
    with contextlib.suppress(asyncio.CancelledError):
        await task


class House:
    """One database, one engine, any number of workers."""

    def __init__(self, database: Database, engine: Engine, desk: Desk) -> None:
        self.database = database
        self.engine = engine
        self.desk = desk
        self.workers: list[Worker] = []

    @contextlib.asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        """Run a worker while the block runs; what it fails with is raised."""
        worker = self.engine.new_worker()
        task = asyncio.create_task(worker.run())
        self.workers.append(worker)
        try:
            await asyncio.wait_for(worker.registered.wait(), PATIENCE_S)
            yield worker
        finally:
            self.workers.remove(worker)
            await _ended(worker, task)
        if worker.failure is not None:
            raise worker.failure

    @contextlib.asynccontextmanager
    async def doomed(self) -> AsyncIterator[Worker]:
        """Run a worker that dies with the block: it gives nothing back, its lease runs out."""
        worker = self.engine.new_worker()

        async def nothing(_: object) -> None:
            """Die without leaving."""

        worker.heart.leave = nothing  # type: ignore[method-assign,assignment]
        task = asyncio.create_task(worker.run())
        self.workers.append(worker)
        try:
            await asyncio.wait_for(worker.registered.wait(), PATIENCE_S)
            yield worker
        finally:
            self.workers.remove(worker)
            await _ended(worker, task)
            await self.expire(worker)

    async def expire(self, worker: Worker) -> None:
        """Let a worker's lease run out, and let somebody notice."""
        from newel.store import workers

        await self.database.execute(
            "update newel.worker set lease_until = clock_timestamp() - interval '1 second' "
            "where id = $1",
            worker.worker,
        )
        async with self.database.transaction() as connection:
            await workers.take_over(connection)

    async def start(self, process: str, document: object = None, **more: Any) -> UUID:
        """Start a run."""
        actor = more.pop("actor", OPERATOR)
        started = await self.engine.start(process, document or {}, actor=actor, **more)
        self.poke()
        return started.run

    def poke(self) -> None:
        """Let the workers look now."""
        for worker in self.workers:
            worker.poke()

    async def until(self, holds: Any) -> None:
        """Wait until an async condition holds, told by the workers' signals."""
        assert self.workers, "somebody has to do the work"
        waits = [asyncio.create_task(worker.notices.until(holds)) for worker in self.workers]
        done, pending = await asyncio.wait(
            waits, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
        if not done:
            raise AssertionError("it did not come to hold: " + await self.told())

    async def rested(self, run: UUID) -> str:
        """Wait until nobody works on a run; answers with its state."""

        async def rests() -> bool:
            row = await self.row(run)
            return row["worker_id"] is None and (
                row["wake_at"] is None or row["wake_at"] > row["as_of"]
            )

        await self.until(rests)
        return str((await self.row(run))["state"])

    async def ended(self, run: UUID) -> str:
        """Wait until a run has ended; answers with its state."""

        async def has() -> bool:
            return (await self.row(run))["finished_at"] is not None

        await self.until(has)
        return str((await self.row(run))["state"])

    async def ended_in_time(self, run: UUID) -> str:
        """Let time pass from moment to moment until a run has ended; answers with its state."""
        while True:
            await self.rested(run)
            row = await self.row(run)
            if row["finished_at"] is not None:
                return str(row["state"])
            if row["wake_at"] is not None and row["wake_at"] > row["as_of"]:
                await self.move(row["wake_at"] - row["as_of"] + timedelta(milliseconds=1))
            else:  # it waits for somebody else, or is at work again
                before = (row["seq"], row["wake_at"])

                async def went_on(before: Any = before) -> bool:
                    now = await self.row(run)
                    return (now["seq"], now["wake_at"]) != before

                await self.until(went_on)

    async def row(self, run: UUID) -> Any:
        """A run's row."""
        return await self.database.fetchrow(
            "select *, newel.now() as as_of from newel.run where id = $1", run
        )

    async def acts(self, run: UUID) -> dict[str, Any]:
        """A run's open acts by key."""
        rows = await self.database.fetch("select * from newel.open_act where run_id = $1", run)
        return {row["key"]: row for row in rows}

    async def events(self, run: UUID) -> list[tuple[str, str | None]]:
        """Type and key of a run's events, in order."""
        rows = await self.database.fetch(
            "select type, key from newel.event where stream_id = $1 order by seq", run
        )
        return [(row["type"], row["key"]) for row in rows]

    async def leaves(self, run: UUID) -> list[dict[str, Any]]:
        """A run's leaves, in order."""
        rows = await self.database.fetch(
            "select entry from newel.event where stream_id = $1 order by seq", run
        )
        return [orjson.loads(row["entry"]) for row in rows]

    def reference(self, run: UUID) -> str:
        """A run's reference."""
        return reference("run", run)

    async def task(self, run: UUID) -> UUID:
        """The open task of a run."""
        found = await self.find_task(run)
        assert found is not None, f"nobody is asked: {await self.told()}"
        return found

    async def find_task(self, run: UUID) -> UUID | None:
        """The open task of a run, if there is one."""
        found: UUID | None = await self.database.fetchval(
            "select id from newel.task where run_id = $1 and state = 'open'", run
        )
        return found

    async def move(self, span: timedelta) -> None:
        """Move the clock of the whole deployment forward."""
        await self.database.execute(
            "update newel.deployment set clock_offset = clock_offset + $1", span
        )
        self.poke()

    async def move_to_next(self, run: UUID) -> datetime:
        """Move the clock to the moment at which a resting run is due."""
        row = await self.row(run)
        if row["wake_at"] is None and row["worker_id"] is not None:  # its moment has just come
            come: datetime = row["as_of"]
            return come
        assert row["wake_at"] is not None, f"nothing is due: {dict(row)}"
        await self.move(row["wake_at"] - row["as_of"] + timedelta(milliseconds=1))
        moment: datetime = row["wake_at"]
        return moment

    async def now(self) -> datetime:
        """The deployment's time."""
        moment: datetime = await self.database.fetchval("select newel.now()")
        return moment

    async def told(self) -> str:
        """What there is, for the message of a failing test."""
        rows = await self.database.fetch("select id, state, wake_at, worker_id from newel.run")
        acts = await self.database.fetch("select key, state, next_at, detail from newel.open_act")
        open_now = await self.database.fetch("select * from newel.incident")
        events = await self.database.fetch("select type, key from newel.event order by occurred_at")
        found = [dict(row) for row in (*rows, *acts, *open_now)]
        return f"{await self.now()} {found} {[tuple(event) for event in events]}"


async def opened(
    url: str,
    kek: Any,
    processes: Sequence[Any],
    *,
    systems: Sequence[Any] = (),
    settings: WorkerSettings | None = None,
    channels: Sequence[Any] = (),
    **more: Any,
) -> House:
    """Open a house over an empty, migrated database."""
    database = await Database.open(url)
    await database.execute("update newel.deployment set kind = 'test'")
    desk = Desk()
    engine = Engine(
        database,
        Vault.at(kek),
        processes,
        connectors=systems,
        channels=[desk, *channels],
        worker=settings or WorkerSettings(look=timedelta(milliseconds=20)),
        **more,
    )
    await engine.register()
    return House(database, engine, desk)


def named(run: UUID) -> str:
    """A run's reference."""
    return reference("run", run)
