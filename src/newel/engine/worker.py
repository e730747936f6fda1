"""A worker: claims due runs, drives them, writes what became of them, and gives them back.

It holds nothing that matters: kill it, and another goes on from the journal. Its right to its
runs is a lease in the database, extended by heartbeats on a connection of its own. When the
lease is in doubt by the worker's own monotonic clock, it stops starting attempts and drops its
runs before the database would let another take them.

    claim -> load -> Runner.begin -> Change -> committer -> attempts -> Runner -> …
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.clock import DEPLOYMENT
from newel.base.errors import LeaseLost, NewelError, NotWaiting, StepError
from newel.base.ids import reference
from newel.domain.change import Change
from newel.engine import granting, steps
from newel.engine.after_commit import AfterCommit
from newel.engine.alarm import Alarm
from newel.engine.arriving import arrive
from newel.engine.attempts import Attempt, Begun, attempt, begun_of, let_ride
from newel.engine.calls import Caller
from newel.engine.children import Errand
from newel.engine.claiming import claimed_due
from newel.engine.code_versions import CodeVersions
from newel.engine.committer import Committer
from newel.engine.enduring import Patience, cared, insisting, told, while_held
from newel.engine.finished import Finished
from newel.engine.heart import Heart
from newel.engine.incidents import Incidents
from newel.engine.loading import load, loaded_born
from newel.engine.messages import Messages
from newel.engine.notices import Notices
from newel.engine.pace import monotonic
from newel.engine.places import Companion, Places
from newel.engine.runner import Circuit, Loaded, Runner, Settled
from newel.engine.service_events import lost
from newel.engine.spawning import Offspring
from newel.engine.starting import Start, born
from newel.engine.told import Teller, say
from newel.engine.unsaved import Unsaved
from newel.engine.vault import Vault
from newel.engine.worker_settings import WorkerSettings as WorkerSettings
from newel.flow.act import StepAct
from newel.flow.process import Process
from newel.store import runs
from newel.store.changes import Refusal
from newel.store.database import LOST, Connection, Database

_BUSY_POLL_S: Final = 0.05
_IDLE_POLL_S: Final = 1.0
_TURNS_S: Final[dict[Refusal, float]] = {"effect": 0.2, "others": 0.02}
"""How long a refused run lets others go first: another run that is about to make the same, which is
found after it; whoever holds a row of another run, which no reading of this run waits for."""
_PUT_OFF: Final = timedelta(minutes=1)
_UNSURE_S: Final = 60.0
"""So long after a loss of connection or lease it is checked what the database thinks we own."""


class Worker:
    """Drives runs of one database; any number of workers share them."""

    def __init__(
        self,
        database: Database,
        processes: Mapping[str, Process[..., Any]],  # Any: each has its own result
        vault: Vault,
        incidents: Incidents,
        messages: Messages,
        settings: WorkerSettings | None = None,
        teller: Teller | None = None,
        *,
        known: Mapping[str, int] | None = None,
        places: Places,
        offspring: Offspring,
        companions: Sequence[Companion] = (),
    ) -> None:
        """Prepare; `run` registers the worker and drives runs until it is cancelled.

        known: the version number of each process. offspring: sees to child runs.
        """
        self.settings = settings or WorkerSettings()
        self.database = database
        self.code = CodeVersions(processes, known or {})
        self.processes, self.versions = self.code.processes, self.code.numbers
        self.vault = vault
        self.incidents = incidents
        self.messages = messages
        self.offspring, self.addresses = offspring, offspring.addresses
        self.teller = teller
        self.places = places
        self.companions = (places, *companions)
        self.worker = 0
        self.epoch = 0
        self.heart = Heart(
            database, self, lease=self.settings.lease, heartbeat=self.settings.heartbeat
        )
        self.retry = self.settings.retry
        self.actor = Actor(type="system", id="newel")
        self._ids = vault.ids()
        self._runs: dict[UUID, Runner] = {}
        self._attempts: dict[tuple[UUID, str], asyncio.Task[None]] = {}
        self._unsaved = Unsaved()
        self._starting = AfterCommit()
        self._rebuilding: set[UUID] = set()
        self._background: set[asyncio.Task[Any]] = set()
        self._clock = (datetime.min.replace(tzinfo=UTC), 0.0)
        self._stopping = False
        self._connection: Connection
        self._alarm = Alarm()
        self._has_left = False
        self._taken: Change | None = None
        self._unsure_until = 0.0
        self.limits = self.settings.limits
        self._caller = Caller(database, self.settings.calls)
        self.committer = Committer(
            database,
            self,
            may_write=self.heart.holds,
            timeout_s=self.settings.lease.total_seconds(),
        )
        self.committer.new_event_id = self._ids.event_id
        self.registered = asyncio.Event()
        self.notices = Notices()
        self.failure: BaseException | None = None
        self.attempt: Attempt = attempt

    # --- what an Runner needs (Host) -----------------------------------------------------

    @property
    def is_leaving(self) -> bool:
        """Whether it was asked to stop: what is under way ends, and nothing new is begun."""
        return self._stopping

    def now(self) -> datetime:
        """The database's clock: its last reading, and the monotonic time since then."""
        read, then = self._clock
        return read + timedelta(microseconds=int((monotonic() - then) * 1_000_000))

    def event_id(self) -> str:
        """A fresh id for an audit event."""
        return self._ids.event_id()

    def new_uuid(self) -> UUID:
        """A fresh time-ordered id."""
        return self._ids.new()

    def circuit(self, credential: str | None) -> Circuit | None:
        """The open incident of a credential, at most a second old."""
        return None if credential is None else self.incidents.circuits.get(credential)

    def answered(self, credential: str | None) -> None:
        """A step of an incident has succeeded: its circuit holds back nothing more."""
        if credential is not None:
            self.incidents.answered(credential)

    # --- life -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Register, then claim and drive runs until cancelled or asked to stop."""
        await insisting(self._arrive)
        try:
            self.registered.set()
            self._keep(self.heart.beat())
            self._keep(self.committer.run())
            self._keep(self.messages.watch(self, self.settings.heartbeat))
            for companion in (self.incidents, *self.companions):
                self._keep(companion.watch(self))
            await self._poll()
        finally:
            for task in [*self._background, *self._attempts.values()]:
                task.cancel()
            for run in list(self._runs):
                self._drop(run)
            self._caller.close()
            await self.heart.leave(self._connection)
            self._connection.terminate()

    async def _arrive(self) -> None:
        self._connection = await self.database.dedicated()
        await self.heart.register(self._connection)
        await self.code.begin(self._connection, self.worker)

    async def stop(self) -> None:
        """Begin nothing new, let attempts end within the grace period, keep what they gave."""
        self._stopping = True
        deadline = monotonic() + self.settings.grace.total_seconds()
        while (self._attempts or self._unsaved or self._rebuilding) and monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.notices.following(), _IDLE_POLL_S)
        await self.committer.drained()
        self._has_left = True
        self._alarm.poke()

    def lease_taken(self, as_of: datetime) -> None:
        """Write under this lease from now on."""
        self.worker, self.epoch = self.heart.worker, self.heart.epoch
        self.committer.fence = (self.worker, self.epoch)
        self.actor = Actor(type="system", id="newel", via=f"worker/w_{self.worker}")
        self._clock = (as_of, monotonic())

    async def beaten(self, connection: Connection) -> None:
        """Look for what only this worker's code may be able to go on with."""
        taken, self._taken = self._taken, None
        if taken is not None and self.teller is not None:
            self.teller.tell(taken)
            self.teller.flush()
        if await self.code.has_woken(connection):
            self._alarm.poke()

    async def took_over(self, connection: Connection, held: Mapping[int, int]) -> None:
        """Let the log say whom this worker has taken over from."""
        self._taken = await lost(connection, held, self.actor, self._ids)

    async def _poll(self) -> None:
        pause, patience = 0.0, Patience("look for due runs")
        while not self._has_left:
            await self._alarm.rest(pause)
            with contextlib.suppress(*LOST), patience:
                if self._connection.is_closed():
                    self._connection = await self.database.dedicated()
                pause = await self._claim(self._connection)
                continue
            self._connection.terminate()
            self.unsure()
            pause = _IDLE_POLL_S

    def unsure(self) -> None:
        """Look for a while whether the database thinks that more runs are ours than we know of."""
        self._unsure_until = monotonic() + _UNSURE_S

    async def _claim(self, connection: Connection) -> float:
        """Claim, load and begin what is due; answers with how long to wait before the next look."""
        if not self.heart.holds():
            return _BUSY_POLL_S
        found = await runs.next_due(connection)
        as_of, due, epoch = found.as_of, found.first, self.epoch
        self._clock, DEPLOYMENT.offset = (as_of, monotonic()), found.moved
        if monotonic() < self._unsure_until:
            await runs.let_go_strays(
                connection, worker=self.worker, epoch=self.epoch, held=self._held()
            )
        for run in await runs.nudged(connection, worker=self.worker):
            self._rebuild(run)
        if self._stopping:
            return _BUSY_POLL_S
        room = min(self.settings.concurrency - len(self._runs), 200)
        spare = room if due is None or due > as_of else 0
        if await self.code.has_older(connection, spare):
            return 0.0
        if room <= 0 or due is None:
            return _IDLE_POLL_S if self._runs == {} else _BUSY_POLL_S * 4
        if due > as_of:
            return min((due - as_of).total_seconds(), _IDLE_POLL_S)
        claimed = await claimed_due(connection, found, self.worker, epoch, room, self.versions)
        if claimed:
            loaded = await self._load(connection, claimed)
            if self.heart.holds() and self.epoch == epoch:  # else that right has ended
                self._begin(loaded)
        return self.code.pause(claimed)

    async def _load(self, connection: Connection, wanted: list[UUID]) -> list[Loaded]:
        loaded = await load(
            connection, wanted, self.processes, self.vault, self.versions, self._unreadable
        )
        await self.places.look(connection, loaded)
        return loaded

    def _held(self) -> set[UUID]:
        """Runs that are in this worker's memory, or on their way into it."""
        return {*self._runs, *self._rebuilding}

    @property
    def is_idle(self) -> bool:
        """Whether no run is in this worker's memory."""
        return not self._runs

    def poke(self) -> None:
        """Look for due runs now."""
        self._alarm.poke()

    # --- driving ----------------------------------------------------------------------------

    def _begin(self, loaded: list[Loaded]) -> None:
        for each in loaded:
            run = self._runner(each)
            if each.id in self._runs:  # it was let go of, and claimed before that was told
                self.committer.forget(each.id)
                self._drop(each.id)
            self._runs[each.id] = run
            with self._parking(each.id):
                self._settled(run, run.begin(attempting=self._in_flight(each)))

    def _runner(self, loaded: Loaded) -> Runner:
        runner = Runner(loaded, self, arrive)
        runner.on_outcome = self.incidents.on_outcome.get(loaded.process.name)
        runner.on_redone = self.incidents.sweeping.after
        return runner

    def _in_flight(self, loaded: Loaded) -> set[str]:
        """Attempts of a run that go on here, although the lease was lost meanwhile."""
        return {
            key
            for owner, key in self._attempts
            if owner == loaded.id
            and (act := loaded.open_acts.get(key)) is not None
            and (act.state, act.worker_id) == ("attempting", self.worker)
        }

    def _unreadable(self, run: UUID, error: NewelError) -> None:
        self._care(run, partial(self._poisoned, run, error))

    @contextlib.contextmanager
    def _parking(self, run: UUID) -> Iterator[None]:
        """Park a run that cannot be driven: a fault of one must not be the end of all."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - told to the run's maintainers, with its traceback
            self.refused(run, error)

    def start_here(self, start: Start) -> Runner:
        """Start a run that is born owned by this worker; its first intents ride along."""
        change, head, arguments, secret = born(start, self._ids.event_id)
        loaded = loaded_born(start, head, arguments, secret)
        self.committer.submit(change)
        self._begin([loaded])
        return self._runs[start.run]

    def _settled(self, run: Runner, settled: Settled) -> None:
        if settled.change is None:
            self._go_on(run, settled)  # attempts only look then, and need no intent
            if settled.rests:
                self._put_back(run, settled)
            return
        self._starting.put(run.id, settled)
        if settled.rests and settled.wake_at is not None:
            in_s = (settled.wake_at - self.now()).total_seconds()
            self._alarm.ring_at(monotonic() + max(in_s, 0.0))
        self.committer.submit(settled.change)

    def _go_on(self, run: Runner, settled: Settled) -> None:
        for key in settled.starting:
            self._attempt(run, key)
        for errand in settled.errands:
            self._care(run.id, partial(self._run_errand, run.id, errand))

    def _put_back(self, run: Runner, settled: Settled) -> None:
        """Release a run for which nothing was to be done; no state changes, so no event is due."""
        self._runs.pop(run.id, None)
        run.dismiss()
        self._care(run.id, partial(self._release, run, settled))

    async def _release(self, run: Runner, settled: Settled) -> None:
        try:
            await runs.put_back(
                self.database,
                run.id,
                worker=self.worker,
                epoch=self.epoch,
                seq=run.loaded.head.seq,
                readings=run.loaded.readings,
                wake_at=settled.wake_at,
                version=run.version.version,
            )
        except LOST:
            self.unsure()  # it is let go of as a stray
        else:
            say(run, settled.said)
        self.notices.tell()

    # --- what becomes of Changes (Outlet) ---------------------------------------------------

    def committed(self, changes: list[Change]) -> None:
        """Start the attempts whose intents are durable now, tell the log, let go of what rests."""
        for change in changes:
            run = self._runs.get(change.run)
            if self.teller is not None:
                self.teller.tell(change, None if run is None else run.process.name)
            self._hand_over_kept(change)
            self.places.committed(change, run, self)
            if change.wakes_others:
                self.poke()
            if run is None:
                continue
            self._unsaved.saved(change)
            say(run, change.said)
            for settled in self._starting.due(change):
                self._go_on(run, settled)
            if change.release and run.loaded_at < change.to_seq:  # else it was claimed again since
                del self._runs[change.run]
                self._unsaved.take(change.run)
                run.dismiss()
        if self.teller is not None:
            self.teller.flush()
        self.notices.tell()

    def _hand_over_kept(self, change: Change) -> None:
        """A wait for a message is durable now: look whether one has come already."""
        for row in change.rest.get("open_act", ()):
            if row["kind"] == "event":
                self._care(change.run, partial(self._deliver, change.run, row["key"], row["event"]))

    async def _deliver(self, run: UUID, key: str, event: str) -> None:
        with contextlib.suppress(*LOST):  # who looks for overlooked messages finds it
            await self.messages.deliver_to(run, key, event, self.actor)

    async def _run_errand(self, run: UUID, errand: Errand) -> None:
        try:
            await insisting(lambda: self.offspring.run(run, errand, self.actor))
        except NewelError as error:
            await self._poisoned(run, error)
            return
        if errand.is_needed:
            self._rebuild(run)  # the run goes on from what is known now

    def refused(self, run: UUID, why: Refusal | Exception, *, upto: int = sys.maxsize) -> None:
        """Go back to what the database says, and apply again what it has not seen."""
        runner = self._runs.get(run)
        if runner is not None and runner.loaded_at >= upto:
            return  # it was written after all, its answer was lost, and the run claimed again since
        self.committer.forget(run)
        self._starting.forget(run)
        if why == "full":
            self.places.refused(run, runner)
        if why in {"owner", "exists"}:
            self._drop(run)
        elif isinstance(why, Exception):
            self._care(run, partial(self._poisoned, run, why))
        else:
            self._rebuild(run, after=_TURNS_S.get(why, 0.0))

    def lease_lost(self) -> None:
        """Drop everything silently: the new owner has the truth."""
        self.heart.until = 0.0
        for run in list(self._runs):
            self.committer.forget(run)
            self._drop(run)
        self._starting.clear()

    def _drop(self, run: UUID) -> None:
        runner = self._runs.pop(run, None)
        self._unsaved.take(run)
        self._starting.forget(run)
        if runner is not None:
            runner.dismiss()

    def _rebuild(self, run: UUID, *, after: float = 0.0) -> None:
        if run in self._rebuilding:
            return
        self._rebuilding.add(run)
        self._care(run, partial(self._load_again, run, after))

    async def _load_again(self, run: UUID, after: float) -> None:
        await asyncio.sleep(after)
        try:
            owned, rows = await self._read_undisturbed(run)
        finally:
            self._rebuilding.discard(run)
        previous = self._runs.pop(run, None)
        if previous is not None:
            previous.dismiss()
        unsaved = self._unsaved.take(run)
        if not owned or not rows:
            return
        in_flight = {key for owner, key in self._attempts if owner == run}
        in_flight |= {done.key for done in unsaved}
        runner = self._runner(rows[0])
        self._runs[run] = runner
        with self._parking(run):
            self._settled(runner, runner.begin(attempting=in_flight))
        self.places.driven(run)
        if self._runs.get(run) is runner:
            self._unsaved.add(run, (done for done in unsaved if done.ride is None))
        for done in unsaved:
            if self._runs.get(run) is runner:  # else it was read anew, with all that is left
                await (self._take(run, done) if done.ride is None else self._again(run, done))

    async def _read_undisturbed(self, run: UUID) -> tuple[bool, list[Loaded]]:
        """Read a run such that nothing was claimed, written or let go of while it was read."""
        while True:
            await self.committer.settled(run)
            before = self.epoch, self._runs.get(run)
            found = await insisting(lambda: self._read_again(run))
            if before == (self.epoch, self._runs.get(run)):
                return found

    async def _read_again(self, run: UUID) -> tuple[bool, list[Loaded]]:
        async with self.database.transaction() as connection:
            owned = await runs.heard(connection, run, worker=self.worker, epoch=self.epoch)
            rows = await self._load(connection, [run])
            return owned and self.heart.holds(), rows

    async def _poisoned(self, run: UUID, why: Exception) -> None:
        """A run that cannot be read, driven or written parks, and says why; the others go on."""
        told("run", why, run=reference("run", run))
        self._drop(run)
        self._rebuilding.add(run)  # it is ours until it is parked
        try:
            await self.committer.settled(run)
            with contextlib.suppress(NotWaiting):  # it has ended meanwhile
                await insisting(lambda: self.incidents.park_poisoned(self, run, why))
        finally:
            self._rebuilding.discard(run)
        self.notices.tell()

    # --- attempts ---------------------------------------------------------------------------

    def _attempt(self, run: Runner, key: str) -> None:
        opened, act = run.open.get(key), run.acts.get(key)
        if opened is None or not isinstance(act, StepAct) or not self.heart.holds():
            return
        call, limit = self._caller.call(act), self.limits.outcome_bytes
        guard = self.incidents.holding.guard
        begun = begun_of(run, opened, act, call, limit, self.heart.holds, guard)
        self._attempts[run.id, key] = asyncio.create_task(self._make(run.id, begun))

    async def _make(self, run: UUID, begun: Begun) -> None:
        try:
            if not self.heart.holds():  # the whole process may have slept since this was made
                return
            done = await self.attempt(begun)
        except LeaseLost:
            return  # the heartbeat drops the run; its next owner finds the attempt in doubt
        finally:
            if self._attempts.get((run, begun.key)) is asyncio.current_task():
                del self._attempts[run, begun.key]
        self._unsaved.add(run, [done])  # at once: the run may be read anew from now on
        with self._parking(run):
            await self._take(run, done)

    async def _take(self, run: UUID, done: Finished) -> None:
        runner, view = self._runs.get(run), None
        before: granting.Before = {}
        if runner is not None and isinstance(done.error, StepError):
            look = partial(self.incidents.view, self, runner, done)
            view = await while_held(look, self.heart.holds)
        elif runner is not None and done.error is None:
            read = partial(granting.held, self.database, runner, done.key, done.effect, done.value)
            before = await while_held(read, self.heart.holds) or {}
        if runner is None or self._runs.get(run) is not runner:
            if run not in self._runs:  # else it was read anew, and goes on with what is unsaved
                self._unsaved.take(run)
                done.leave()
            return
        if run in self._rebuilding:
            done.leave()  # a transaction is made again
            return
        with self._parking(run):
            steps.finish(runner, done, view, before)
            settled = runner.settle()
            let_ride(settled.change, done)
            self._settled(runner, settled)

    async def _again(self, run: UUID, done: Finished) -> None:
        """Make an attempt once more whose transaction was undone, unless it was done after all."""
        done.leave()
        runner = self._runs.get(run)
        if runner is not None and steps.is_due_again(runner, done):
            self._attempt(runner, done.key)
        elif runner is not None:
            with self._parking(run):
                self._settled(runner, runner.settle())

    def _keep(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let work go on beside; the worker ends with what it fails with."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._done)

    def _care(self, run: UUID, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Let work on one run go on beside; what it fails with puts that run off, no other."""

        async def watched() -> None:  # begins the work itself: it may be cancelled before
            if not await cared("run", work(), run=reference("run", run)):
                self._drop(run)
                off = partial(runs.put_off, worker=self.worker, pause=_PUT_OFF)
                await insisting(lambda: off(self.database, run))

        self._keep(watched())

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = error
            self._stopping = self._has_left = True
            self._alarm.poke()
            raise error
