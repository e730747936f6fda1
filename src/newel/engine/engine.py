"""The Engine: one method per verb; API, console, CLI and users' own code call the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

import orjson

from newel.audit.leaf import Actor
from newel.base.errors import AlreadyStarted, DefinitionError, InvalidInput, NotFound
from newel.base.ids import reference
from newel.connectors.hr_feed import Feed
from newel.domain.change import Change
from newel.domain.limits import RANKS, Priority, checked_places
from newel.domain.values import File
from newel.drawing.drawing import errors_of, unregistered
from newel.drawing.plan import Plan
from newel.engine import actors, bulk, commands, ticketing
from newel.engine.archiving import Archiving
from newel.engine.attention import Attention
from newel.engine.beginning import begin, in_turn
from newel.engine.builtin import PREFIX, BuiltIn
from newel.engine.bulk import BulkReport, Item, Verb
from newel.engine.call_counts import CallCounts
from newel.engine.commands import Amendment, Proposal
from newel.engine.confirming import Confirming
from newel.engine.cutting import Cutting
from newel.engine.definitions import defined, version_of
from newel.engine.desks import Inbox
from newel.engine.endpoints import Endpoints
from newel.engine.erasing import Erasing
from newel.engine.healing import Healing
from newel.engine.holding import Holding
from newel.engine.hooks import Hooks
from newel.engine.hr_feeds import hr_feeds
from newel.engine.incidents import Incidents, Probed
from newel.engine.key_holder import KeyHolder
from newel.engine.legal_hold import LegalHold
from newel.engine.loading import with_former
from newel.engine.messages import SIGNED, Message, Messages, Sent
from newel.engine.operating import Operating, SecondPerson
from newel.engine.places import Places, registered
from newel.engine.planning import Planner
from newel.engine.probing import Probing
from newel.engine.reserving import Book
from newel.engine.retention import Retention
from newel.engine.rewrapping import Rewrapping, load_marks
from newel.engine.safe import Safe
from newel.engine.schedules import Schedules
from newel.engine.sequencer import Sequencer
from newel.engine.sharing import shared
from newel.engine.silence import Silence
from newel.engine.spawning import Offspring
from newel.engine.starting import Source, Wanted
from newel.engine.sweeping import Sweeping
from newel.engine.systems import Systems
from newel.engine.taking_back import TakingBack
from newel.engine.told import Teller
from newel.engine.vault import Vault
from newel.engine.worker import Worker, WorkerSettings
from newel.flow import reading, refusals
from newel.flow.endpoints import Endpoint
from newel.flow.hooks import Hook
from newel.flow.process import Process, Request, written
from newel.flow.reading import events as awaited_events
from newel.flow.schedules import Schedule
from newel.flow.waits import Event
from newel.store import migrate, registry, runs
from newel.store.database import Connection, Database

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A run that a start request made, or had made before."""

    run: UUID
    is_new: bool
    person: UUID | None


