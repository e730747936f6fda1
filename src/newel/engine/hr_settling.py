"""Making what ought to exist out of one HR record: one transaction keeps what is known and starts.

    record, and what was known -> verdicts (pure) -> amend, cancel, pause -> start -> what is known
                                                    + what a person has to confirm first

Runs are started in the transaction that keeps what is known: a step that is carried out twice
starts nothing twice. The record itself is not kept: it is personal, and HR has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import orjson

from newel.base.errors import RequestError
from newel.base.ids import reference
from newel.connectors.hr import Employee
from newel.connectors.hr_deciding import Known, Standing, Verdict, decided, first_day
from newel.connectors.hr_feed import Asked, Asking, Feed
from newel.domain.change import Change
from newel.domain.limits import Priority
from newel.engine.beginning import Begin, in_turn
from newel.engine.hr_runs import HrRuns
from newel.engine.operating import Operating
from newel.store import hr, registry
from newel.store.database import Connection, Row

__all__ = ["Confirmable", "HrRecords", "Read", "Settled"]

_HELD: Final = timedelta(hours=72)
_AGAIN: Final = timedelta(hours=6)

Confirmable = Literal["confirm: cancel onboarding", "confirm: start offboarding"]
_CONFIRMED: Final[tuple[Confirmable, ...]] = (
    "confirm: cancel onboarding",
    "confirm: start offboarding",
)


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What followed from a record.

    runs: those it started. asks: what HR has to look at. confirms: what is done when a second
    person has said so. renames: whether their accounts have to be renamed.
    """

    verdicts: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    confirms: tuple[Confirmable, ...] = ()
    renames: bool = False
    number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A record as it stands, with that of the person's manager; None where HR has none."""

    id: str
    employee: Employee | None
    manager: Employee | None


@dataclass(slots=True)
class _Making:
    """What one transaction makes of a record."""

    asked: Asked | None
    onboarding: UUID | None
    offboarding: UUID | None
    now: datetime
    look_at: datetime | None = None
    is_refused: bool = False
    changes: list[Change] = field(default_factory=list[Change])
    runs: list[str] = field(default_factory=list[str])
    asks: list[str] = field(default_factory=list[str])


