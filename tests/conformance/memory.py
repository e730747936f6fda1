"""One run without a database: production's runner over a journal in a list.

Changes are applied as `newel.commit_batch` applies them. A death forgets everything but what was
committed: whoever comes next loads the run from its rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, ProcessVersion, leaf_hash
from newel.base.ids import Ids, reference
from newel.domain.acts import OpenAct
from newel.domain.change import Change, Entries, Head
from newel.domain.retry import Retry, standard
from newel.domain.values import Decision
from newel.engine.addresses import Addresses
from newel.engine.arriving import arrive
from newel.engine.body import Decided
from newel.engine.history import History
from newel.engine.runner import Circuit, Limits, Loaded, Runner, Settled
from newel.engine.starting import Start, born
from newel.engine.vault import Sealer
from newel.flow.process import Process
from newel.flow.waits import DECISION
from newel.store.queries import queries

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
REPLAYED = frozenset(re.findall(r"'([a-z_.]+)'", queries("journal").outcomes))
"""The types of events that a worker reads to replay a run."""

MARY = "per_00000000000000000000000001"


@dataclass
class Host:
    """A worker as a runner sees it; its clock moves a little at each look."""

    worker: int = 1
    epoch: int = 1
    actor: Actor = field(default_factory=lambda: Actor(type="system", id="newel"))
    retry: Retry = standard
    limits: Limits = field(default_factory=Limits)
    clock: datetime = START
    ids: Ids = field(default_factory=Ids)
    addresses: Addresses = field(default_factory=Addresses)
    is_leaving: bool = False
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def places(self) -> Host:
        """Places at systems: as many as are wanted."""
        return self

    def has_to_queue(self, run: UUID, system: str | None) -> bool:
        """Nobody waits for a turn."""
        return False

    def is_called(self, run: UUID, system: str | None) -> bool:
        """Everybody is called at once."""
        return True

    def is_limited(self, system: str | None) -> bool:
        """Nobody counts attempts."""
        return False

    def now(self) -> datetime:
        """Time passes between any two looks at it."""
        self.clock += timedelta(microseconds=1)
        return self.clock

    def event_id(self) -> str:
        """A fresh id for an audit event."""
        return f"01990a3c-5b1e-7c40-8f2a-{next(self.numbers):012x}"

    def new_uuid(self) -> UUID:
        """A fresh id."""
        return self.ids.new()

    def answered(self, credential: str | None) -> None:
        """Nothing is held back here."""

    def circuit(self, credential: str | None) -> Circuit | None:
        """No incident is open."""
        return None


class Store:
    """The rows of one run, as the database would hold them."""

    def __init__(
        self, process: Process[..., Any], host: Host, arguments: dict[str, object] | None = None
    ) -> None:
        """Start the run; `current` is the version of the code at hand, where it is another."""
        self.current: ProcessVersion | None = None
        self.driven_by = ProcessVersion(
            name=process.name, version=1, definition_sha256=process.definition_sha256
        )
        self.reason: str | None = None
        self.process = process
        self.host = host
        self.run = host.ids.run_id()
        self.sealer = Sealer(None, self.run)
        self.events: list[dict[str, Any]] = []
        self.acts: dict[str, OpenAct] = {}
        self.seq, self.head = 0, b""
        self.state = "running"
        self.wake_at: datetime | None = None
        self.cancelling = False
        change, _, _, _ = born(
            Start(
                run=self.run,
                process=process,
                version=1,
                arguments=arguments or {},
                subject=None,
                actor=host.actor,
                source="api",
                at=host.now(),
                sealer=self.sealer,
            ),
            host.event_id,
        )
        self.apply(change)

    def apply(self, change: Change) -> None:
        """Write a Change; every leaf must name the one before it."""
        assert change.from_seq == self.seq
        for event in change.events:
            leaf = orjson.loads(event.entry)
            assert (leaf["seq"], leaf["prev"]) == (self.seq + 1, self.head.hex())
            self.seq, self.head = event.seq, leaf_hash(event.entry)
            self.events.append(
                {
                    "seq": event.seq,
                    "type": event.type,
                    "key": event.key,
                    "occurred_at": event.occurred_at,
                    "entry": event.entry,
                    "payload": event.payload,
                }
            )
        assert (change.to_seq, change.head) == (self.seq, self.head)
        self.state, self.wake_at = change.state, change.wake_at
        self.reason = change.reason
        if change.rest.get("moved") and self.current is not None:
            self.driven_by = self.current
        for key in change.closed:
            self.acts.pop(key, None)
        for intent in change.intents:
            known = self.acts.get(intent.key)
            detail = None if intent.detail is None else orjson.loads(intent.detail)
            row: dict[str, Any] = {
                "key": intent.key,
                "kind": "step",
                "state": "attempting",
                "opened_at": intent.at if known is None else known.opened_at,
                "attempt": intent.attempt,
                "intended_at": intent.at,
                "worker_id": self.host.worker,
                "worker_epoch": self.host.epoch,
                "fingerprint": intent.fingerprint,
            }
            self.acts[intent.key] = _act(row, detail)
        for row in change.rest.get("open_act", ()):
            kept = orjson.loads(orjson.dumps(row, default=str))
            self.acts[kept["key"]] = _act(kept, kept["detail"])

    def loaded(self) -> Loaded:
        """The run as a worker reads it now."""
        head = Head(
            id=self.run,
            stream=f"run/{reference('run', self.run)}",
            seq=self.seq,
            hash=self.head,
            last_at=self.events[-1]["occurred_at"],
        )
        return Loaded(
            id=self.run,
            process=self.process,
            version=self.driven_by,
            current=self.current,
            state=self.state,
            subject=None,
            head=head,
            cancelling=self.cancelling,
            as_of=self.host.now(),
            started_at=self.events[0]["occurred_at"],
            history=History.of(
                [event for event in self.events if event["type"] in REPLAYED], self.sealer.open
            ),
            open_acts={key: _kept(act, self.run) for key, act in self.acts.items()},
            sealer=self.sealer,
        )

    def write(self, make: Callable[[Entries, Change], None]) -> None:
        """Write as somebody who is not the run's owner."""
        entries = Entries(self.loaded().head, self.host.event_id)
        change = Change(run=self.run, from_seq=self.seq, state=self.state, reason=self.reason)
        make(entries, change)
        self.apply(change.seal(entries, run_state=None))

    def decide(self, key: str, *, approved: bool) -> None:
        """A person answers an approval."""

        def decided(entries: Entries, change: Change) -> None:
            at = self.host.now()
            answer = Decision(approved=approved, by=MARY, at=at)
            payload = self.sealer.seal(DECISION.dump(answer))
            task = self.acts[key].task_id
            assert task is not None
            entries.add(
                facts.TaskDecided(
                    task=reference("tsk", task),
                    decision="approve" if approved else "reject",
                    answer_digest=self.sealer.digest(payload),
                    channel="api",
                    auth=facts.HowSignedIn(methods=("named",), age_s=0),
                    excluded=(),
                ),
                at=at,
                actor=self.host.actor,
                key=key,
                payload=payload,
                process=ProcessVersion(
                    name=self.process.name,
                    version=1,
                    definition_sha256=self.process.definition_sha256,
                ),
            )
            entries.add(facts.WaitClosed(by="decision"), at=at, actor=self.host.actor, key=key)
            change.closed.append(key)

        self.write(decided)

    def cancel(self) -> None:
        """An operator asks for the end."""

        def asked(entries: Entries, _: Change) -> None:
            entries.add(
                facts.RunCancelRequested(compensate=True),
                at=self.host.now(),
                actor=self.host.actor,
                reason={"code": "cancel"},
            )

        self.write(asked)
        self.cancelling = True

    def outcomes(self) -> dict[str, str]:
        """Which kind of outcome each key has; a second one would be a fault."""
        kinds = {
            "step.succeeded", "step.failed", "step.cancelled", "task.decided", "wait.closed",
            "act.recorded",
        }  # fmt: skip
        found: dict[str, str] = {}
        for event in self.events:
            if event["type"] in kinds:
                key = event["key"]
                assert key not in found or (found[key], event["type"]) == (
                    "task.decided",
                    "wait.closed",
                )
                found.setdefault(key, event["type"])
        return found