class Engine:
    """Everything that can be done with the runs of one database."""

    teller: Teller | None = None
    _limited: frozenset[str] = frozenset()

    def __init__(
        self,
        database: Database,
        vault: Vault,
        processes: Sequence[Process[..., Any]],  # Any: each has its own result
        *,
        connectors: Sequence[Probed] = (),
        events: Sequence[Event[Any]] = (),  # Any: each has its own payload
        channels: Sequence[ticketing.Channel] = (),
        worker: WorkerSettings | None = None,
        schedules: Sequence[Schedule] = (),
        hooks: Sequence[Hook] = (),
        feeds: Sequence[Feed] = (),
        endpoints: Sequence[Endpoint] = (),
        at_most: Mapping[str, int] | None = None,
        keep_payloads: timedelta | None = None,
        probe_at: str | None = None,
        second_person: SecondPerson = "asked",
        reads: bool = True,
        key_holder: KeyHolder | None = None,
        console_url: str | None = None,
        teams: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        """Put a deployment together; `register` must run once before anything starts.

        channels: where people are told of incidents, the first asked first; newel's own inbox
        comes last by itself. A process named `newel.incident` replaces the built-in one.
        at_most: how many attempts a system gets at once, over all workers, by its name.
        keep_payloads: how long after a run's end its inputs and outcomes are kept; None: for ever.
        probe_at: when every system is asked whether it still answers as agreed: cron, UTC, or None.
        second_person: whether operators need one where something asks, or wherever one may be.
        reads: whether what cannot be drawn is refused; False is for tests of what runs refuse.
        key_holder: with what the log is signed; None: others seal it. teams: by work address.
        console_url: where people open newel; links that hand over passwords lead there.
        """
        self.database = database
        self.vault = vault
        self.connectors = tuple(connectors)
        self.knowing = shared(database, vault, self.connectors)
        self.worker_settings = worker or WorkerSettings()
        self._ids = vault.ids()
        self.versions: dict[str, int] = {}
        self.processes = known = defined(processes)
        self._drawn = tuple(known.values()) if reads else ()
        verbs = dict(with_former(known))
        self._operating = Operating(
            database=database,
            vault=vault,
            processes=verbs,
            versions=self.versions,
            new_event_id=self._ids.event_id,
            tell=self._tell,
            second_person=second_person,
        )
        self.planner = Planner(database, verbs, vault)
        self.confirming = Confirming(self._operating)
        self.safe = Safe(self._operating, self.connectors, console_url)
        self._builtin = builtin = BuiltIn(self._operating, self.versions)
        inbox = Inbox(self._operating, builtin)
        self.tickets = ticketing.Ticketing([*channels, inbox], database, known.get(ticketing.NAME))
        self.healing = Healing(self._operating, builtin)
        self.cutting = Cutting(self._operating, builtin, channels)
        self.probing = Probing(database, builtin, self.connectors, probe_at)
        self._bulk = bulk.bulk_process(self._operating)
        self.feeds = hr_feeds(self._operating, feeds, begin=self._begin)
        self.messages = Messages(database, vault, self._ids.event_id, self._tell)
        self.attention = Attention(builtin, self.messages)
        self.taking_back = TakingBack(self._operating, self.messages, self.connectors, self._begin)
        self.endpoints = Endpoints(self._operating, endpoints, self.attention)
        for each in (known, verbs):
            each.update(self._own(inbox))
        self._events = tuple(events)
        self.schedules = Schedules(self._operating, self._times(schedules), begin=self._begin)
        self.hooks = Hooks(
            self._operating, hooks, feeds=self.feeds, begin=self._begin, messages=self.messages
        )
        self.retention = Retention(self._operating, keep_payloads)
        self.sequencer = None if key_holder is None else Sequencer(database, key_holder)
        self._at_most = checked_places(at_most or {})
        self._teams = teams

    @cached_property
    def systems(self) -> Systems:
        """The systems, as operators pause and resume them."""
        return Systems(self._operating, self.connectors)

    @cached_property
    def holding(self) -> Holding:
        """The guard in front of removals, and what asks about those that it holds."""
        return Holding(self._operating, self._builtin, self.messages, self.worker_settings)

    @cached_property
    def _sweeping(self) -> Sweeping:
        """What looks for a second one of what was made again in doubt."""
        return Sweeping(self._operating, self.connectors)

    @cached_property
    def _workers_here(self) -> WeakValueDictionary[int, Worker]:
        """The workers of this engine, in the order in which they were made."""
        return WeakValueDictionary()

    def _times(self, own: Sequence[Schedule]) -> list[Schedule]:
        """Give all schedules: the company's own, and those of probing and of feeds."""
        return [*own, *self.probing.schedules, *(each.schedule for each in self.feeds)]

    def _own(self, inbox: Inbox) -> dict[str, Process[..., Any]]:  # Any: as above
        """The processes that newel brings, by name."""
        own = (
            self.tickets.process, inbox.process, self.healing.process, self.cutting.notice,
            self.cutting.by_hand, self.cutting.asked, self._bulk, *self.probing.processes,
            *(fed for each in self.feeds for fed in each.processes), self.attention.process,
            self.taking_back.process, self.holding.process, self._sweeping.process,
        )  # fmt: skip
        return {each.name: each for each in own}

    def _tell(self, change: Change) -> None:
        """Tell of what is committed: the log, and workers here, which need not wait to look."""
        if not change.events:
            return  # a verb that had nothing to write
        for worker in self._workers_here.values():
            worker.poke()
        if self.teller is not None:
            self.teller.tell(change)
            self.teller.flush()

    async def register(self) -> None:
        """Write down which definitions and systems this version of the code has.

        Raises SchemaOutdated if the database is not at this version, Refused with all that is
        wrong with processes and what they are seen to call (F101 to F708, F714), StoreError if
        people's keys are wrapped under another key-encryption key than the vault's, and
        DefinitionError if a link is to be sent and nothing says where it leads.
        """
        self.safe.check()
        Book(self._operating, self.connectors)
        wrong = refusals.registered(self.processes.values(), reading.steps)
        children = unregistered(self._drawn, self.processes)
        refusals.check([*wrong, *errors_of(self._drawn), *children])
        _ = self.events
        await migrate.check(self.database.fetch)
        async with self.database.transaction() as connection:
            foreign = await registry.foreign_key(connection, self.vault.kek_ids)
            if foreign is not None:
                self.vault.check(foreign["person"], foreign["n"], foreign["wrapped"])
            await load_marks(connection, self.vault)
        for process in self.processes.values():
            self.versions[process.name] = await version_of(self._operating, process)
        async with self.database.transaction() as connection:
            for connector in sorted(self.connectors, key=lambda each: each.name):
                await registry.register_system(
                    connection,
                    key=connector.name,
                    title=connector.title,
                    connector=type(connector).__name__,
                    owner=connector.owner,
                    credential=connector.credential,
                )
            names = [each.name for each in self.connectors]
            self._limited = await registered(connection, self.processes, self._at_most, names)
        await self.knowing.share()
        await self.confirming.note()
        await self.schedules.register()
        await self.endpoints.register()
        self.tickets.version = self.versions[ticketing.NAME]

    async def plan(self, run: UUID) -> Plan:
        """What is done, open and still to come of a run, and why; raises NotFound."""
        return await self.planner.plan(run)

    def new_worker(self) -> Worker:
        """Make a worker for this deployment; its `run` drives runs until it is cancelled."""
        incidents = Incidents(
            self._operating, self.messages, self.connectors, self.tickets, self.healing,
            self.cutting, self.holding, self._sweeping,
        )  # fmt: skip
        counts = CallCounts(self.database)
        beside = (
            counts,
            self.schedules,
            self.retention,
            self.hooks,
            self.confirming,
            self.knowing,
            self.safe,
            self.endpoints,
            self.probing.announcing,
            self.taking_back,
            Silence(self.database, self.hooks.declared.values(), self.attention),
            self.sequencer,
        )
        made = Worker(
            self.database,
            self.processes,
            self.vault,
            incidents,
            self.messages,
            self.worker_settings,
            known=self.versions,
            places=Places(self.database, self._limited),
            companions=[each for each in beside if each is not None],
            offspring=Offspring(self._operating, self.versions, self._ids),
        )
        made.attempt = counts.counting(made.attempt)
        self._workers_here[id(made)] = made
        return made

    # --- starting ---------------------------------------------------------------------------

    async def start(
        self,
        process: str | Request[Any],  # Any: of each process its own
        document: object = None,
        *,
        actor: Actor,
        idempotency_key: str | None = None,
        source: Source = "api",
        priority: Priority | None = None,
    ) -> Started:
        """Start a run from what a caller sent; validated before anything is written.

        process: a request, `onboarding.request(jane)`; or a name, with the input as JSON data. The
        same key with the same document gives the same
        run, also in parallel and after a crash. Raises NotFound, InvalidInput by field,
        AlreadyStarted (the key was used for something else, or the subject has an open run),
        NotAllowed (in the name of somebody who may not start it).
        """
        if isinstance(process, Request):
            document, process = process.document, process.process.name
        definition = self.processes.get(process)
        if definition is None or process.startswith(PREFIX):
            raise NotFound(kind="process", reference=process)
        if priority is not None and priority not in RANKS:
            raise InvalidInput({"priority": f"is none of {', '.join(RANKS)}"})
        wanted = Wanted(
            run=self._ids.run_id(),
            process=definition,
            arguments=definition.parsed(document),
            actor=actor,
            source=source,
            idempotency_key=idempotency_key,
            priority=priority,
        )
        digest = hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).digest()
        scope = f"{actor.id}/{process}"

        async def once() -> tuple[Change | None, Started]:
            async with self.database.transaction() as connection:
                if idempotency_key is not None:
                    known = await self._known(
                        connection, scope, idempotency_key, digest, wanted.run
                    )
                    if known is not None:
                        return None, known
                await actors.check_starter(connection, definition, actor, self._teams)
                change, person = await self._begin(connection, wanted)
                return change, Started(run=wanted.run, is_new=True, person=person)

        change, started = await in_turn(once)
        if change is not None:
            self._tell(change)
        return started

    async def _known(
        self, connection: Connection, scope: str, key: str, digest: bytes, run: UUID
    ) -> Started | None:
        known = await registry.claim_request(
            connection, scope=scope, key=key, digest=digest, run=run
        )
        if known is None:
            return None
        if known["digest"] != digest:
            raise AlreadyStarted(run=reference("run", known["run_id"]), idempotency_key=key)
        person = await runs.subject_of(connection, known["run_id"])
        return Started(run=known["run_id"], is_new=False, person=person)

    async def _begin(self, connection: Connection, wanted: Wanted) -> tuple[Change, UUID | None]:
        return await begin(connection, self.vault, self.versions, self._ids.event_id, wanted)

    # --- verbs on what is there -------------------------------------------------------------

    def rewrapping(self, place: Path | None) -> Rewrapping:
        """Give what changes the key-encryption key, in this file, or where a setting refers."""
        return Rewrapping(self._operating, place)

    def archiving(
        self, holder: KeyHolder, keep: timedelta | None, pruning: Database | None = None
    ) -> Archiving:
        """How events leave the database for an archive; the rest is as `Archiving` says."""
        return Archiving(self._operating, holder, keep, pruning)

    @property
    def legal_hold(self) -> LegalHold:
        """Give what keeps all that is about a person."""
        return LegalHold(self._operating)

    @property
    def erasing(self) -> Erasing:
        """Erasing people, which takes two."""
        return Erasing(self._operating)

    async def decide(self, task: UUID, *, approved: bool, actor: Actor, comment: str = "") -> None:
        """Decide an approval; errors as in `commands.decide`."""
        await commands.decide(
            self._operating, task, approved=approved, actor=actor, comment=comment
        )

    async def fill(
        self,
        task: UUID,
        value: object = None,
        *,
        actor: Actor,
        note: str = "",
        file: File | None = None,
    ) -> None:
        """Fill in a form, or say that work by hand is done; errors as in `commands.fill`."""
        await commands.fill(self._operating, task, value, actor=actor, note=note, file=file)

    async def proposal_of(self, task: UUID) -> Proposal | None:
        """What a second person is asked to confirm; errors as in `commands.proposal_of`."""
        return await commands.proposal_of(self._operating, task)

    async def attached(self, task: UUID) -> File:
        """The file that was attached to a task; errors as in `commands.attached`."""
        return await commands.attached(self._operating, task)

    async def retry(self, run: UUID, key: str | None = None, *, actor: Actor) -> None:
        """Try a parked or waiting step again; errors as in `commands.retry`."""
        await commands.retry(self._operating, run, key, actor=actor)

    async def skip(self, run: UUID, key: str, *, actor: Actor, reason: str) -> UUID | None:
        """Let the body go on without a step; answers and errors as in `commands.skip`."""
        return await commands.skip(self._operating, run, key, actor=actor, reason=reason)

    async def complete_by_hand(
        self, run: UUID, key: str, value: object, *, evidence: str, actor: Actor, reason: str
    ) -> UUID | None:
        """Give the result of a step that a person has done; answers and errors as in `commands`."""
        return await commands.complete_by_hand(
            self._operating, run, key, value, evidence=evidence, actor=actor, reason=reason
        )

    async def keep(self, run: UUID, key: str, *, actor: Actor, reason: str) -> None:
        """Let a finished act stand for its changed input; errors as in `commands.keep`."""
        await commands.keep(self._operating, run, key, actor=actor, reason=reason)

    async def why_drifted(self, run: UUID, key: str) -> str:
        """What has changed of a finished act's input, in words; empty where nothing is told."""
        return await commands.why_drifted(self._operating, run, key)

    async def cancel(self, run: UUID, *, actor: Actor, reason: str) -> UUID | None:
        """Ask for the end of a run; answers and errors as in `commands.cancel`."""
        return await commands.cancel(self._operating, run, actor=actor, reason=reason)

    async def pause(self, run: UUID, *, actor: Actor, reason: str) -> None:
        """Begin nothing new in a run for a while; errors as in `commands.pause`."""
        await commands.pause(self._operating, run, actor=actor, reason=reason)

    async def resume(self, run: UUID, *, actor: Actor) -> None:
        """Let a paused run go on; errors as in `commands.resume`."""
        await commands.resume(self._operating, run, actor=actor)

    async def reschedule(
        self, run: UUID, key: str, *, at: datetime, actor: Actor, reason: str
    ) -> None:
        """Move a timer or a deadline; errors as in `commands.reschedule`."""
        await commands.reschedule(self._operating, run, key, at=at, actor=actor, reason=reason)

    async def amend(
        self, run: UUID, document: object, *, actor: Actor, reason: str = "", dry: bool = False
    ) -> Amendment:
        """Give a run another input, or only say what that would mean; errors as in `commands`."""
        return await commands.amend(
            self._operating, run, document, actor=actor, reason=reason, dry=dry
        )

    async def input_of(self, run: UUID) -> object:
        """The input that a run goes by, as a caller would send it. Raises NotFound."""
        return await commands.input_of(self._operating, run)

    async def fork(self, run: UUID, key: str, *, actor: Actor) -> UUID:
        """Start a run from another's journal up to a key; errors as in `commands.fork`."""
        return await commands.fork(self._operating, run, key, actor=actor)

    async def acknowledge(self, run: UUID, *, actor: Actor, reason: str = "") -> None:
        """Say that a failed run was seen; errors as in `commands.acknowledge`."""
        await commands.acknowledge(self._operating, run, actor=actor, reason=reason)

    async def bulk(
        self, verb: Verb, items: Sequence[Item], *, actor: Actor, reason: str = ""
    ) -> UUID:
        """Carry out one verb on a frozen list, in a run of its own; errors as `bulk.ordered`."""
        order = bulk.ordered(verb, items, actor=actor, reason=reason)
        wanted = Wanted(
            run=self._ids.run_id(),
            process=self._bulk,
            arguments={"order": order},
            actor=actor,
            source="api",
        )
        async with self.database.transaction() as connection:
            change, _ = await self._begin(connection, wanted)
        self._tell(change)
        return wanted.run

    async def bulk_report(self, run: UUID) -> BulkReport:
        """Say how far a bulk order is, item by item. Raises NotFound."""
        return await bulk.report(self._operating, self._bulk, run)

    # --- messages from outside --------------------------------------------------------------

    @cached_property
    def events(self) -> Mapping[str, Event[Any]]:  # Any: as above
        """Every event that somebody may send, by name: declared here, or waited for by a process.

        Raises DefinitionError if one name stands for two kinds of payload.
        """
        found: dict[str, Event[Any]] = {}
        seen = (event for each in self.processes.values() for event in awaited_events(each))
        for event in (*self._events, *seen):
            known = found.setdefault(event.name, event)
            if (known.payload, known.is_buffered) != (event.payload, event.is_buffered):
                raise DefinitionError(
                    f"Two events are named `{event.name}`.",
                    fix="declare it once, at module level, and import it.",
                )
        return found

    async def send(
        self,
        event: Event[T],
        payload: T,
        *,
        actor: Actor,
        match: str | None = None,
        to: UUID | None = None,
        event_id: str | None = None,
        source: str = "api",
    ) -> Sent:
        """Send an event to a wait with the same `match`, or to one run; once per event id.

        Raises NotJournalable for a payload of another type, InvalidInput for neither or a bad
        address, or for an event id that was used before for something else.
        """
        text, _ = event.codec.round_trip(payload)
        return await self._send(event, text, actor, match, to, event_id, source)

    async def send_document(
        self,
        name: str,
        document: object,
        *,
        actor: Actor,
        match: str | None = None,
        to: UUID | None = None,
        event_id: str | None = None,
        source: str = "api",
    ) -> Sent:
        """Send an event by its name, with what a caller sent as its payload.

        document: JSON data; validated before it is kept. Raises NotFound for an event that no
        process waits for, InvalidInput by field, and as `send`.
        """
        event = self.events.get(name)
        if event is None:
            raise NotFound(kind="event", reference=name)
        text = event.codec.dump(event.codec.accept(written(document)))
        return await self._send(event, text, actor, match, to, event_id, source)

    async def _send(
        self,
        event: Event[Any],  # Any: as above
        payload: bytes,
        actor: Actor,
        match: str | None,
        to: UUID | None,
        event_id: str | None,
        source: str,
    ) -> Sent:
        if source.startswith(SIGNED):
            raise InvalidInput({"source": "is for what comes signed, to a hook"})
        if match is None and to is None:
            raise InvalidInput({"match": "is missing: give it, or the run that this is sent to"})
        if to is not None and not await runs.exists(self.database, to):
            raise NotFound(kind="run", reference=reference("run", to))
        message = Message(
            name=event.name,
            payload=payload,
            source=source,
            event_id=event_id or self._ids.event_id(),
            match=match,
            to=to,
            is_buffered=event.is_buffered,
        )
        return await self.messages.send(message, actor)

    async def actor(self, named: str | None, *, via: str, key: str | None = None) -> Actor:
        """Say who acts: a person, or the service of an API key; as `actors.actor`."""
        return await actors.actor(self._operating, named, via=via, key=key)
