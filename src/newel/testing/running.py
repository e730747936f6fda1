"""One run in memory, with all that a company's people and its time would do to it.

    async with running(onboarding.request(jane), at="2026-01-02") as run:
        await run.decide("manager-confirms", approved=True)
        assert run.waiting() == {"first-day"}
        run.clock.move_to(jane.starts_at)
        assert await run.result() == Onboarded("jane@example.test", payroll_id=ANY)

The engine is production's: runner, keys, journal, verbs, incidents; its database is in memory
and its time is the test's, so nothing sleeps and nothing is left to chance. Every verb returns
when the run rests again, and the clock never moves by itself.

    for crash in await every_crash(play): await play(crash)       # killed at every boundary
    for order in interleavings(200): await play(order)        # branches resumed in other orders

where `play` opens `running(request, crash=crash)` or `running(request, order=order)`. `processes=`
names what else the deployment has: children that are spawned, awaited or started beside it;
`run.runs("training")` are the runs of such a process. `code=` gives the processes that workers
have instead of those of the same names, and `run.deploy(…)` replaces them in mid-run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.errors import NotEnded
from newel.connectors.base import Connector
from newel.drawing.drawing import Drawing, drawing_of
from newel.drawing.plan import Plan
from newel.engine.incidents import Probed
from newel.engine.ticketing import Channel
from newel.engine.worker import WorkerSettings
from newel.flow.process import Process, Request
from newel.flow.reading import sites
from newel.testing.acting import OPERATOR, Acted
from newel.testing.boundaries import Crash
from newel.testing.desk import TicketDesk
from newel.testing.orders import Order
from newel.testing.saas import active
from newel.testing.scene import Scene
from newel.testing.seeing import Failed, Seen
from newel.testing.stage import Stage

__all__ = [
    "OPERATOR",
    "Clock",
    "EndedOtherwise",
    "Run",
    "StillWaits",
    "began",
    "definitions",
    "led",
    "running",
    "systems",
    "wire",
]

R = TypeVar("R")
T = TypeVar("T")

_MONDAY: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)


class StillWaits(NotEnded):
    """The run has not ended; says what it waits for."""

    def __init__(self, run: Seen) -> None:
        super().__init__(run=run.name, state=run.row["state"])
        self.args = (f"{run.process.name} {run.waits_for()}",)


class EndedOtherwise(AssertionError):
    """The run has ended without a result: failed or cancelled."""


class Clock:
    """The time of the deployment. It goes forwards when a test says so, and never by itself."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def now(self) -> datetime:
        """`newel.now()`."""
        return self._scene.now()

    def move_to(self, moment: datetime | str) -> None:
        """Let time pass up to a moment; what is due on the way happens in order.

        moment: aware, or text in ISO 8601, which means UTC where it names no zone.
        """
        self._scene.move_to(_moment(moment))

    def advance(self, span: timedelta) -> None:
        """Let so much time pass."""
        self._scene.move_to(self.now() + span)

    def move_to_next(self) -> bool:
        """Let time pass up to the next moment at which something happens; False if none comes."""
        due = self._scene.next_due()
        if due is not None:
            self._scene.move_to(max(due, self.now()))
        return due is not None


class Run(Acted, Generic[R]):
    """A run, with all that a company's people and its time do to it, and what it has come to."""

    def __init__(self, scene: Scene, id_: UUID, process: Process[..., R], desk: TicketDesk) -> None:
        """Hold the run with this id."""
        super().__init__(scene, id_, process)
        self.clock = Clock(scene)
        self.tickets = desk

    async def start(self, request: Request[T], *, actor: Actor = OPERATOR) -> Run[T]:
        """Start another run in the same deployment."""
        return _started(self._scene, request, actor, self.tickets)

    async def fork(self, key: str, *, actor: Actor = OPERATOR) -> Run[R]:
        """Start another run from this one's journal up to a key; this one stays as it is."""
        other: UUID = self._do(self.engine.fork(self.id, key, actor=actor))
        return Run(self._scene, other, self.process, self.tickets)

    def deploy(self, *processes: Process[..., Any]) -> None:  # Any: each has its own result
        """Replace the code of processes by others of the same names; the run goes on with it."""
        kept = {name: each for name, each in self.engine.processes.items() if "." not in name}
        for name in (name for each in processes for name in each.formerly):
            kept.pop(name, None)
        kept |= {each.name: each for each in processes}
        self._scene.deploy(list(kept.values()))
        self._scene.settle()

    async def result(self) -> R:
        """What the run has come to.

        Raises StillWaits, which says what for, or EndedOtherwise with the reason.
        """
        self._is_looked_at = True
        row = self.row
        if row["finished_at"] is None:
            raise StillWaits(self)
        last = next(each for each in reversed(self.events()) if each["type"].startswith("run."))
        if row["state"] != "completed":
            said = "" if last["payload"] is None else self._opened(last["payload"]).decode()
            raise EndedOtherwise(f"{self.process.name} is {row['state']}: {said}")
        result: R = self.process.result.load(self._opened(last["payload"]))
        return result

    def plan(self) -> Plan:
        """What is done, open and still to come, and why."""
        found: Plan = self._scene.run(self.engine.plan(self.id))
        return found

    def drawing(self) -> Drawing:
        """The picture of its process, as the code that workers have now draws it."""
        return drawing_of(self.engine.processes[self.process.name])

    def runs(self, process: str) -> list[Run[Any]]:  # Any: another process's result
        """The runs of a process in this deployment, in the order of their starts."""
        found = [row for row in self._scene.rows("run") if row["process"] == process]
        found.sort(key=lambda row: (row["started_at"], row["id"]))
        definition = self.engine.processes[process]
        return [Run(self._scene, row["id"], definition, self.tickets) for row in found]

    def told(self) -> str:
        """Everything that is open in the deployment, for messages."""
        return self._scene.told()

    def _unread(self) -> Iterator[str]:
        """What went wrong without the test having looked."""
        if self._is_looked_at:
            return
        row = self.row
        if row["state"] == "failed" or row["parked_reason"] in {"bug", "blocked", "drifted"}:
            yield f"{self.process.name} is {row['state']}: {self.waits_for()}"
        if row["finished_at"] is None:
            for key in self.done():
                if isinstance(self.outcome(key), Failed):
                    yield f"`{key}` has failed: {self.outcome(key)}"


