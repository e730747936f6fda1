"""One command on one run, under the run's row lock: read, decide, apply one Change.

Whoever is not the run's owner writes this way: operators, deciders, messages, probes. The
owner finds `seq` moved, or its run due, and loads it anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, Event, ProcessVersion
from newel.base.errors import NotAllowed, NotFound, NotWaiting, ReasonMissing
from newel.base.ids import parse_reference, reference
from newel.domain.acts import OpenAct
from newel.domain.change import Beside, Change, Entries, Head
from newel.domain.retry import begun
from newel.domain.values import FINAL
from newel.engine.vault import Sealer, Vault
from newel.flow.process import Process
from newel.store import journal, registry, runs, streams
from newel.store.changes import apply
from newel.store.database import Connection, Database, Row

Tell = Callable[[Change], None]
"""Told of every Change after its commit, for the log and for workers that wait."""


SecondPerson: TypeAlias = Literal["asked", "strict"]
"""Whether operators need a second person where something asks for one, or wherever one may be."""

BEING_TRIED: Final = "being tried right now"
"""The state of a step that no verb may touch: its attempt is under way."""


@dataclass(slots=True, kw_only=True)
class Command:
    """A run under its lock, and the Change that a command makes of it.

    parked: reason and addressee, where the command itself puts the run down. beside: other runs
    that are changed in the same transaction.
    """

    connection: Connection
    row: Row
    acts: dict[str, OpenAct]
    sealer: Sealer
    entries: Entries
    change: Change
    actor: Actor
    at: datetime
    parked: tuple[str, str] | None = None
    beside: list[Command] = field(default_factory=list["Command"])

    @property
    def run(self) -> UUID:
        """The run's id."""
        found: UUID = self.row["id"]
        return found

    @property
    def process(self) -> ProcessVersion:
        """The definition that the run goes by."""
        return ProcessVersion(
            name=self.row["process"],
            version=self.row["version"],
            definition_sha256=self.row["sha256"],
        )

    @property
    def subject(self) -> str | None:
        """The reference of the run's subject."""
        return None if self.row["subject"] is None else reference("per", self.row["subject"])

    def act(self, key: str, *, verb: str) -> OpenAct:
        """The open act at a key; raises NotFound if there is none."""
        act = self.acts.get(key)
        if act is None:
            raise NotFound(kind="open step", reference=key)
        if act.state == "attempting":
            raise NotWaiting(verb=verb, what=f"`{key}`", state=BEING_TRIED)
        return act

    def record(self, fact: Any, *, key: str | None = None, **more: Any) -> int:  # Any: per type
        """Add a fact; answers with its place in the stream."""
        return self.entries.add(
            fact, at=self.at, actor=self.actor, subject=self.subject, key=key, **more
        )

    def close(
        self, act: OpenAct, *, by: Any, digest: str | None = None, payload: bytes | None = None
    ) -> None:
        """Close an open wait."""
        closed = facts.WaitClosed(by=by, outcome_digest=digest)
        self.record(closed, key=act.key, payload=payload)
        self.change.closed.append(act.key)

    def retry(self, act: OpenAct, *, by: Literal["person", "probe"]) -> None:
        """Try a step again at once; for a person in a fresh series of rounds."""
        if by == "probe" and act.trouble.early is None:
            early = "parked" if act.state == "parked" else "retrying"
            act.trouble = replace(act.trouble, early=early, held_at=act.next_at)
        elif by == "person":
            fresh = begun(self.at, series=act.series + 1)
            act.trouble = replace(
                act.trouble,
                progress=fresh,
                failed_rounds=0,
                crashes=0,
                unclear=0,
                early=None,
                parked_at=None,
                refused=False,
                way=act.trouble.way if act.trouble.doubt is not None else None,  # chosen anew
            )
        act.state, act.next_at = "retrying", self.at
        act.reason = act.owner = None
        self.record(facts.StepRetried(by=by), key=act.key, system=act.system)
        self.change.also("open_act", act.row(self.run))

    def mark(self, **columns: object) -> None:
        """Set marks of the run's row that are no state: paused, acknowledged."""
        self.change.also("mark", {"id": str(self.run), **columns})

    def reason(self, code: str, text: str, event_id: str) -> dict[str, Any]:
        """A reason as leaves hold it: the code in clear, the text sealed for the subject."""
        sealed = self.sealer.field(text, event_id=event_id, pointer="/reason/text")
        return {"code": code} if sealed is None else {"code": code, "text": sealed}


