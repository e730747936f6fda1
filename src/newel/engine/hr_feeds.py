"""HR feeds at work: a hint starts a run that reads the record and makes what ought to exist.

    delivery, or a question what has changed -> a hint, kept once -> run of `newel.NAME-record`
      read the record -> decide against what is known (pure) -> start, amend, cancel, ask HR

One record is settled at a time, and read after it is its turn, so what is read last is what is
settled last. Runs are started in the transaction that keeps what is known: a step that is carried
out twice starts nothing twice. The record itself is not kept: it is personal, and HR has it.
Source: product document, §7.1; connectors document, §17.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from newel.audit.leaf import Actor
from newel.base.errors import AlreadyStarted, InvalidInput, NotWaiting, RequestError
from newel.base.ids import parse_reference, reference
from newel.connectors.hr import Employee
from newel.connectors.hr_feed import Asked, Asking, Feed, Known, Verdict, decided
from newel.domain.change import Change
from newel.domain.people import Team
from newel.engine import commands
from newel.engine.beginning import Begin, in_turn
from newel.engine.hooks import Hooks
from newel.engine.operating import Operating
from newel.engine.starting import Wanted
from newel.flow.ambient import this_attempt
from newel.flow.forms import form
from newel.flow.hooks import Arrived, Delivery, Hook
from newel.flow.locks import lock
from newel.flow.process import Process, Request, process
from newel.flow.schedules import Schedule, every
from newel.flow.step import step
from newel.store import hr, registry
from newel.store.database import Connection

__all__ = ["HrFeed", "Settled", "Told"]

_FIRST_LOOK: Final = timedelta(days=1)
_TURN: Final = lock("hr-record", shared=True)


@dataclass(frozen=True, kw_only=True)
class Told:
    """Whose record may have changed, by the HR system's own id."""

    employee: str


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What followed from a record. runs: those it started. asks: what HR has to look at."""

    verdicts: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


@dataclass(slots=True)
class _Making:
    """What one transaction makes of a record."""

    onboarding: UUID | None
    offboarding: UUID | None
    changes: list[Change] = field(default_factory=list[Change])
    runs: list[str] = field(default_factory=list[str])
    asks: list[str] = field(default_factory=list[str])


class HrFeed:
    """One feed: its steps go by the name and the credential of its system."""

    def __init__(self, operating: Operating, feed: Feed, *, begin: Begin) -> None:
        """Take the declaration; begin: starts a run in the caller's transaction."""
        self.name = feed.system.name
        self.credential = getattr(feed.system, "credential", None)
        self.owner = feed.system.owner
        self._operating = operating
        self._feed = feed
        self._begin = begin
        self._ids = operating.vault.ids()
        self._actor = Actor(type="service", id=f"svc_{feed.name}", via=f"webhook/{feed.name}")
        self.hooks: Hooks | None = None
        self.record = self._record()
        self.poll = self._poll()
        self.hook = Hook(name=feed.name, verifier=feed.signed, reacting=self._hinted)
        self._asking = Hook(name=f"{feed.name}-changes", verifier=feed.signed, reacting=self._found)

    @property
    def processes(self) -> tuple[Process[..., Any], ...]:  # Any: each has its own result
        """The built-in processes of this feed."""
        return (self.record, self.poll)

    @property
    def schedule(self) -> Schedule:
        """When the system is asked what has changed."""
        return every(self._feed.poll, self.poll.request(), name=f"{self._feed.name}-changes")

    # --- processes --------------------------------------------------------------------------

    def _record(self) -> Process[[Told], Settled]:
        settle, hr_team = self.settle_record, Team("hr")

        @process(
            name=f"newel.{self._feed.name}-record", title="HR record", owner="hr", subject=None
        )
        async def record(told: Told) -> Settled:
            """Read a record of HR, and make what ought to follow."""
            async with _TURN[told.employee]:
                settled = await settle(told)
            if settled.asks:
                await form(
                    "look-at-record",
                    by=hr_team,
                    title="look at an HR record",
                    instructions="\n".join(settled.asks),
                )
            return settled

        return record

    def _poll(self) -> Process[[], int]:
        ask = self.ask_for_changes

        @process(
            name=f"newel.{self._feed.name}-changes", title="HR changes", owner="hr", subject=None
        )
        async def changes() -> int:
            """Ask the HR system what has changed since the last time."""
            return await ask()

        return changes

    def _hinted(self, delivery: Delivery) -> list[Request[Settled]]:
        employees = {hint.employee: None for hint in self._feed.system.hints(delivery.document)}
        return [self.record.request(Told(employee=each)) for each in employees]

    def _found(self, delivery: Delivery) -> Request[Settled]:
        return self.record.request(Told(employee=delivery.document["employee"]))

    # --- steps ------------------------------------------------------------------------------

    @step(name="ask-for-changes", in_doubt="repeat", title="Ask HR what has changed")
    async def ask_for_changes(self) -> int:
        """Start a look at every record that has changed, once each; gives how many are new."""
        assert self.hooks is not None, "the engine hands it over before anything runs"
        database = self._operating.database
        since = await hr.asked_until(database, self._feed.name)
        if since is None:
            since = await registry.now(database) - _FIRST_LOOK
        found = await self._feed.system.changed.plain(since)
        new = 0
        for hint in found.hints:
            received = await self.hooks.receive_from(
                self._asking, Arrived(id=hint.event), {"employee": hint.employee}
            )
            new += received.is_new
        await hr.ask_from(database, self._feed.name, found.until)
        return new

    @step(name="settle-record", in_doubt="repeat", title="Read the HR record and act on it")
    async def settle_record(self, told: Told) -> Settled:
        """Read a record and make what ought to follow; the same record again makes nothing."""
        read = self._feed.system.read_employee.plain
        employee: Employee | None = await read(told.employee)
        manager: Employee | None = None
        if employee is not None and employee.manager is not None:
            manager = await read(employee.manager)

        async def once() -> tuple[Settled, list[Change]]:
            async with self._operating.database.transaction() as connection:
                return await self._settle(connection, told, employee, manager)

        settled, changes = await in_turn(once)
        for change in changes:
            self._operating.tell(change)
        return settled

    async def _settle(
        self,
        connection: Connection,
        told: Told,
        employee: Employee | None,
        manager: Employee | None,
    ) -> tuple[Settled, list[Change]]:
        feed = self._feed
        row = await hr.locked(connection, feed.name, told.employee)
        now: datetime = await registry.now(connection)
        position = _position(employee)
        verdicts = decided(
            Known(
                starts_on=row["starts_on"],
                ends_on=row["ends_on"],
                position=row["position"],
                onboarding=_standing(row["onboarding"], is_over=row["is_onboarded"]),
                offboarding=_standing(row["offboarding"], is_over=row["is_offboarded"]),
            ),
            employee,
            position,
            today=now.astimezone(feed.zone).date(),
            late=feed.late,
        )
        making = _Making(onboarding=row["onboarding"], offboarding=row["offboarding"])
        # Other runs first, each in a transaction of its own: what is started here takes locks.
        for verdict in sorted(verdicts, key=lambda each: each.startswith("start")):
            asked = None if employee is None else Asked(employee=employee, manager=manager)
            await self._carry_out(connection, verdict, asked, making)
        await hr.settle(
            connection,
            feed.name,
            told.employee,
            starts_on=None if employee is None else employee.starts_on,
            ends_on=None if employee is None else employee.ends_on,
            position=position,
            onboarding=making.onboarding,
            offboarding=making.offboarding,
        )
        number = "" if employee is None else f" (employee {employee.number})"
        asks = tuple(f"{why}{number}" for why in making.asks)
        settled = Settled(verdicts=verdicts, runs=tuple(making.runs), asks=asks)
        return settled, making.changes

    async def _carry_out(
        self, connection: Connection, verdict: Verdict, asked: Asked | None, making: _Making
    ) -> None:
        feed = self._feed
        try:
            match verdict:
                case "new employment":
                    making.onboarding = making.offboarding = None
                case "start onboarding":
                    making.onboarding = await self._start(connection, feed.starts, asked, making)
                case "start change":
                    await self._start(connection, feed.changes, asked, making)
                case "start offboarding":
                    making.offboarding = await self._start(connection, feed.ends, asked, making)
                case "amend onboarding":
                    await self._amend(making.onboarding, feed.starts, asked)
                case "amend offboarding":
                    await self._amend(making.offboarding, feed.ends, asked)
                case "cancel onboarding":
                    await self._cancel(making.onboarding, "HR has taken the employment back")
                case "cancel offboarding":
                    await self._cancel(making.offboarding, "HR has taken the last day back")
                    making.offboarding = None
                case _:
                    making.asks.append(f"HR record: {verdict.removeprefix('ask: ')}.")
        except RequestError as refusal:
            making.asks.append(f"HR record: could not {verdict}. {refusal}")

    async def _start(
        self,
        connection: Connection,
        asking: Asking | None,
        asked: Asked | None,
        making: _Making,
    ) -> UUID | None:
        request = None if asking is None or asked is None else asking(asked)
        if request is None:
            return None
        run = self._ids.run_id()
        wanted = Wanted(
            run=run,
            process=request.process,
            arguments=request.arguments,
            actor=self._actor,
            source="webhook",
            source_ref=reference("run", this_attempt().run),
        )
        try:
            async with connection.transaction():  # what a refused start wrote is undone
                change, _ = await self._begin(connection, wanted)
        except AlreadyStarted as there:  # by a person: it is the run that ought to exist
            return parse_reference(there.run)[1]
        making.changes.append(change)
        making.runs.append(reference("run", run))
        return run

    async def _amend(self, run: UUID | None, asking: Asking | None, asked: Asked | None) -> None:
        request = None if asking is None or asked is None or run is None else asking(asked)
        if request is None or run is None:
            return
        given: dict[str, object] = orjson.loads(request.text)
        document = next(iter(given.values())) if len(request.process.parameters) == 1 else given
        try:
            await commands.amend(
                self._operating,
                run,
                document,
                actor=self._actor,
                reason="HR has changed it",
            )
        except InvalidInput as same:
            if "is what the run has already" not in same.fields.get("", ""):
                raise
        except NotWaiting:
            return  # it has ended meanwhile

    async def _cancel(self, run: UUID | None, reason: str) -> None:
        if run is None:
            return
        try:
            await commands.cancel(self._operating, run, actor=self._actor, reason=reason)
        except NotWaiting:
            return  # it has ended meanwhile


def _standing(run: UUID | None, *, is_over: bool) -> Any:  # Any: one of three words
    if run is None:
        return "none"
    return "over" if is_over else "open"


def _position(employee: Employee | None) -> bytes:
    """Digest what a person does, so that a change is seen and nothing is kept."""
    if employee is None:
        return b""
    held: Sequence[object] = (
        employee.id, employee.number, employee.title, employee.department, employee.location,
        employee.manager, sorted(employee.more.items()),
    )  # fmt: skip
    return hashlib.sha256(orjson.dumps(held)).digest()
