"""Schedules at work: each occurrence is started once, however many workers there are.

A schedule is a row, and its next planned moment is decided under the row's lock: in ONE
transaction the runs are started, what became of the moment is kept (unique per schedule and
moment), and the row moves on. A worker that dies in it has decided nothing; two workers cannot
decide the same.

The row says what the code declared last. A worker whose code declares it otherwise (an older
version during a deploy) leaves it alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import asyncpg

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, Event
from newel.base.errors import DefinitionError, NewelError, NotFound, NotWaiting
from newel.domain.change import Beside, Change
from newel.domain.schedules import Timetable, due
from newel.engine.beginning import Begin
from newel.engine.named import by_name
from newel.engine.operating import Operating, write_aside
from newel.engine.starting import FIRST_CAME_ANOTHER, Wanted
from newel.flow.process import Process, Request
from newel.flow.schedules import Schedule
from newel.store import registry
from newel.store import schedules as rows
from newel.store.database import LOST, Connection, Row

__all__ = ["Schedules"]

_IDLE_S: Final = 1.0
_AGAIN_S: Final = 0.2


class Woken(Protocol):
    """What is told that a run was started."""

    def poke(self) -> None:
        """Look for due runs now."""
        ...


class Schedules:
    """The schedules of one deployment, as its code declares them."""

    def __init__(
        self,
        operating: Operating,
        schedules: Sequence[Schedule],
        *,
        begin: Begin,
    ) -> None:
        """Take what the code declares; raises DefinitionError for a name that is used twice.

        begin: starts a run in the caller's transaction.
        """
        self._database = operating.database
        self._declared = by_name(
            "schedules", schedules, fix='`every(…, name="…")` for one of them.', code="F710"
        )
        self._processes = operating.processes
        self._begin = begin
        self._new_run = operating.vault.ids().run_id
        self._new_event_id = operating.new_event_id
        self._tell = operating.tell
        self._rows: list[rows.Declared] = []

    # --- declaring --------------------------------------------------------------------------

    async def register(self) -> None:
        """Write down what the code declares; what it declares no more starts nothing.

        A changed timetable goes on from its next moment. Raises DefinitionError for a process
        that is not registered.
        """
        if not self._declared and not await rows.listed(self._database):
            return
        async with self._database.transaction() as connection:
            now = await registry.now(connection)
            told: list[Event] = []
            self._rows = []
            for name, schedule in sorted(self._declared.items()):
                told += await self._declare(connection, name, schedule, now)
            retired = await rows.retire(
                connection, processes=self._processes, declared=self._declared
            )
            told += [facts.ScheduleRetired(schedule=name) for name in retired]
            change = await self._aside(connection, told, Actor(type="system", id="newel"), now)
        self._tell(change)

    async def _declare(
        self, connection: Connection, name: str, schedule: Schedule, now: datetime
    ) -> list[Event]:
        timetable, missed = schedule.timetable, schedule.missed
        next_at = timetable.after(now)
        process = self._process(schedule.request(next_at)).name
        declared = (name, process, timetable.cron, timetable.zone, missed)
        self._rows.append(declared)
        known = await rows.known(connection, name)
        if known is not None and known["retired_at"] is None and _declared(known) == declared:
            return []
        await rows.declare(connection, declared, next_at)
        return [
            facts.ScheduleRegistered(
                schedule=name,
                process=process,
                cron=timetable.cron,
                zone=timetable.zone,
                missed=missed,
            )
        ]

    def _process(self, request: Request[Any]) -> Process[..., Any]:
        process = request.process
        if self._processes.get(process.name) is not process:
            raise DefinitionError(
                f"A schedule starts `{process.name}`, which this engine does not run.",
                fix=f"`Engine(…, processes=[{process.name}, …])`.",
                code="F710",
            )
        return process

    # --- starting ---------------------------------------------------------------------------

    async def watch(self, worker: Woken) -> None:
        """Start what is due, until cancelled; without schedules there is nothing to watch."""
        while self._rows:
            try:
                pause = await self._look(worker)
            except LOST:
                pause = _IDLE_S
            await asyncio.sleep(pause)

    async def _look(self, worker: Woken) -> float:
        """Start what is due; answers with how long to wait before the next look."""
        as_of, first = await rows.next_due(self._database, self._rows)
        if first is None or first > as_of:
            ahead = _IDLE_S if first is None else (first - as_of).total_seconds()
            return min(ahead, _IDLE_S)
        while (started := await self.start_due()) is not None:
            if started:
                worker.poke()
        return _AGAIN_S

    async def start_due(self) -> int | None:
        """Decide one due schedule; answers with how many runs it started, None if none is due.

        In one transaction: the schedule's row lock, the runs, what became of the moments. Where
        another start of the same came first, nothing is decided, and the next look sees it.
        """
        try:
            async with self._database.transaction() as connection:
                changes = await self._decide(connection)
        except asyncpg.PostgresError as error:
            if error.sqlstate not in FIRST_CAME_ANOTHER:
                raise
            return None
        for change in changes or ():
            self._tell(change)
        return None if changes is None else len(changes)

    async def _decide(self, connection: Connection) -> list[Change] | None:
        row = await rows.take_due(connection, self._rows)
        if row is None:
            return None
        schedule, now = self._declared[row["name"]], row["as_of"]
        answer = due(schedule.timetable, schedule.missed, next_at=row["next_at"], now=now)
        changes: list[Change] = []
        for planned in answer.start:
            changes += await self._start(connection, schedule, planned, answer.left_out, now)
        await rows.go_on(connection, schedule.name, answer.next_at)
        return changes

    async def _start(
        self,
        connection: Connection,
        schedule: Schedule,
        planned: datetime,
        left_out: int,
        now: datetime,
    ) -> list[Change]:
        """Start the run of one planned moment; what is refused is kept with its reason."""
        run = self._new_run()
        changes: list[Change] = []
        refused = None
        try:
            wanted = self._wanted(schedule, planned, run)
            async with connection.transaction():  # what a refused start wrote is undone
                change, _ = await self._begin(connection, wanted)
            changes = [change]
        except NewelError as refusal:
            refused = str(refusal)
        is_first = await rows.decided(
            connection,
            schedule=schedule.name,
            planned_at=planned,
            decided_at=now,
            run=None if refused else run,
            left_out=left_out,
            refused=refused,
        )
        assert is_first, "the row's lock keeps others out, and a decided moment lies behind next_at"
        return changes

    def _wanted(self, schedule: Schedule, planned: datetime, run: UUID) -> Wanted:
        try:
            request = schedule.request(planned)
            process = self._process(request)
            arguments = request.arguments
        except NewelError:
            raise
        except Exception as bug:
            raise DefinitionError(
                f"The schedule `{schedule.name}` could not say what it starts: "
                f"{type(bug).__name__}."
            ) from bug
        key = f"{schedule.name}@{planned:%Y-%m-%dT%H:%M:%SZ}"
        return Wanted(
            run=run,
            process=process,
            arguments=arguments,
            actor=Actor(type="system", id="newel", via=f"schedule/{schedule.name}"),
            source="schedule",
            source_ref=key,
            idempotency_key=key,
        )

    # --- for operators ----------------------------------------------------------------------

    async def pause(self, name: str, *, actor: Actor) -> None:
        """Start nothing any more until it is resumed. Raises NotFound, NotWaiting (is paused)."""
        async with self._database.transaction() as connection:
            await self._known(connection, name)
            if not await rows.pause(connection, name):
                raise NotWaiting(verb="pause", what=f"`{name}`", state="paused")
            now = await registry.now(connection)
            change = await self._aside(
                connection, [facts.SchedulePaused(schedule=name)], actor, now
            )
        self._tell(change)

    async def resume(self, name: str, *, actor: Actor) -> datetime:
        """Go on with the next moment, which is the answer; the pause is not made up for.

        Raises NotFound, NotWaiting (is not paused).
        """
        async with self._database.transaction() as connection:
            row = await self._known(connection, name)
            if row["paused_at"] is None:
                raise NotWaiting(verb="resume", what=f"`{name}`", state="not paused")
            now = await registry.now(connection)
            next_at = Timetable(row["cron"], row["zone"]).after(now)
            await rows.resume(connection, name, next_at)
            change = await self._aside(
                connection, [facts.ScheduleResumed(schedule=name)], actor, now
            )
        self._tell(change)
        return next_at

    async def _known(self, connection: Connection, name: str) -> Row:
        row = await rows.known(connection, name)
        if row is None or row["retired_at"] is not None:
            raise NotFound(kind="schedule", reference=name)
        return row

    async def _aside(
        self, connection: Connection, told: Sequence[Event], actor: Actor, at: datetime
    ) -> Change:
        """Write facts of the deployment as a whole."""
        return await write_aside(
            connection,
            [Beside("admin", fact, at, actor, None) for fact in told],
            id_=self._new_run(),
            new_event_id=self._new_event_id,
        )


def _declared(row: Row) -> rows.Declared:
    return row["name"], row["process"], row["cron"], row["zone"], row["missed"]
