"""The Change: what one transition writes, state and audit events together.

A run is the head of a stream of events. A transition collects facts (what happened, for which
key, with which payload) and the rows they entail; `seal` then turns the facts into leaves,
each chained to the one before, and fixes the run's new state. A Change without an event
cannot be sealed, so there is no state without its audit event.

The order of events in one Change is: facts first, then what follows from them, then intents,
then the run's state, which the last of them carries (audit document, §5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from newel.audit.leaf import Actor, Event, ProcessVersion, build, instant
from newel.base.errors import LogInconsistent

Row = dict[str, Any]
"""A row of a table by column, as it travels to the write door's rare part."""


Said = tuple[str, str, dict[str, object]]
"""A log line of a body: the key it follows, what is said, and its fields."""


class EventRow(NamedTuple):
    """One row of the journal, sealed: its place, its leaf bytes, its payload."""

    stream_id: UUID
    seq: int
    type: str
    key: str | None
    occurred_at: datetime
    entry: bytes
    payload: bytes | None
    id: str
    stream: str
    leaf_hash: bytes
    attempt: int | None
    round: int | None
    instant: str
    subject: str | None
    system: str | None


class Intent(NamedTuple):
    """The record that an attempt is about to be made; a row of the open acts."""

    key: str
    attempt: int
    at: datetime
    fingerprint: bytes | None
    effect_key: bytes | None
    system: str | None
    credential: str | None
    detail: str | None


@dataclass(slots=True, kw_only=True)
class Head:
    """The head of a stream: where the next event goes.

    hash: the leaf hash of event `seq`; empty for an empty stream.
    """

    id: UUID
    stream: str
    seq: int
    hash: bytes
    last_at: datetime | None


class _Pending(NamedTuple):
    fact: Event
    at: datetime
    key: str | None
    attempt: int | None
    round: int | None
    system: str | None
    payload: bytes | None
    actor: Actor
    reason: dict[str, Any] | None
    process: ProcessVersion | None
    subject: str | None
    id: str


class Entries:
    """Facts on their way into one stream; `sealed` chains them into rows."""

    __slots__ = ("_new_id", "_pending", "head")

    def __init__(self, head: Head, new_id: Callable[[], str]) -> None:
        """Continue the stream at `head`; `new_id` makes the ids of events."""
        self.head = head
        self._new_id = new_id
        self._pending: list[_Pending] = []

    def __len__(self) -> int:
        return len(self._pending)

    def add(
        self,
        fact: Event,
        *,
        at: datetime,
        actor: Actor,
        subject: str | None = None,
        key: str | None = None,
        attempt: int | None = None,
        round_: int | None = None,
        system: str | None = None,
        payload: bytes | None = None,
        reason: dict[str, Any] | None = None,
        process: ProcessVersion | None = None,
        id_: str | None = None,
    ) -> int:
        """Put a fact behind the ones already there; answers with its place in the stream."""
        last = self._pending[-1].at if self._pending else self.head.last_at
        if last is not None and last > at:
            at = last
        self._pending.append(
            _Pending(
                fact, at, key, attempt, round_, system, payload, actor, reason, process, subject,
                id_ or self._new_id(),
            )
        )  # fmt: skip
        return self.head.seq + len(self._pending)

    @property
    def latest(self) -> datetime:
        """The moment of the fact that was added last, as its leaf will have it."""
        return self._pending[-1].at

    def drop(self) -> None:
        """Forget the facts that were added since the last were sealed."""
        self._pending.clear()

    def new_id(self) -> str:
        """Make the id of an event before it is added, for what must be sealed to it."""
        return self._new_id()

    def sealed(self, run_state: str | None = None) -> list[EventRow]:
        """Chain all facts into rows and move the head; the last row carries `run_state`."""
        rows: list[EventRow] = []
        last = len(self._pending) - 1
        for index, pending in enumerate(self._pending):
            rows.append(self._row(pending, run_state if index == last else None))
        self._pending = []
        return rows

    def _row(self, pending: _Pending, run_state: str | None) -> EventRow:
        head = self.head
        step: dict[str, Any] | None = None
        if pending.key is not None:
            step = {"key": pending.key}
            if pending.attempt is not None:
                step["attempt"] = pending.attempt
                step["round"] = pending.round
        moment = instant(pending.at)
        leaf = build(
            pending.fact,
            id=pending.id,
            stream=head.stream,
            seq=head.seq + 1,
            prev=head.hash,
            occurred_at=moment,
            actor=pending.actor,
            subject=pending.subject,
            system=pending.system,
            process=pending.process,
            step=step,
            run_state=run_state,
            reason=pending.reason,
            payload=pending.payload,
        )
        head.seq += 1
        head.hash = leaf.hash
        head.last_at = pending.at
        return EventRow(
            head.id, head.seq, pending.fact.type, pending.key, pending.at, leaf.entry,
            pending.payload, pending.id, head.stream, leaf.hash, pending.attempt, pending.round,
            moment, pending.subject, pending.system,
        )  # fmt: skip