class HrRecords:
    """The employments of one feed, and the runs that follow from them."""

    def __init__(self, operating: Operating, feed: Feed, *, begin: Begin) -> None:
        """Take the declaration; begin: starts a run in the caller's transaction."""
        self._operating = operating
        self._feed = feed
        self._runs = HrRuns(operating, feed.name, begin=begin)

    async def settle(self, read: Read) -> Settled:
        """Make what follows from a record; the same record again makes nothing."""

        async def once() -> tuple[Settled, list[Change]]:
            async with self._operating.database.transaction() as connection:
                return await self._settle(connection, read)

        return await self._told(*await in_turn(once))

    async def confirmed(self, read: Read, what: Confirmable, by: str) -> Settled:
        """Do what a person has confirmed, if the record still says so."""

        async def once() -> tuple[Settled, list[Change]]:
            async with self._operating.database.transaction() as connection:
                return await self._confirmed(connection, read, what, by)

        return await self._told(*await in_turn(once))

    async def is_about(self, read: Read, who: str) -> bool:
        """Whether a person, by their reference, is the one whom a record is about."""
        if read.employee is None:
            return False
        number, email = read.employee.number, read.employee.work_email or ""
        async with self._operating.database.transaction() as connection:
            found = await registry.people_known(connection, ref=None, hr_key=number, email=email)
        return any(reference("per", each["ref"]) == who for each in found)

    async def _told(self, settled: Settled, changes: Sequence[Change]) -> Settled:
        for change in changes:
            self._operating.tell(change)
        return settled

    async def _settle(self, connection: Connection, read: Read) -> tuple[Settled, list[Change]]:
        row = await hr.locked(connection, self._feed.name, read.id)
        making = await self._making(connection, row, read)
        known = _known(row, making.now)
        verdicts = decided(
            known,
            read.employee,
            *_digests(read.employee),
            today=self._today(making.now),
            late=self._feed.late,
        )
        if "wait for the former employment" in verdicts:
            await hr.look_again(connection, self._feed.name, read.id, making.now + _AGAIN)
            return Settled(verdicts=verdicts), []
        is_held = row["look_at"] is not None and row["look_at"] > making.now
        making.look_at = row["look_at"] if is_held and not verdicts else None
        # Other runs first, each in a transaction of its own: what is started here takes locks.
        for verdict in sorted(verdicts, key=lambda each: each.startswith("start")):
            if not making.is_refused:  # whoever cannot come yet does not leave either
                await self._carry_out(connection, verdict, making)
        await self._keep(connection, known, read, making)
        return _settled(verdicts, making), making.changes

    async def _making(self, connection: Connection, row: Row, read: Read) -> _Making:
        now: datetime = await registry.now(connection)
        employee, asked = read.employee, None
        if employee is not None:
            ends_on = employee.ends_on
            at_once = (
                not _has_gone(employee) and ends_on is not None and ends_on <= self._today(now)
            )
            asked = Asked(employee=employee, manager=read.manager, at_once=at_once)
        return _Making(
            asked=asked, onboarding=row["onboarding"], offboarding=row["offboarding"], now=now
        )

    async def _keep(
        self, connection: Connection, known: Known, read: Read, making: _Making
    ) -> None:
        """Keep what the record says; who was refused has no last day yet."""
        employee = read.employee
        position, name = _digests(employee)
        starts_on = first_day(
            known,
            employee,
            is_onboarded=making.onboarding is not None,
            today=self._today(making.now),
            late=self._feed.late,
        )
        await hr.settle(
            connection,
            self._feed.name,
            read.id,
            hr.Settled(
                starts_on=starts_on,
                ends_on=None if employee is None or making.is_refused else employee.ends_on,
                position=position,
                name=name,
                onboarding=making.onboarding,
                offboarding=making.offboarding,
                look_at=making.look_at,
            ),
        )

    async def _carry_out(self, connection: Connection, verdict: Verdict, making: _Making) -> None:
        feed = self._feed
        try:
            match verdict:
                case "new employment":
                    making.onboarding = making.offboarding = None
                case "start onboarding":
                    making.onboarding = await self._start(connection, feed.starts, making)
                case "start change" if feed.changes is None:
                    await self._runs.amend(making.onboarding, feed.starts, making.asked)
                case "start change":
                    await self._start(connection, feed.changes, making)
                case "start offboarding":
                    making.offboarding = await self._start(connection, feed.ends, making)
                case "amend onboarding":
                    await self._runs.amend(making.onboarding, feed.starts, making.asked)
                case "amend offboarding":
                    await self._runs.amend(making.offboarding, feed.ends, making.asked)
                case "cancel onboarding":
                    await self._runs.cancel(making.onboarding, "HR has taken the employment back")
                    making.onboarding = None
                case "cancel offboarding":
                    await self._runs.cancel(making.offboarding, "HR has taken the last day back")
                    making.offboarding = None
                case "pause onboarding":
                    await self._runs.pause(making.onboarding, "HR has entered the last day")
                case "hold the last day":
                    making.look_at = making.now + _HELD
                case "rename accounts" | "wait for the former employment":
                    return  # told by whoever reads the verdicts
                case "confirm: cancel onboarding" | "confirm: start offboarding":
                    return  # done when a person has said so
                case _:
                    making.asks.append(f"HR record: {verdict.removeprefix('ask: ')}.")
        except RequestError as refusal:
            making.is_refused = making.is_refused or verdict == "start onboarding"
            making.asks.append(f"HR record: could not {verdict}. {refusal}")

    async def _confirmed(
        self, connection: Connection, read: Read, what: Confirmable, by: str
    ) -> tuple[Settled, list[Change]]:
        row = await hr.locked(connection, self._feed.name, read.id)
        making = await self._making(connection, row, read)
        employee = read.employee
        try:
            if what == "confirm: cancel onboarding" and _has_gone(employee):
                await self._runs.cancel(
                    row["onboarding"], "HR has taken the employment back", by=by
                )
            is_ending = making.asked is not None and making.asked.at_once
            if what == "confirm: start offboarding" and is_ending and row["offboarding"] is None:
                making.offboarding = await self._start(
                    connection, self._feed.ends, making, priority="high", by=by
                )
        except RequestError as refusal:
            making.asks.append(f"HR record: could not do what was confirmed. {refusal}")
        kept = {name: row[name] for name in ("starts_on", "ends_on", "position", "name")}
        await hr.settle(
            connection,
            self._feed.name,
            read.id,
            hr.Settled(
                **kept,
                onboarding=making.onboarding,
                offboarding=making.offboarding,
                look_at=row["look_at"],
            ),
        )
        return _settled((), making), making.changes

    async def _start(
        self,
        connection: Connection,
        asking: Asking | None,
        making: _Making,
        *,
        priority: Priority | None = None,
        by: str | None = None,
    ) -> UUID | None:
        begun = await self._runs.start(connection, asking, making.asked, priority=priority, by=by)
        if begun is not None and begun.change is not None:
            making.changes.append(begun.change)
            making.runs.append(reference("run", begun.run))
        return None if begun is None else begun.run

    def _today(self, now: datetime) -> date:
        return now.astimezone(self._feed.zone).date()


def _settled(verdicts: tuple[Verdict, ...], making: _Making) -> Settled:
    number = "" if making.asked is None else making.asked.employee.number
    return Settled(
        verdicts=verdicts,
        runs=tuple(making.runs),
        asks=tuple(_about(why, number) for why in making.asks),
        confirms=tuple(each for each in _CONFIRMED if each in verdicts),
        renames="rename accounts" in verdicts,
        number=number,
    )


def _about(why: str, number: str) -> str:
    return f"{why} (employee {number})" if number else why


def _has_gone(employee: Employee | None) -> bool:
    if employee is None or employee.starts_on is None:
        return True
    return employee.ends_on is not None and employee.ends_on <= employee.starts_on


def _known(row: Row, now: datetime) -> Known:
    hold: Standing = "none"
    if row["look_at"] is not None:
        hold = "open" if row["look_at"] > now else "over"
    return Known(
        starts_on=row["starts_on"],
        ends_on=row["ends_on"],
        position=row["position"],
        name=row["name"],
        onboarding=_standing(row["onboarding"], is_over=row["is_onboarded"]),
        offboarding=_standing(row["offboarding"], is_over=row["is_offboarded"]),
        hold=hold,
    )


def _standing(run: UUID | None, *, is_over: bool) -> Standing:
    if run is None:
        return "none"
    return "over" if is_over else "open"


def _digests(employee: Employee | None) -> tuple[bytes, bytes]:
    """Digest what a person does and is called, so that a change is seen and nothing is kept."""
    if employee is None:
        return b"", b""
    does: Sequence[object] = (
        employee.id, employee.number, employee.title, employee.department, employee.location,
        employee.manager, sorted(employee.more.items()),
    )  # fmt: skip
    called = (employee.id, employee.number, employee.given_name, employee.family_name)
    return hashlib.sha256(orjson.dumps(does)).digest(), hashlib.sha256(
        orjson.dumps(called)
    ).digest()
