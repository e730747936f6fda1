"""Random operations on a pair of databases: each is drawn from a seed and done on both."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from newel.base.errors import LeaseLost
from newel.domain.change import Change, EventRow, Head, Intent
from newel.store.changes import apply
from newel.store.queries import queries
from tests.conformance.pairs import NOON, Pair, in_transaction

MINUTE: Final = timedelta(minutes=1)
STATES: Final = ("running", "waiting", "parked", "completed", "failed", "cancelled")
KEYS: Final = ("a", "b", "c", "paid", "paid#2", "s/paid[x1]#3")


class Operations:
    """What is known of the rows so far, so that most of what is drawn makes sense."""

    RUN = UUID(int=7)

    def __init__(self, pair: Pair, seed: int) -> None:
        self.pair = pair
        self.random = Random(seed)
        self.chance = Random(seed)
        self.workers: list[tuple[int, int]] = []
        self.runs: dict[UUID, int] = {}
        self.people: list[UUID] = []
        self.incidents: list[UUID] = []
        self.grants: list[tuple[UUID, str]] = []

    def uuid(self) -> UUID:
        """An id."""
        return UUID(bytes=self.random.randbytes(16), version=4)

    def moment(self) -> datetime:
        """A moment about noon."""
        return NOON + MINUTE * self.random.randrange(-30, 30)

    async def ask(
        self, name: str, *values: object, is_ordered: bool = True, drawn: str | None = None
    ) -> Any:
        """Ask a named statement of both."""
        module, _, statement = name.partition(".")
        text = getattr(queries(module), statement)
        return await self.pair.both(
            f"{name} {values}",
            lambda each: each.fetch(text, *values),
            is_ordered=is_ordered,
            drawn=drawn,
        )

    async def settle_in(self) -> None:
        """Register processes, people, systems, streams and workers."""
        for process in ("alpha", "beta"):
            await self.ask("registry.add_definition", process, "0" * 64, "", process, "it", "{}")
        for number in range(3):
            person = self.uuid()
            self.people.append(person)
            await self.ask(
                "registry.add_person", person, f"h{number}", f"P {number}", f"p{number}@x.test",
                self.people[0], ["p"],
            )  # fmt: skip
            await self.ask("registry.add_key", person, 1, b"wrapped", "kek")
        for room, at_most in (("process/alpha", 2), ("process/beta", None), ("system/github", 2)):
            await self.ask("rooms.declare", room, at_most)
        await self.ask("streams.made", UUID(int=1), "system/github")
        for _ in range(2):
            made = await self.ask("workers.register", "host", 1, "v", timedelta(hours=1))
            self.workers.append((made[0]["id"], made[0]["epoch"]))

    async def play(self, how_many: int) -> None:
        """Settle in, and do so many random things."""
        await self.settle_in()
        acts: list[Callable[[], Awaitable[Any]]] = [
            self.born, self.born, self.move, self.move, self.move, self.move, self.claim,
            self.claim, self.hold, self.take_over, self.read, self.read, self.person, self.message,
            self.message, self.incident, self.incident, self.own, self.request, self.clock,
        ]  # fmt: skip
        for _ in range(how_many):
            await self.random.choice(acts)()

    # --- runs -------------------------------------------------------------------------------

    async def born(self) -> UUID:
        """Start a run; now and then one that cannot be."""
        known = self.random.random() < 0.1 and self.runs
        run = self.random.choice(list(self.runs)) if known else self.uuid()
        subject = self.random.choice([None, *self.people])
        process = self.random.choice(["alpha", "beta"])
        change = Change(
            run=run,
            from_seq=0,
            to_seq=1,
            head=hashlib.sha256(run.bytes).digest(),
            last_at=NOON,
            wake_at=self.moment(),
            events=[self.event(run, 1, "run.started", None)],
            born={
                "id": str(run),
                "process": process,
                "room": self.random.choice([None, f"process/{process}"]),
                "is_overdue": False,
                "version": 1,
                "subject": subject,
                "stint": None if subject is None else 1,
                "priority": self.random.choice([50, 100]),
                "worker_id": None,
                "worker_epoch": None,
                "cancelling": False,
                "readings": 0,
                "started_at": NOON,
            },
        )
        answer = await self.apply([change], None)
        if answer == {}:
            self.runs[run] = 1
        return run

    def event(self, stream: UUID, seq: int, kind: str, key: str | None) -> EventRow:
        """A row of the journal, without a leaf that means anything."""
        entry = f'{{"type":"{kind}","seq":{seq},"data":{{"incident":"inc_1"}}}}'.encode()
        return EventRow(
            stream, seq, kind, key, NOON, entry, None, "id", "run/x", b"", None, None, "", None,
            None,
        )  # fmt: skip

    async def apply(self, changes: list[Change], worker: tuple[int, int] | None) -> Any:
        """Write Changes through the door."""
        fence = {} if worker is None else {"worker": worker[0], "epoch": worker[1]}

        async def written(connection: Any) -> Any:
            try:
                refused = await apply(connection, changes, **fence)
            except LeaseLost:
                return "fenced"
            return {str(run): why for run, why in refused.items()}

        what = f"apply {worker} {[(str(c.run)[:8], c.from_seq, c.state) for c in changes]}"
        return await self.pair.both(what, lambda each: in_transaction(each, written))

    async def moved(self, database: Any, run: UUID) -> Any:
        """Move a run by one event, on one of the two."""
        change = self.changed(run)
        return await in_transaction(database, lambda each: apply(each, [change]))

    def changed(self, run: UUID) -> Change:
        """A Change of a run that makes sense."""
        seq = self.runs[run]
        return Change(
            run=run,
            from_seq=seq,
            to_seq=seq + 1,
            head=hashlib.sha256(f"{run}{seq}".encode()).digest(),
            last_at=NOON,
            events=[self.event(run, seq + 1, "step.succeeded", self.random.choice(KEYS))],
        )

    async def move(self) -> None:
        """Move one run, or two at once, with whatever may ride along."""
        if not self.runs:
            return
        chosen = self.random.sample(
            list(self.runs), min(len(self.runs), 1 + (self.random.random() < 0.3))
        )
        changes = [self.dressed(self.changed(run)) for run in chosen]
        worker = self.random.choice([None, None, *self.workers])
        answer = await self.apply(changes, worker)
        if isinstance(answer, dict):
            for change in changes:
                if str(change.run) not in answer:
                    self.runs[change.run] = change.to_seq

    def dressed(self, change: Change) -> Change:
        """Give a Change a state, intents, closed keys and rare rows."""
        chance = self.random
        change.state = chance.choice(STATES[:2] * 3 + STATES)
        is_final = change.state in STATES[3:]
        change.wake_at = (
            None if is_final and chance.random() < 0.95 else chance.choice([None, self.moment()])
        )
        change.release = is_final or chance.random() < 0.5
        if change.state == "parked" and chance.random() < 0.9:
            change.reason, change.addressee = "bug", "it"
        if chance.random() < 0.1:
            change.from_seq -= 1
        change.closed = chance.sample(KEYS, chance.randrange(3))
        if chance.random() < 0.5:
            effect = chance.choice([None, None, b"one", b"two"])
            key = chance.choice(KEYS)
            change.intents = [Intent(key, 1, NOON, b"f", effect, "github", "c", '{"crashes": 1}')]
        if chance.random() < 0.5:
            self.rare(change)
        return change

    def rare(self, change: Change) -> None:
        """Add rare rows of one kind."""
        run, chance = change.run, self.random
        match chance.randrange(9):
            case 0:
                change.also("open_act", self.act_row(run))
            case 1:
                change.also("task", self.task_row(run))
            case 2:
                change.also("incident", self.incident_row(run))
            case 3:
                change.also("access_grant", self.grant_row(change))
            case 7 if self.grants:
                change.also("grant_moved", self.grant_moved(change))
            case 4:
                change.cancelling = True
            case 5:
                change.also("overdue", {"id": str(run)})
            case 6:
                change.also("unlimited", {"id": str(run)})
            case _:
                head = Head(id=UUID(int=1), stream="system/github", seq=1, hash=b"h", last_at=NOON)
                change.streams = [(chance.randrange(2), head)]

    def act_row(self, run: UUID) -> dict[str, Any]:
        """A row of what is open: now and then one that the schema refuses."""
        kind, state = self.random.choice(
            [("step", "retrying"), ("step", "parked"), ("timer", "open"), ("event", "open"),
             ("step", "open")]
        )  # fmt: skip
        return {
            "run_id": str(run),
            "key": self.random.choice(KEYS),
            "kind": kind,
            "state": state,
            "attempt": 1,
            "next_at": self.moment(),
            "due_at": self.random.choice([None, self.moment()]),
            "opened_at": self.moment(),
            "reason": self.random.choice([None, "outage", "place", "place"]),
            "system": "github",
            "owner": "it",
            "event": "paid" if kind == "event" else None,
            "match": self.random.choice(["m", None]) if kind == "event" else None,
            "incident_id": self.random.choice([None, *self.incidents]),
            "detail": {"early": None, "failed_at": NOON},
        }

    def task_row(self, run: UUID) -> dict[str, Any]:
        """A task: open, or decided by somebody."""
        is_open = self.random.random() < 0.6
        return {
            "id": str(UUID(int=run.int ^ self.random.randrange(3))),
            "run_id": str(run),
            "key": self.random.choice(KEYS[:2]),
            "kind": "approval",
            "title": "t",
            "owner": "hr",
            "excluded": [],
            "opened_at": NOON,
            "state": "open" if is_open else "decided",
            "decision": None if is_open else "approve",
            "decided_by": None if is_open else str(self.people[0]),
            "decided_at": None if is_open else NOON,
            "version": 1,
        }

    def incident_row(self, run: UUID) -> dict[str, Any]:
        """An incident: new, or one that is there."""
        is_known = self.incidents and self.random.random() < 0.5
        incident = self.random.choice(self.incidents) if is_known else self.uuid()
        self.incidents.append(incident)
        return {
            "id": str(incident),
            "fingerprint": self.random.choice(["x/outage", "y/outage"]),
            "system": "github",
            "scope": "operation",
            "class": "transient",
            "title": "GitHub",
            "state": self.random.choice(["watching", "escalated"]),
            "lead_run": str(run),
            "lead_key": "a",
            "opened_at": NOON,
            "probe_at": NOON,
            "probe_misses": 0,
            "flaps": 0,
            "is_urgent": self.random.random() < 0.5,
            "operation": self.random.choice([None, "invite"]),
        }

    def grant_row(self, change: Change) -> dict[str, Any]:
        """A grant that the Change's first event made, and perhaps ended."""
        state = self.random.choice(["prepared", "active", "active", "suspended", "revoked"])
        grant, person = self.uuid(), self.random.choice(self.people)
        row: dict[str, Any] = {
            "id": str(grant),
            "person": str(person),
            "stint": 1,
            "system": "github",
            "entitlement": "github:account",
            "state": state,
            "valid_from": self.random.choice([None, NOON]),
            "since_unknown": False,
            "reason_kind": "policy",
            "made_run": str(change.run),
            "made_key": "a",
            "made_seq": change.from_seq + 1,
            "recorded_at": self.moment(),
        }
        if state in {"suspended", "revoked"} and self.random.random() < 0.9:
            row |= self.end_of(change)
        if self.grants and self.random.random() < 0.3:
            row["continues"] = str(self.random.choice(self.grants)[0])
        self.grants.append((grant, state))
        return row

    def grant_moved(self, change: Change) -> dict[str, Any]:
        """A grant that is turned: from the state it was made in, now and then from another."""
        grant, state = self.random.choice(self.grants)
        following = self.random.choice(["prepared", "active", "suspended", "revoked"])
        if self.random.random() < 0.1:
            state = "planned"
        row = {"id": str(grant), "from_state": state, "state": following, "verified_at": NOON}
        if following == "active":
            row["valid_from"] = NOON
        if following in {"suspended", "revoked"}:
            row |= self.end_of(change)
        if self.random.random() < 0.2:
            row |= {"removed_at": NOON, "removed_run": str(change.run), "removed_key": "a"}
        return row

    def end_of(self, change: Change) -> dict[str, Any]:
        """How the Change's first event ends a grant."""
        return {
            "valid_to": self.moment(),
            "ended_run": str(change.run),
            "ended_key": "a",
            "ended_seq": change.from_seq + 1,
        }

    async def hold(self) -> None:
        """Read what somebody holds."""
        person = self.random.choice(self.people)
        await self.ask("ledger.held", person, "github:account")
        given = [grant for grant, _ in self.grants]
        await self.ask("ledger.came_with", self.random.choice([*given, self.uuid()]))
        await self.ask("ledger.left")
        await self.ask("ledger.ended_of_awaited", "take-back-over")
        run = self.random.choice([*self.runs, self.uuid()])
        await self.ask("ledger.ended_since", person, run, self.moment())

    async def claim(self) -> None:
        """Claim what is due."""
        worker, epoch = self.random.choice(self.workers)
        await self.ask(
            "runs.claim_ready", worker, epoch, self.random.randrange(1, 4), ["alpha"], [1],
            is_ordered=False,
        )  # fmt: skip
        await self.ask(
            "runs.claim_in_rooms", worker, epoch, self.random.randrange(1, 4), ["alpha", "beta"],
            [1, 1], is_ordered=False,
        )  # fmt: skip

    async def own(self) -> None:
        """Let go, put back, hear, wake: what owners do with runs."""
        if not self.runs:
            return
        run = self.random.choice(list(self.runs))
        worker, epoch = self.random.choice(self.workers)
        match self.random.randrange(5):
            case 0:
                await self.ask(
                    "runs.put_back", run, worker, epoch, self.runs[run],
                    self.random.randrange(3), self.moment(), 1,
                )  # fmt: skip
            case 1:
                await self.ask("runs.let_go", run, worker, epoch)
            case 2:
                await self.ask("runs.heard", run, worker, epoch)
            case 3:
                await self.ask("runs.wake", run)
            case _:
                held = self.random.sample(list(self.runs), len(self.runs) // 2)
                await self.ask("runs.let_go_strays", worker, epoch, held, is_ordered=False)

    async def take_over(self) -> None:
        """Beat, lapse, fence, renew: what happens to leases."""
        number = self.random.randrange(len(self.workers))
        worker, epoch = self.workers[number]
        match self.random.randrange(4):
            case 0:
                lease = timedelta(hours=self.random.choice([1, -1]))
                await self.ask("workers.beat", worker, epoch, lease)
            case 1:
                for row in await self.ask("workers.lapsed", is_ordered=False):
                    await self.ask("workers.fence", row["id"])
                    await self.ask("workers.let_go", row["id"])
            case 2:
                answer = await self.ask("workers.renew", worker, timedelta(hours=1))
                if answer:
                    self.workers[number] = (worker, answer[0]["epoch"])
            case _:
                await self.ask("workers.live")

    async def read(self) -> None:
        """Read what workers and verbs read."""
        runs = list(self.runs) or [self.RUN]
        run = self.random.choice(runs)
        await self.ask("runs.load", runs, is_ordered=False)
        await self.ask("runs.locked", run)
        await self.ask("runs.read", run)
        await self.ask("runs.counts", is_ordered=False)
        await self.ask("runs.nudged", self.workers[0][0], is_ordered=False)
        await self.ask("journal.outcomes", runs)
        await self.ask("journal.open_acts", runs, is_ordered=False)
        await self.ask("journal.events", run, 0, 3)
        await self.ask("tasks.opened", 50, is_ordered=False)
        await self.ask("tasks.ended", 50, is_ordered=False)
        for number in range(3):
            task = UUID(int=run.int ^ number)
            await self.ask("commands.task", task)
            await self.ask("tasks.read", task)

    async def person(self) -> None:
        """Look for people."""
        person = self.random.choice(self.people)
        await self.ask("registry.person_known", person, "h1", "p2@x.test")
        mark = bytes([self.random.randrange(3)]) * 32
        await self.ask("registry.people_known", None, "h1", "p1@x.test", mark)
        await self.ask("registry.give_address", mark, person)
        await self.ask("registry.reserve_address", mark)
        await self.ask("registry.given_to", mark)
        await self.ask("registry.work_address", person)
        address = self.random.choice(["new@x.test", f"{person}@x.test"])
        await self.ask("registry.set_address", person, address, [])
        await self.ask("registry.key_of", person)
        await self.ask("registry.set_manager", person, self.random.choice(self.people))
        await self.ask("runs.open_of_subject", "alpha", person, is_ordered=False)
        await self.ask("registry.add_person", self.uuid(), "h1", "P", "new@x.test", None, [])

    async def message(self) -> None:
        """Keep a message, look for waits, take one."""
        name, match = self.random.choice(["paid", "sent"]), self.random.choice(["m", None])
        event = str(self.random.randrange(20))
        to = self.random.choice([None, None, *self.runs])
        is_lost = self.random.random() < 0.2
        await self.ask("messages.kept_before", "test", event)
        kept = await self.ask(
            "messages.keep", "test", event, name, match, to, b"{}", b"d", is_lost, drawn="id"
        )
        assert len(kept) < 2
        waits = await self.ask("messages.waiting", name, match, to, is_ordered=False)
        for state in ("kept", "lost", "taken", "all"):
            listed = await self.ask("messages.listed", state, 5, drawn="received_at")
            assert len(listed) <= 5
        if waits and self.random.random() < 0.5:
            await self.ask("messages.take", name, match, UUID(waits[0]["run_id"]))

    async def incident(self) -> None:
        """Move an incident along its life."""
        if not self.incidents:
            return
        each = self.random.choice(self.incidents)
        run = self.random.choice(list(self.runs) or [self.RUN])
        await self.ask("incidents.open_incidents", is_ordered=False)
        await self.ask("incidents.members", each, is_ordered=False)
        await self.ask("incidents.last_outcome", run, "a")
        await self.ask("incidents.stranded", is_ordered=False)
        await self.ask("incidents.last_retried_by", run, "a")
        await self.ask("incidents.changed_since", run, None, NOON)
        await self.ask("incidents.busy", ["x", "y"], is_ordered=False)
        await self.ask("incidents.ticket_before", "x/outage", NOON)
        await self.ask("incidents.attached", "inc_1", "system/github")
        await self.ask("incidents.open_by_fingerprint", ["x/outage", "x/outage:invite"])
        await self.ask("incidents.locked", each)
        match self.random.randrange(13):
            case 6:
                await self.ask("incidents.narrowed", each, MINUTE)
            case 7:
                await self.ask("incidents.later", each, MINUTE)
            case 8:
                await self.ask("incidents.looked_at_once", each)
            case 9:
                await self.ask("incidents.hurried", each)
            case 10:
                await self.ask("incidents.flapped", each, MINUTE, "again")
            case 11:
                await self.ask("incidents.relapsed", each, MINUTE, "again")
            case 12:
                await self.ask("incidents.told", each, "some")
            case 0:
                await self.ask("incidents.missed", each, MINUTE, "no answer")
            case 1:
                await self.ask("incidents.healing", each, run, "a")
            case 2:
                await self.ask("incidents.healed", each, "probe")
            case 3:
                await self.ask("incidents.new_lead", each, run, "b")
            case 4:
                await self.ask("incidents.take_due_probes", MINUTE, MINUTE / 4, is_ordered=False)
            case _:
                await self.ask("incidents.closed", each, "person")

    async def request(self) -> None:
        """Claim a request."""
        key = str(self.random.randrange(5))
        await self.ask("registry.claim_request", "s", key, b"d", self.uuid())
        await self.ask("registry.known_request", "s", key)

    async def counts_and_pauses(self) -> None:
        """Count calls, and pause and resume a system; by a chance of its own."""
        counted = (["github", "jira"], [100, 400], [3, 1], [0, 1])
        await self.ask("call_counts.add", *counted)
        if self.chance.random() < 0.1:
            await self.ask("call_counts.forget", timedelta(hours=self.chance.randrange(3)))
        await self.ask("call_counts.since", ["github"], datetime(2000, 1, 1, tzinfo=UTC))
        if self.chance.random() < 0.5:
            await self.ask("rooms.pause", "system/github", "svc_cli")
        else:
            await self.ask("rooms.resume", "system/github")
        await self.ask("rooms.declare", "system/github", self.chance.choice([None, 1, 2]))
        await self.ask("rooms.paused")

    async def clock(self) -> None:
        """Ask what time it is, and what comes next."""
        await self.ask("runs.next_due")
        await self.ask("rooms.known")
        await self.counts_and_pauses()
        await self.ask("rooms.call_queued", "github")
        await self.ask("schedules.listed")
        await self.ask("deployment.calm")
        await self.ask("registry.now")