def _act(row: dict[str, Any], detail: dict[str, Any] | None) -> OpenAct:
    names = {"opened_at", "next_at", "due_at", "intended_at"}
    columns = {name: row.get(name) for name in OpenAct.__slots__ if name != "trouble"}
    for name in names:
        value = columns[name]
        if isinstance(value, str):
            columns[name] = datetime.fromisoformat(value)
    if isinstance(columns["task_id"], str):
        columns["task_id"] = UUID(columns["task_id"])
    columns["attempt"] = columns["attempt"] or 0
    detail = None if detail is None else orjson.loads(orjson.dumps(detail))
    return OpenAct.of({**columns, "detail": detail})


def _kept(act: OpenAct, run: UUID) -> OpenAct:
    """An act as it comes back from its row: whoever reads it shares nothing with the last."""
    row = act.row(run)
    return OpenAct.of({**row, "detail": orjson.loads(orjson.dumps(row["detail"]))})


def replayed(store: Store) -> None:
    """Let the body see what is committed, and nothing else; writes nothing."""
    loaded = store.loaded()
    loaded.cancelling = False
    runner = Runner(loaded, store.host, lambda *_: None)
    decide = runner.decide

    def known(key: str, kind: str, verb: str, keys: tuple[str, ...]) -> Decided | None:
        return decide(key, kind, verb, keys) if key in runner.history.outcomes else None

    runner.decide = known  # type: ignore[method-assign]  # nothing beyond the journal is decided
    runner.withdraw = lambda *_: None  # type: ignore[method-assign]  # nor withdrawn
    runner.begin()
    runner.dismiss()


class Worker:
    """Drives the run; what it submits waits in a queue until it is committed."""

    def __init__(self, store: Store) -> None:
        """Load the run and begin."""
        self.store = store
        self.queue: list[Settled] = []
        self.attempts: list[str] = []
        store.host.epoch += 1
        self.runner = Runner(store.loaded(), store.host, arrive)
        self.rests = False
        self.take(self.runner.begin())

    def take(self, settled: Settled) -> None:
        """Queue what the runner has decided."""
        self.rests = settled.rests
        if settled.change is not None:
            self.queue.append(settled)
        elif settled.rests:
            self.store.wake_at = settled.wake_at

    def commit(self) -> None:
        """Make the oldest queued Change durable; its attempts start."""
        settled = self.queue.pop(0)
        assert settled.change is not None
        self.store.apply(settled.change)
        self.attempts += settled.starting

    def die(self) -> None:
        """Forget everything."""
        self.runner.dismiss()
        self.queue.clear()