class Beside(NamedTuple):
    """A fact for a stream that is no run (`system/github`)."""

    stream: str
    fact: Event
    at: datetime
    actor: Actor
    system: str | None
    subject: str | None = None
    id: str | None = None
    process: ProcessVersion | None = None
    reason: dict[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class Change:
    """Everything one transition of one run writes, in one transaction.

    from_seq: the place of the run's last event before; 0 for a run that is born here.
    state, wake_at, release, reason, addressee: the run's row afterwards.
    closed: keys whose open acts end. intents: attempts that start after the commit.
    rest: rare rows by table. streams: heads of streams that are no run, moved by this Change.
    beside: facts for such streams, sealed right before the commit, when their heads are known.
    born: the row of a run that this Change starts. together: Changes of other runs that stand or
    fall with this one. is_aside: it moves no run at all, only other streams.
    cancelling: the run's end is asked for.
    ride: the open transaction of a transactional step, in which this is written.
    said: log lines of the body, told once this is durable: key, event, fields.
    """

    run: UUID
    from_seq: int
    to_seq: int = 0
    head: bytes = b""
    last_at: datetime | None = None
    state: str = "running"
    wake_at: datetime | None = None
    release: bool = False
    reason: str | None = None
    addressee: str | None = None
    events: list[EventRow] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    rest: dict[str, list[Row]] = field(default_factory=dict)
    streams: list[tuple[int, Head]] = field(default_factory=list)
    beside: list[Beside] = field(default_factory=list)
    born: Row | None = None
    together: list[Change] = field(default_factory=list)
    is_aside: bool = False
    cancelling: bool = False
    ride: Any = None  # Any: of the store, which stands above
    said: list[Said] = field(default_factory=list)

    @property
    def is_rare(self) -> bool:
        """Whether it carries more than arrays can; such a Change may be refused with its batch."""
        return bool(self.rest)

    @property
    def is_solo(self) -> bool:
        """Whether it writes a stream that others write too, or rides, and so travels alone."""
        return bool(self.streams or self.beside or self.together or self.ride)

    @property
    def whole(self) -> list[Change]:
        """This Change and those that stand or fall with it."""
        return [self, *self.together]

    @property
    def wakes_others(self) -> bool:
        """Whether a run other than its own becomes due by it: a parent, a waiter, one begun."""
        if "wake" in self.rest or "unlock" in self.rest:
            return True
        return any(other.born is not None for other in self.together)

    def also(self, table: str, row: Row) -> None:
        """Add a row of a table that is written rarely."""
        self.rest.setdefault(table, []).append(row)

    def forget(self, table: str, key: str) -> None:
        """Take back the rows of an act that is closed before it was ever written."""
        left = [row for row in self.rest.pop(table, ()) if row["key"] != key]
        if left:
            self.rest[table] = left

    def seal(self, entries: Entries, *, run_state: str | None) -> Change:
        """Take the run's events, sealed; raises LogInconsistent if there are none."""
        self.events.extend(entries.sealed(run_state))
        if not self.events:
            raise LogInconsistent(at=entries.head.stream, what="a Change without an audit event")
        self.to_seq = entries.head.seq
        self.head = entries.head.hash
        self.last_at = entries.head.last_at
        return self
