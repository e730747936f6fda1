"""The play: Jane Doe and Richard Roe are onboarded while GitHub is down for two hours.

Nobody waits an hour: whenever nothing is due and nobody works, the demo's clock is moved to the
next moment at which something is. All else is real: requests over HTTP, a database, workers that
are processes, one of which is killed while it waits for Jira's answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final
from uuid import UUID

from newel.base.errors import StoreError
from newel.base.ids import parse_reference
from newel.cli.demo.outside import Newel, Simulators
from newel.cli.demo.programs import Program
from newel.cli.demo.story import Story
from newel.store import deployment, open_acts, runs
from newel.store.database import Database, Row

__all__ = ["Hired", "Scenario", "first_monday"]

_LOOK_S: Final = 0.03
_PATIENCE_S: Final = 60.0
_SKEW: Final = timedelta(milliseconds=5)
_OUTAGE: Final = timedelta(hours=2)
_NOTICE: Final = timedelta(days=7)
_OFFICE_OPENS: Final = 9
_ANSWER_LATE_MS: Final = 1_000
_FIRST_DAY: Final = frozenset({"first-day"})
_INCIDENT: Final = "newel.incident"
_GITHUB_NAME: Final = "janedoe"

Holds = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hired:
    """Somebody whose onboarding was started: run and person as references, the run's id."""

    name: str
    run: str
    id: UUID
    person: str
    manager: str