@asynccontextmanager
async def command(
    database: Database,
    vault: Vault,
    run: UUID,
    actor: Actor,
    new_event_id: Callable[[], str],
    tell: Tell,
    *,
    has_ended: bool = False,
) -> AsyncIterator[Command]:
    """Lock a run, let a verb decide, and write its Change; the run is due afterwards.

    has_ended: whether the verb is for runs that are over; others are for open ones.
    Raises NotFound for an unknown run and NotWaiting for one that is in the other state. If the
    block adds no fact, nothing is written. Locks: the run, then what the Change names, in the
    lock order.
    """
    async with database.transaction() as connection:
        made = await _locked(connection, vault, run, actor, new_event_id)
        if (made.row["state"] in FINAL) != has_ended:
            raise NotWaiting(verb="change", what=reference("run", run), state=made.row["state"])
        yield made
        for each in (made, *made.beside):
            if len(each.entries):
                await _write(each, new_event_id)
    for each in (made, *made.beside):
        tell(each.change)


async def _locked(
    connection: Connection,
    vault: Vault,
    run: UUID,
    actor: Actor,
    new_event_id: Callable[[], str],
) -> Command:
    """Lock a run and read it; raises NotFound."""
    row = await runs.locked(connection, run)
    if row is None:
        raise NotFound(kind="run", reference=reference("run", run))
    acts = {act["key"]: OpenAct.of(act) for act in await journal.open_acts(connection, [run])}
    head = Head(
        id=run,
        stream=f"run/{reference('run', run)}",
        seq=row["seq"],
        hash=row["head"],
        last_at=row["last_at"],
    )
    return Command(
        connection=connection,
        row=row,
        acts=acts,
        sealer=vault.sealer(run, row["subject"], row["key_n"], row["wrapped"]),
        entries=Entries(head, new_event_id),
        change=Change(run=run, from_seq=row["seq"]),
        actor=actor,
        at=row["as_of"],
    )


async def _write(made: Command, new_event_id: Callable[[], str]) -> None:
    change = made.change
    change.state = made.row["state"]
    change.wake_at = None if change.state in FINAL else made.at
    change.reason, change.addressee = made.row["parked_reason"], made.row["parked_with"]
    if made.parked is not None:
        change.state, change.wake_at, change.release = "parked", None, True
        change.reason, change.addressee = made.parked
    change.seal(made.entries, run_state=None)
    await with_streams(made.connection, change, new_event_id)
    await apply(made.connection, change.whole)


async def with_streams(
    connection: Connection, change: Change, new_event_id: Callable[[], str]
) -> None:
    """Seal a Change's facts for streams that are no run, now that their heads are known."""
    change.events = [event for event in change.events if event.stream_id == change.run]
    change.streams = []
    for name in sorted({streams.stream_name(fact.stream) for fact in change.beside}):
        head = await streams.head(connection, name)
        from_seq = head.seq
        entries = Entries(head, new_event_id)
        for fact in change.beside:
            if streams.stream_name(fact.stream) == name:
                entries.add(
                    fact.fact,
                    at=fact.at,
                    actor=fact.actor,
                    system=fact.system,
                    subject=fact.subject,
                    process=fact.process,
                    reason=fact.reason,
                    id_=fact.id,
                )
        change.events.extend(entries.sealed())
        change.streams.append((from_seq, head))