@asynccontextmanager
async def running(
    request: Request[R],
    *,
    at: datetime | str | None = None,
    crash: Crash | None = None,
    order: Order | None = None,
    code: Process[..., Any] | Sequence[Process[..., Any]] = (),  # Any: as everywhere
    processes: Sequence[Process[..., Any]] = (),
    connectors: Sequence[Probed] = (),
    desk: Channel | None = None,
    workers: int = 1,
    settings: WorkerSettings | None = None,
    actor: Actor = OPERATOR,
    reads: bool = True,
) -> AsyncIterator[Run[R]]:
    """Start a run in memory and let it go as far as it can; see the module.

    at: the time it is then; a Monday morning without it. crash, order: what to test with.
    code: other definitions for processes of the same names. processes: which others there are.
    connectors: systems to be probed in an outage, beside those that the processes use.
    reads: whether what cannot be drawn is refused at once, as in production; False is for what is
    refused only when it runs.
    """
    given = definitions(request, code, processes)
    tickets = TicketDesk()
    stage = Stage(
        given,
        begins=began(at),
        seed=0 if order is None else order.seed,
        is_shuffled=order is not None,
        crash=crash,
        connectors=systems(given, connectors),
        desk=desk or tickets,
        settings=settings,
        reads=reads,
    )
    wire(stage)
    with stage.open():
        for _ in range(workers - 1):
            stage.hire()
        with led(stage, request, actor, tickets) as run:
            try:
                yield run
            except BaseException as error:
                for what in (crash, order):
                    if what is not None:
                        error.add_note(f"with {what}")
                raise


@contextmanager
def led(scene: Scene, request: Request[R], actor: Actor, desk: TicketDesk) -> Iterator[Run[R]]:
    """Start a run; what has gone wrong in it and was not looked at is an error at the end."""
    run = _started(scene, request, actor, desk)
    yield run
    if unread := [*run._unread()]:  # noqa: SLF001 - the end of the block is its last reader
        raise EndedOtherwise("; ".join(unread))


def definitions(
    request: Request[Any],  # Any: each process has its own result
    code: Process[..., Any] | Sequence[Process[..., Any]],
    processes: Sequence[Process[..., Any]],
) -> list[Process[..., Any]]:
    """The processes of a deployment: the one that is asked for, others, and who replaces them."""
    given = {request.process.name: request.process} | {each.name: each for each in processes}
    given |= {each.name: each for each in ([code] if isinstance(code, Process) else code)}
    return list(given.values())


def wire(scene: Scene) -> None:
    """Let a deployment's connectors speak to the test's simulators, if it has any, in its time."""
    found = active()
    if found is not None:
        found.wire(*(each for each in scene.engine.connectors if isinstance(each, Connector)))
        found.follow(scene.now)


def _started(scene: Scene, request: Request[R], actor: Actor, desk: TicketDesk) -> Run[R]:
    started = scene.run(scene.engine.start(request, actor=actor))
    scene.settle()
    return Run(scene, started.run, request.process, desk)


def systems(
    processes: Sequence[Process[..., Any]],
    given: Sequence[Probed],  # Any: as above
) -> list[Probed]:
    """The systems that the processes use, once each by credential."""
    found: dict[str, Probed] = {each.credential: each for each in given}
    for process in processes:
        for site in sites(process).values():
            owner = site.step.owner
            if owner is not None and hasattr(owner, "probe") and hasattr(owner, "credential"):
                found.setdefault(owner.credential, owner)  # type: ignore[arg-type]  # it has what is needed
    return list(found.values())


def began(at: datetime | str | None) -> datetime:
    """The moment at which a test begins: a Monday morning, unless it says when."""
    return _MONDAY if at is None else _moment(at)


def _moment(given: datetime | str) -> datetime:
    found = datetime.fromisoformat(given) if isinstance(given, str) else given
    if found.tzinfo is None and isinstance(given, str):
        return found.replace(tzinfo=UTC)
    return found
