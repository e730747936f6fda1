"""HR feeds at work: a hint starts a run that reads the record and makes what ought to exist.

    delivery, or a question what has changed -> a hint, kept once -> run of `newel.NAME-record`
      read the record -> make what ought to exist (`hr_settling`) -> ask, confirm, rename

One record is settled at a time, and read after it is its turn, so what is read last is what is
settled last. Cutting access at once, and undoing an onboarding after the first day, need a second
person beside whoever has entered it in HR.
Source: product document, §7.1; connectors document, §17.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from newel.connectors.hr import Employee
from newel.connectors.hr_feed import Feed
from newel.domain.people import Team
from newel.domain.values import Decision, Done
from newel.engine.beginning import Begin
from newel.engine.hooks import Hooks
from newel.engine.hr_settling import Confirmable, HrRecords, Read, Settled
from newel.engine.named import by_name
from newel.engine.operating import Operating
from newel.flow.act import Act
from newel.flow.forms import form
from newel.flow.hooks import Arrived, Delivery, Hook
from newel.flow.locks import lock
from newel.flow.parallel import parallel
from newel.flow.process import Process, Request, process
from newel.flow.schedules import Schedule, every
from newel.flow.step import step
from newel.flow.waits import approval
from newel.store import hr, registry

__all__ = ["HrFeed", "Told", "hr_feeds"]

_FIRST_LOOK: Final = timedelta(days=1)
_TURN: Final = lock("hr-record", shared=True)


@dataclass(frozen=True, kw_only=True)
class Told:
    """Whose record may have changed, by the HR system's own id."""

    employee: str


_HR: Final = Team("hr")
_KEYS: Final[dict[Confirmable, str]] = {
    "confirm: cancel onboarding": "cancel-onboarding",
    "confirm: start offboarding": "end-now",
}
_TITLES: Final[dict[Confirmable, str]] = {
    "confirm: cancel onboarding": "confirm that somebody does not come",
    "confirm: start offboarding": "confirm that access ends now",
}
_CONFIRMING: Final[dict[Confirmable, str]] = {
    "confirm: cancel onboarding": (
        "HR has taken the employment back, after the first day. Yes: the onboarding is cancelled, "
        "and what it gave is taken back. No: it goes on; put the record right."
    ),
    "confirm: start offboarding": (
        "HR has entered a last day that has come or is over. Yes: the offboarding starts now, "
        "before all other work. No: nothing is taken away; put the record right."
    ),
}
"""What a second person says before access is cut or an onboarding is undone: whoever has entered it
in HR is the first."""


def look_at(key: str, asks: Sequence[str]) -> Act[Done]:
    """Ask HR to look at a record."""
    return form(key, by=_HR, title="look at an HR record", instructions="\n".join(asks))


def renamed(number: str) -> Act[Done]:
    """Ask for a new name where accounts show the old one: vendors rename only by hand."""
    return form(
        "rename-accounts",
        by=Team("it"),
        title="rename somebody's accounts",
        instructions=(
            f"HR has entered another name for employee {number}. Change it where their accounts "
            "show it; an address that was given stays theirs."
        ),
    )


class HrFeed:
    """One feed: its steps go by the name and the credential of its system."""

    def __init__(self, operating: Operating, feed: Feed, *, begin: Begin) -> None:
        """Take the declaration; begin: starts a run in the caller's transaction."""
        self.name = feed.system.name
        self.credential = getattr(feed.system, "credential", None)
        self.owner = feed.system.owner
        self._operating = operating
        self._feed = feed
        self._records = HrRecords(operating, feed, begin=begin)
        self.hooks: Hooks | None = None
        self.record = self._record()
        self.poll = self._poll()
        self.hook = Hook(
            name=feed.name,
            verifier=feed.signed,
            reacting=self._hinted,
            silent_after=feed.silent_after,
            owner=self.owner,
            also=(f"{feed.name}-changes",),
            place=feed.place,
        )
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
        settle, do_confirmed, is_their_own = (
            self.settle_record,
            self.do_confirmed,
            self.is_their_own,
        )

        def asked(key: str, what: Confirmable, number: str) -> Act[Decision]:
            return approval(
                key,
                by=_HR,
                title=_TITLES[what],
                instructions=f"{_CONFIRMING[what]} (employee {number})",
                four_eyes=_KEYS[what],
            )

        async def confirm(told: Told, what: Confirmable, number: str) -> None:
            answer = await asked(_KEYS[what], what, number)
            if await is_their_own[_KEYS[what]](told, answer.by):  # nobody decides about themselves
                answer = await asked(f"{_KEYS[what]}-by-another", what, number)
            if answer.approved:
                async with _TURN[told.employee]:
                    done = await do_confirmed[_KEYS[what]](told, what, answer.by)
                if done.asks:
                    await look_at(f"look-after-{_KEYS[what]}", done.asks)

        @process(
            name=f"newel.{self._feed.name}-record", title="HR record", owner="hr", subject=None
        )
        async def record(told: Told) -> Settled:
            """Read a record of HR, and make what ought to follow."""
            async with _TURN[told.employee]:
                settled = await settle(told)
            waits: list[Awaitable[Any]] = [  # Any: each has its own result
                confirm(told, what, settled.number) for what in settled.confirms
            ]
            if settled.renames:
                waits.append(renamed(settled.number))
            if settled.asks:
                waits.append(look_at("look-at-record", settled.asks))
            if waits:
                await parallel(*waits)
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
        told = [(hint.event, hint.employee) for hint in found.hints]
        for employee, moment in await hr.to_look_at(database, self._feed.name):
            told.append((f"again/{employee}/{moment.isoformat()}", employee))
        new = 0
        for event, employee in told:
            received = await self.hooks.receive_from(
                self._asking, Arrived(id=event), {"employee": employee}
            )
            new += received.is_new
        await hr.ask_from(database, self._feed.name, found.until)
        return new

    @step(name="settle-record", in_doubt="repeat", title="Read the HR record and act on it")
    async def settle_record(self, told: Told) -> Settled:
        """Read a record and make what ought to follow; the same record again makes nothing."""
        return await self._records.settle(await self._read(told))

    @step(name="do-confirmed", in_doubt="repeat", title="Do what HR has confirmed")
    async def do_confirmed(self, told: Told, what: Confirmable, by: str) -> Settled:
        """Read the record once more, and do what was confirmed if it still says so."""
        return await self._records.confirmed(await self._read(told), what, by)

    @step(name="is-their-own", in_doubt="repeat", title="See that nobody decides about themselves")
    async def is_their_own(self, told: Told, by: str) -> bool:
        """Whether whoever has answered is the person whom the record is about."""
        return await self._records.is_about(await self._read(told), by)

    async def _read(self, told: Told) -> Read:
        read = self._feed.system.read_employee.plain
        employee: Employee | None = await read(told.employee)
        manager: Employee | None = None
        if employee is not None and employee.manager is not None:
            manager = await read(employee.manager)
        return Read(id=told.employee, employee=employee, manager=manager)


def hr_feeds(operating: Operating, feeds: Sequence[Feed], *, begin: Begin) -> list[HrFeed]:
    """Put the feeds to work; raises DefinitionError for a name that is used twice."""
    declared = by_name("feeds", feeds, fix='`hr_feed(…, name="…")` for one of them.', code="F711")
    return [HrFeed(operating, each, begin=begin) for each in declared.values()]