async def write_aside(
    connection: Connection,
    told: Sequence[Beside],
    *,
    id_: UUID,
    new_event_id: Callable[[], str],
) -> Change:
    """Write facts that move no run, in the caller's transaction; without facts, nothing.

    id_: a fresh one, for the Change, which is to be told once the transaction is over.
    """
    change = Change(run=id_, from_seq=0, is_aside=True)
    if told:
        change.beside.extend(told)
        await with_streams(connection, change, new_event_id)
        await apply(connection, [change])
    return change


async def said_reason(
    connection: Connection, vault: Vault, event_id: str, actor: Actor, *, code: str, text: str
) -> dict[str, Any]:  # Any: JSON
    """A reason as leaves hold it: its text sealed for the person who gave it, if one did.

    text: empty for what was said where it was ordered.
    """
    if not text:
        return {"code": code}
    person = None if actor.person is None else parse_reference(actor.person)[1]
    key = None if person is None else await registry.key_of(connection, person)
    sealer = vault.sealer(vault.ids().new(), person, *(key or (None, None)))
    sealed = sealer.field(text, event_id=event_id, pointer="/reason/text")
    return {"code": code} if sealed is None else {"code": code, "text": sealed}


async def write_reasoned(
    connection: Connection,
    fact: Event,
    actor: Actor,
    *,
    vault: Vault,
    event_id: str,
    code: str,
    reason: str,
    stream: str = "admin",
    subject: str | None = None,
) -> Change:
    """Write one fact with the reason that was given for it, as `write_aside` does."""
    said = await said_reason(connection, vault, event_id, actor, code=code, text=reason)
    at = await registry.now(connection)
    told = Beside(stream, fact, at, actor, None, subject, event_id, reason=said)
    ids = vault.ids()
    return await write_aside(connection, [told], id_=ids.new(), new_event_id=ids.event_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operating:
    """What verbs need: the database, the keys, the definitions, and a maker of event ids.

    versions: of the definitions, as this code has registered them. second_person: whether one is
    needed where something asks for it, or wherever one may be.
    """

    database: Database
    vault: Vault
    processes: Mapping[str, Process[..., Any]]  # Any: each has its own result
    versions: Mapping[str, int]
    new_event_id: Callable[[], str]
    tell: Tell
    second_person: SecondPerson = "asked"

    def on(
        self, run: UUID, actor: Actor, *, has_ended: bool = False
    ) -> AbstractAsyncContextManager[Command]:
        """Lock a run for a verb of `actor`; has_ended: for one that is over."""
        return command(
            self.database,
            self.vault,
            run,
            actor,
            self.new_event_id,
            self.tell,
            has_ended=has_ended,
        )

    async def sealer(self, connection: Connection, run: UUID) -> Sealer:
        """What opens the payloads of a run. Raises NotFound."""
        rows = await runs.load(connection, [run])
        if not rows:
            raise NotFound(kind="run", reference=reference("run", run))
        return self.vault.sealer(run, rows[0]["subject"], rows[0]["key_n"], rows[0]["wrapped"])

    async def also_on(self, made: Command, run: UUID) -> Command | None:
        """Lock another run in the transaction of a verb; None if it has ended.

        Runs are asked for in the order of their ids (lock order).
        """
        other = await _locked(made.connection, self.vault, run, made.actor, self.new_event_id)
        if other.row["state"] in FINAL:
            return None
        made.beside.append(other)
        return other


def check_reason(verb: str, reason: str) -> None:
    """Refuse a verb that changes the course of a run and says no reason."""
    if not reason.strip():
        raise ReasonMissing(verb=verb)


def named_person(actor: Actor, verb: str, *, other_than: UUID | None = None) -> UUID:
    """Give the person who acts, for what nobody may do without a name.

    other_than: whom the act is about. Raises NotAllowed where nobody is named, or it is they.
    """
    if actor.person is None:
        raise NotAllowed(actor=actor.id, verb=verb, needed="to name a person")
    person = parse_reference(actor.person)[1]
    if person == other_than:
        raise NotAllowed(actor=actor.person, verb=verb, needed="somebody else than the person")
    return person