class Scenario:
    """One performance, on a stage that is set up."""

    def __init__(
        self,
        *,
        database: Database,
        newel: Newel,
        simulators: Simulators,
        workers: Sequence[Program],
        story: Story,
    ) -> None:
        """Take the stage: where to look, what to call, whom to kill, where to tell."""
        self._database = database
        self._newel = newel
        self._simulators = simulators
        self._workers = list(workers)
        self._story = story
        self._first_day: datetime
        self._outage_began: datetime
        self.worker_killed = False
        self.after_heal: Mapping[str, int] = {}

    async def play(self) -> Hired:
        """Play it from the start to Jane's end; raises StoreError if something does not come."""
        jane, richard = await self._started()
        await self._asked(jane, richard)
        await self._outage()
        await self._confirmed(jane, richard)
        await self._systems_done(jane, richard)
        await self._three_rounds(jane)
        await self._ticket(jane)
        await self._healed(jane)
        await self._accepted(jane)
        await self._first_days(jane, richard)
        return jane

    # --- the scenes -------------------------------------------------------------------------

    async def _outage(self) -> None:
        await self._simulators.fail("github", "down", {"effect": "down"})
        # Jira will answer late when it is asked for a ticket: time enough to kill a worker.
        slow = {"kind": "latency", "fixed_ms": _ANSWER_LATE_MS}
        rule = {"effect": slow, "match": {"operation": "createIssue"}, "times": 1}
        await self._simulators.fail("jira", "slow", rule)
        now = await self._now()
        self._outage_began = now
        self._story.tell("GitHub goes down.", now, tone="red")

    async def _started(self) -> tuple[Hired, Hired]:
        self._first_day = first_monday(await self._now(), self._story.zone)
        shared: dict[str, object] = {"starts_at": self._first_day.isoformat()}
        engineer: dict[str, object] = {
            "job": "engineer",
            "team": "platform",
            "repositories": ["acme-example/api"],
            "github_username": _GITHUB_NAME,
        }
        jane = await self._start(_person("Jane Doe"), "Alice Example", shared | engineer)
        seller: dict[str, object] = {"job": "sales", "team": "sales"}
        richard = await self._start(_person("Richard Roe"), "John Sample", shared | seller)
        said = "Jane Doe (engineer) and Richard Roe (sales) are started through the HTTP API."
        self._story.tell(said, await self._now())
        return jane, richard

    async def _start(
        self, person: Mapping[str, str], manager: str, facts: Mapping[str, object]
    ) -> Hired:
        document = {**person, "manager": _person(manager), **facts}
        made = await self._newel.start("onboarding", document, key=f"hired-{person['email']}")
        return Hired(
            name=person["name"],
            run=made["run"],
            id=parse_reference(made["run"])[1],
            person=made["person"],
            manager=_person(manager)["email"],
        )

    async def _asked(self, *hired: Hired) -> None:
        self._story.begin("Their addresses are reserved, and the managers are asked …")

        async def asked() -> bool:
            return len(await self._newel.tasks()) == len(hired)

        await self._until("the managers' tasks", asked)
        said = "No system knows an account at their addresses: both are reserved."
        self._story.tell(said, await self._now())

    async def _confirmed(self, *hired: Hired) -> None:
        managers = {each.person: each.manager for each in hired}
        for task in await self._newel.tasks():
            manager = managers[task["person"]["ref"]]
            await self._newel.approve(task["task"], actor=manager, comment="Welcome!")
        self._story.tell("Their managers say yes, through the API.", await self._now())

    async def _systems_done(self, jane: Hired, richard: Hired) -> None:
        self._story.begin("Accounts are made …")
        began = time.monotonic()

        async def done() -> bool:
            hers = {act["key"] for act in await self._acts(jane)}
            his = {act["key"] for act in await self._acts(richard)}
            return len(hers) == 1 and hers.isdisjoint(_FIRST_DAY) and his == _FIRST_DAY

        await self._until("all systems but GitHub", done)
        now, seconds = await self._now(), time.monotonic() - began
        said = f"Google, then Slack, Jira and Gusto at once: ready after {seconds:.1f} s."
        self._story.tell(said, now)
        self._story.tell("Richard gets Salesforce instead of GitHub; he lacks nothing.", now)
        self._story.tell("Jane's GitHub does not answer. It is tried again.", now, tone="yellow")

    async def _three_rounds(self, jane: Hired) -> None:
        self._story.begin("The demo's clock is moved from attempt to attempt …")
        failed = 0

        async def asked_jira() -> bool:
            nonlocal failed
            for act in await self._acts(jane):
                rounds = (act["detail"] or {}).get("failed_rounds", 0)
                if rounds > failed:
                    failed = rounds
                    said = f"Round {failed} of 3 has failed."
                    self._story.tell(said, await self._now(), tone="yellow")
            return await self._simulators.hits("jira", "slow") > 0

        await self._go_on("Jira being asked for a ticket", asked_jira)

    async def _ticket(self, jane: Hired) -> None:
        """The worker dies between the ticket's POST and the commit of its outcome."""
        pid = await deployment.holder(self._database, _INCIDENT)
        worker = next((each for each in self._workers if each.pid == pid), None)
        if worker is None:
            raise StoreError(f"No worker of this demo opens the ticket (process {pid}).")
        self.worker_killed = await worker.kill() == -9
        said = f"The worker is killed (-9) while it asks Jira for a ticket: process {pid} is gone."
        self._story.tell(said, await self._now(), tone="red")
        self._story.begin("Its lease runs out …")
        ticket = ""

        async def taken_over() -> bool:
            nonlocal ticket
            found = [act["ticket"] for act in await self._acts(jane) if act["ticket"]]
            ticket = next(iter(found), "")
            return bool(ticket)

        await self._go_on("the ticket", taken_over)
        said = f"The other worker takes over, finds that Jira has made {ticket}, and adopts it."
        self._story.tell(said, await self._now())
        self._story.quote(await self._newel.sentence(jane.person))

    async def _healed(self, jane: Hired) -> None:
        self._story.begin("Two hours pass …")
        await self._move_to(self._outage_began + _OUTAGE)
        # The probe that fell due meanwhile still fails; the next one is the first after the heal.
        await self._until("a probe that fails", self._probe_lies_ahead)
        await self._simulators.heal("github", "down")
        self.after_heal = (await self._simulators.books()).sequences
        self._story.tell("GitHub is back.", await self._now())

        async def resumed() -> bool:
            keys = {act["key"] for act in await self._acts(jane)}
            return any(key.startswith("invitation-poll") for key in keys)

        await self._go_on("Jane's invitation", resumed, probes=True)
        said = "A probe sees it: the step goes on by itself and invites Jane. Nobody did anything."
        self._story.tell(said, await self._now())

        async def closed() -> bool:
            rows = await runs.listed(self._database, process=_INCIDENT)
            return [row["state"] for row in rows] == ["completed"]

        await self._until("the ticket's end", closed)
        self._story.tell("The ticket is commented and closed.", await self._now())

    async def _accepted(self, jane: Hired) -> None:
        await self._simulators.act("github", "accept_invitation", who=_GITHUB_NAME)
        self._story.tell("Jane accepts the invitation.", await self._now())

        async def ready() -> bool:
            return {act["key"] for act in await self._acts(jane)} == _FIRST_DAY

        await self._go_on("Jane's team and repository", ready)
        self._story.tell("She joins her team and may use its repository.", await self._now())
        self._story.quote(await self._newel.sentence(jane.person))

    async def _first_days(self, *hired: Hired) -> None:
        self._story.begin("The days until then pass …")
        await self._move_to(self._first_day)

        async def ended() -> bool:
            rows = [await runs.read(self._database, each.id) for each in hired]
            return all(row is not None and row["finished_at"] is not None for row in rows)

        await self._until("the end of both runs", ended)
        self._story.tell("The first day: Slack says welcome, both are done.", await self._now())
        for each in hired:
            self._story.quote(await self._newel.sentence(each.person))
        self._story.end()

    # --- time -------------------------------------------------------------------------------

    async def _now(self) -> datetime:
        return (await deployment.calm(self._database)).as_of

    async def _acts(self, hired: Hired) -> list[Row]:
        return await open_acts.of_runs(self._database, [hired.id])

    async def _probe_lies_ahead(self) -> bool:
        calm = await deployment.calm(self._database)
        return calm.next_probe is not None and calm.next_probe > calm.as_of

    async def _move_to(self, moment: datetime) -> None:
        by = moment - await self._now() + _SKEW
        if by > timedelta(0):
            await self._simulators.move_clock(await deployment.move_clock(self._database, by))

    async def _until(self, what: str, holds: Holds) -> None:
        """Wait for a condition; raises StoreError with where to look if it does not come."""
        deadline = time.monotonic() + _PATIENCE_S
        while not await holds():
            if time.monotonic() > deadline:
                raise self._late(what)
            await asyncio.sleep(_LOOK_S)

    async def _go_on(self, what: str, holds: Holds, *, probes: bool = False) -> None:
        """Move the clock from one due moment to the next until a condition holds.

        The clock is moved only while nobody works and nothing is due, and never to the first day.
        probes: stop at every probe, too; otherwise one that fell due on the way is made late.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            # Read first: what has led to the calm is then seen by the condition, before the move.
            calm = await deployment.calm(self._database)
            if await holds():
                return
            moments = (calm.next_run, calm.next_probe if probes else None)
            ahead = [moment for moment in moments if moment and moment < self._first_day]
            # A probe that is due already belongs to the worker's next look.
            if calm.is_calm and ahead and min(ahead) > calm.as_of:
                await self._move_to(min(ahead))
            elif time.monotonic() > deadline:
                raise self._late(what)
            await asyncio.sleep(_LOOK_S)

    def _late(self, what: str) -> StoreError:
        logs = ", ".join(str(each.log) for each in self._workers)
        return StoreError(f"The demo waited in vain for {what}. The workers' logs: {logs}.")


def first_monday(now: datetime, zone: tzinfo) -> datetime:
    """Give nine o'clock of the first Monday that is more than a week away. Pure."""
    day = (now + _NOTICE).astimezone(zone)
    monday = day + timedelta(days=7 - day.weekday())
    return monday.replace(hour=_OFFICE_OPENS, minute=0, second=0, microsecond=0)


def _person(name: str) -> dict[str, str]:
    return {"name": name, "email": f"{name.lower().replace(' ', '.')}@acme.example"}
