"""One run in a worker's memory: replayed from its journal, driven until it ends or rests.

An Runner is a function of the journal and of the facts that came after it. Facts (a step's
end, a due moment) are handed to the body in memory, the body runs ahead to its next durable
acts, and only then one Change goes to the committer: outcomes, what follows from them, the
intents of the next steps, the run's state. The code of those steps starts when that Change is
committed, never earlier. If the Change is refused because somebody else wrote first, the whole
Runner is thrown away, loaded anew, and the facts are applied again: nothing has been shown
to the outside that was not committed.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, cast
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, ProcessVersion
from newel.base.codec import OUTCOME_LIMIT
from newel.base.errors import Cancelled, NewelError, OutcomeUnreadable
from newel.base.ids import idempotency_key, reference
from newel.domain.acts import OpenAct
from newel.domain.calendar import EVERY_WEEK, Calendar
from newel.domain.change import Beside, Change, Entries, Head, Said
from newel.domain.retry import Retry
from newel.domain.values import Effect, RunInfo
from newel.engine import children, deciding, drifting, overdue, resting
from newel.engine.addresses import Addresses
from newel.engine.body import Body, Decided
from newel.engine.branches import CancelledBy, Ready
from newel.engine.children import Errand, Relatives
from newel.engine.foreign import refused
from newel.engine.history import History, Recorded
from newel.engine.judging import Judge, never_awaited, other_kind
from newel.engine.outcomes import decoded, failure_of, is_declared
from newel.engine.turns import Turns
from newel.engine.vault import Sealer
from newel.flow.act import Act, StepAct, WaitAct
from newel.flow.process import Process
from newel.flow.step import DEFAULT_TIMEOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """An open incident of a credential, as far as steps must know of it.

    is_refused: the credential itself is refused, so nothing is sent with it at all.
    """

    incident: UUID
    lead_run: UUID
    lead_key: str
    is_open: bool
    last_error: str | None = None
    is_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one run may keep: bytes of one outcome, and how many outcomes.

    attempt_timeout: of steps that say nothing of it. calendar: of waits that count working days.
    """

    outcome_bytes: int = OUTCOME_LIMIT
    outcomes: int = 10_000
    attempt_timeout: timedelta = DEFAULT_TIMEOUT
    calendar: Calendar = EVERY_WEEK


class Host(Protocol):
    """What an Runner needs of the worker it lives in."""

    worker: int
    epoch: int
    actor: Actor
    retry: Retry
    limits: Limits

    @property
    def places(self) -> Turns:
        """What is known of places at systems."""
        ...

    @property
    def addresses(self) -> Addresses:
        """Whose work addresses are known."""
        ...

    @property
    def is_leaving(self) -> bool:
        """Whether nothing new is begun here: a step that comes now is left to another worker."""
        ...

    def now(self) -> datetime:
        """The database's clock, as far as the worker knows it."""
        ...

    def event_id(self) -> str:
        """A fresh id for an audit event."""
        ...

    def new_uuid(self) -> UUID:
        """A fresh time-ordered id."""
        ...

    def circuit(self, credential: str | None) -> Circuit | None:
        """The open incident of a credential, at most a second old."""
        ...

    def answered(self, credential: str | None) -> None:
        """A step of an incident has succeeded: its circuit holds back nothing more."""
        ...


@dataclass(slots=True, kw_only=True)
class Loaded:
    """A run as it was read: its row, its history, what is open.

    version: the one that drove it last; current: that of the code at hand, if it is another.
    """

    id: UUID
    process: Process[..., Any]  # Any: each process has its own result
    version: ProcessVersion
    state: str
    subject: UUID | None
    head: Head
    cancelling: bool
    as_of: datetime
    started_at: datetime
    seen: int = 0
    readings: int = 0
    history: History
    open_acts: dict[str, OpenAct]
    sealer: Sealer
    current: ProcessVersion | None = None
    is_paused: bool = False
    limit_at: datetime | None = None
    is_overdue: bool = False
    parent: UUID | None = None
    relatives: Relatives = field(default_factory=Relatives)


@dataclass(slots=True)
class Settled:
    """What an Runner decided: the Change to commit, or that the run only rests again.

    starting: keys whose attempts begin when the Change is committed. said: log lines of the body,
    told when that is so, or when the run is put back. errands: what is to be done about other
    runs then.
    """

    change: Change | None
    wake_at: datetime | None
    rests: bool
    starting: list[str] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    errands: list[Errand] = field(default_factory=list[Errand])


Arrive = Callable[["Runner", str, Act[Any]], None]  # Any: each act has its own result
Compare = Callable[["Runner", str, Act[Any], Recorded], bool]  # Any: as above
OnRedone = Callable[["Runner", OpenAct, StepAct[Any], Effect | None], None]  # Any: as above


class Runner:
    """One run being driven; all its methods are synchronous and do no I/O."""

    def __init__(
        self,
        loaded: Loaded,
        host: Host,
        arrive: Arrive,
        has_drifted: Compare = drifting.has_drifted,
    ) -> None:
        """Prepare the run; nothing is driven before `begin`.

        arrive: opens, or goes on with, the act that a branch has come to. has_drifted: says of a
        finished act whether its branch stops there, because its input is another than it was.
        moves_on: whether branches go on beside what has blocked it.
        """
        self._arrive = arrive
        self._has_drifted = has_drifted
        self.loaded = loaded
        self.host = host
        self.id = loaded.id
        self.process = loaded.process
        self.history = loaded.history
        self.open = loaded.open_acts
        self.sealer = loaded.sealer
        self.state = loaded.state
        self.as_of = loaded.as_of
        # The worker's reading may lag by the way of an answer; a moment that has come has come.
        self.moment = max(host.now(), loaded.as_of)
        self._idempotency_keys: dict[str, str] = {}
        self.subject = None if loaded.subject is None else reference("per", loaded.subject)
        self.entries = Entries(loaded.head, host.event_id)
        self.loaded_at = loaded.head.seq
        self.change = Change(run=self.id, from_seq=loaded.head.seq)
        self.acts: dict[str, Act[Any]] = {}  # Any: each act has its own result
        self.attempting: set[str] = set()
        self.starting: list[str] = []
        self.errands: list[Errand] = []
        self._has_errand = self._is_looking_up = False
        self._released: list[str] = []
        self.blocked: tuple[str, str] | None = None
        self.moves_on = False
        self.on_outcome: Callable[[Runner, str, object], None] | None = None
        self.on_redone: OnRedone | None = None
        self.has_ended = False
        self.state_at_end = "completed"
        self._arrived: list[tuple[str, Act[Any]]] = []  # Any: as above
        self.version = loaded.current or loaded.version
        self.drifted: dict[str, str] = {}
        self.is_judged_anew = False
        self._inputs: dict[bytes, bytes] = {}
        self.judge = Judge(self)
        self._body: Body | None = None

    # --- the ways in -----------------------------------------------------------------------

    def begin(self, *, attempting: set[str] | None = None) -> Settled:
        """Replay the run from its journal, and go on as far as it can.

        attempting: keys whose attempts this worker has in flight already.
        """
        self.attempting = attempting or set()
        info = RunInfo(
            id=reference("run", self.id),
            process=self.process.name,
            subject=self.subject,
            started_at=self.loaded.started_at,
            started_by=self.history.started_by,
        )
        try:
            arguments = self.process.loaded(self.history.arguments)
        except NewelError as error:
            self.blocked = ("blocked", str(error))
            return self.settle()
        overdue.look(self)
        self._note_takeover()
        self._body = Body(self.process, arguments, run=self.id, info=info, recorder=self)
        self._body.driven.seen = self.loaded.seen
        self._body.driven.is_live = self.loaded.seen == 0
        self._body.start()
        self._open_arrived()
        return self.settle()

    def _note_takeover(self) -> None:
        """Tell that an attempt of another worker is ours now; told once, with what follows it."""
        before = {
            act.worker_id
            for act in self.open.values()
            if act.state == "attempting" and act.worker_id not in {None, self.host.worker}
        }
        for worker in sorted(filter(None, before)):
            self.record(
                facts.RunTakenOver(
                    from_worker=f"w_{worker}",
                    to_worker=f"w_{self.host.worker}",
                    epoch=self.host.epoch,
                )
            )

    def resume(self, key: str, outcome: Ready, seq: int) -> None:
        """Hand an outcome that was just recorded to the body, and let it run ahead."""
        assert self._body is not None, "a run is begun before anything arrives"
        if key in self._body.resting:
            self._body.resume(key, seq, outcome)
            self._open_arrived()

    def dismiss(self) -> None:
        """Let go of the run's memory; nothing is recorded."""
        if self._body is not None:
            self._body.dismiss()

    # --- what the body reaches -------------------------------------------------------------

    def reached(self, key: str, act: Act[Any]) -> tuple[int, Ready] | None:
        """A branch has come to an act: give its outcome, or open it when all branches rest."""
        self.acts[key] = act
        if self.judge.unvisited:
            self.judge.unvisited.discard(key)
            if (other := other_kind(self, key, act)) is not None and not self.loaded.cancelling:
                self.blocked = self.blocked or other
                return None
        recorded = self.history.outcomes.get(key)
        if recorded is None:
            if len(self.history.outcomes) >= self.host.limits.outcomes:
                self.blocked = resting.too_many(self, key)
                return None
            self._arrived.append((key, act))
            return None
        try:
            if self._has_drifted(self, key, act, recorded):
                return None
            return recorded.seq, self._ready(key, act, recorded)
        except OutcomeUnreadable as error:
            if self.loaded.cancelling:  # what nobody can read need not be read any more
                return recorded.seq, Ready(None, Cancelled(), recorded.at)
            self.blocked = ("blocked", str(error))
        except NewelError as error:
            self.blocked = ("bug", failure_of(error))
        return None

    def come_to(self, key: str, act: Act[Any]) -> None:
        """Open an act although it had an outcome: that one holds no more."""
        self._arrived.append((key, act))

    def _ready(self, key: str, act: Act[Any], recorded: Recorded) -> Ready:
        if recorded.is_late:
            return Ready(None, Cancelled(), recorded.at)
        value, error = decoded(key, act, recorded, self.opened)
        return Ready(value, error, recorded.at)

    def cancelled_at(self, key: str) -> tuple[int, Ready] | None:
        """Where the journal says that a branch was cancelled at an act of the body's own."""
        self.judge.unvisited.discard(key)
        return deciding.cancelled_at(self, key)

    def decide(self, key: str, kind: str, verb: str, keys: tuple[str, ...]) -> Decided | None:
        """Record what the body has decided, or give what the journal holds of it."""
        return deciding.decide(self, key, kind, verb, keys)

    def is_declared(self, error: BaseException) -> bool:
        """Whether an exception is a business end of the process.

        An operator's cancellation makes an end of a fault, too: its promises are kept.
        """
        if self.loaded.cancelling and isinstance(error, Exception):
            return True
        return is_declared(error, self.process.raises)

    def released(self, key: str) -> None:
        """Note that a lock that all runs share is to be given back when this transition ends."""
        self._released.append(key)

    def _open_arrived(self) -> None:
        while self._arrived and not self._is_stopped():
            arrived, self._arrived = self._arrived, []
            self.judge.has_opened = True
            for key, act in arrived:
                if key in self.history.outcomes or self.has_ended or self._has_broken():
                    continue
                if self._is_cancelled_at(key):
                    self._cancel(key, act)
                else:
                    self._begin(key, act)

    def known_as(self, key: str, former: tuple[str, ...]) -> str:
        """The key under which the run knows an act, of its own and its former ones."""
        return self.judge.known_as(key, former)

    def _is_stopped(self) -> bool:
        """Whether nothing new may be begun, because of what the run has behind it."""
        assert self._body is not None, "a run is begun before anything arrives"
        body = self._body
        why = refused(body.loop) or self.judge.at_rest(body) or never_awaited(body)
        if why is not None:
            self.blocked = self.blocked or why
        return why is not None

    def _has_broken(self) -> bool:
        """Whether a fault has ended the body, or its time is over: nothing of it begins."""
        return overdue.holds(self) or (self._body is not None and self._body.has_ended)

    def _begin(self, key: str, act: Act[Any]) -> None:
        """Open an act, or go on with it; a call that cannot be opened is told to the body."""
        assert self._body is not None, "a run is begun before anything arrives"
        refused = None
        try:
            self._arrive(self, key, act)
        except NewelError as error:
            refused = error
        if refused is not None:  # told outside the handler: the body must not see it as its own
            self._body.resume(key, 0, Ready(None, refused, self.loaded.started_at))

    # --- cancelling ------------------------------------------------------------------------

    def is_leaving(self, key: str) -> bool:
        """Whether the branch at `key` ends with its act, whatever the act gives."""
        body = self._body
        return body is not None and body.is_leaving(key, by_operator=self.loaded.cancelling)

    @property
    def may_take(self) -> bool:
        """Whether the run may take what others wait for: not if a person has to act first."""
        body = self._body
        is_broken = body is not None and (body.stray or body.locks.fault(shared=True)) is not None
        return not (self.loaded.is_paused or self.blocked is not None or is_broken)

    def leaving_by(self, key: str) -> CancelledBy:
        """What ends the branch at `key`."""
        return "run" if self._body is None else self._body.leaving_by(key)

    def stop(self, key: str) -> None:
        """Withdraw an act of a branch that is leaving, now that it can be."""
        assert self._body is not None, "a run is begun before an act of it ends"
        act = self.acts[key]
        seq = self._withdrawn(key, act, self.leaving_by(key))
        self._body.resume(key, seq, Ready(None, Cancelled(), self.entries.latest))
        self._open_arrived()

    def _is_cancelled_at(self, key: str) -> bool:
        """Whether a cancelled run stops here; what is in flight, or in doubt, ends first."""
        if not self.loaded.cancelling or self._body is None or self._body.is_protected(key):
            return False
        return self._may_withdraw(key)

    def _may_withdraw(self, key: str) -> bool:
        known = self.open.get(key)
        if known is None:
            return True
        if known.kind == "child" and children.cancel(self, known):
            return False
        return known.state != "attempting" and known.trouble.doubt is None

    def _stop_cancelled(self) -> None:
        """Cancel what has come to rest since the request: it waits for nothing any more."""
        assert self._body is not None, "a run is begun before it settles"
        for key in list(self._body.resting):
            if key in self.open and key in self._body.resting and self._is_cancelled_at(key):
                self._cancel(key, self.acts[key])
        self._body.cancel_idle()
        self._open_arrived()

    def _cancel(self, key: str, act: Act[Any]) -> None:
        """Withdraw an act, and raise Cancelled where the body awaits it."""
        assert self._body is not None, "a run is begun before it is cancelled"
        seq = self._withdrawn(key, act, "run")
        outcome = Ready(None, Cancelled(), self.entries.latest)
        self._body.resume(key, seq, outcome)

    def withdraw(self, key: str, act: Act[Any], by: CancelledBy) -> tuple[int, datetime] | None:
        """Close an act whose branch is cancelled; None where it has to end by itself first."""
        if not self._may_withdraw(key):
            return None
        self._arrived = [each for each in self._arrived if each[0] != key]
        return self._withdrawn(key, act, by), self.entries.latest

    def _withdrawn(self, key: str, act: Act[Any], by: CancelledBy) -> int:
        return self.close(key, deciding.withdrawal(act, by))

    def close(self, key: str, fact: Any) -> int:  # Any: an outcome without a value
        """Close what is open of an act, and give its key the outcome that it was withdrawn."""
        known = self.open.pop(key, None)
        if known is not None and known.task_id is not None:
            task = reference("tsk", known.task_id)
            self.record(facts.TaskWithdrawn(task=task, cause="cancel"), key=key)
            self.change.also("task", {**self.withdrawn_task(known), "state": "withdrawn"})
        if known is not None:
            self.change.closed.append(key)
            self.change.forget("open_act", key)
            if known.kind == "lock":  # the next in order comes before whoever has left
                self.change.also("unlock", {"key": known.match})
        seq = self.record(fact, key=key)
        self.history.outcomes[key] = Recorded(seq, fact.type, self.entries.latest, b"", None)
        return seq

    def withdrawn_task(self, act: OpenAct) -> dict[str, Any]:
        """The columns of a task that an update of its state must name."""
        return {
            "id": str(act.task_id),
            "run_id": str(self.id),
            "key": act.key,
            "kind": "approval",
            "title": act.key,
            "owner": act.owner or "",
            "excluded": [],
            "opened_at": act.opened_at,
            "version": 1,
        }

    # --- writing ---------------------------------------------------------------------------

    def record(self, fact: Any, *, key: str | None = None, **more: Any) -> int:
        """Add a fact to the Change in the making; answers with its place in the stream."""
        return self.entries.add(
            fact,
            at=self.moment,
            actor=self.host.actor,
            subject=self.subject,
            key=key,
            **more,
        )

    def beside(self, stream: str, fact: Any, *, system: str | None) -> None:
        """Add a fact for a stream that is no run; such a Change travels alone."""
        self.change.beside.append(Beside(stream, fact, self.moment, self.host.actor, system))

    def opened(self, payload: bytes) -> bytes:
        """A payload's plain bytes."""
        return self.sealer.open(payload)

    def fingerprint(self, act: StepAct[Any] | WaitAct[Any]) -> bytes:
        """Tell inputs apart without telling them: 16 bytes under the run's secret."""
        arguments = drifting.input_of(act) or b"{}"
        fingerprint = self.digest(arguments)
        self._inputs[fingerprint] = arguments
        return fingerprint

    def digest(self, arguments: bytes) -> bytes:
        """The fingerprint of arguments as JSON."""
        return hmac.digest(self.history.secret, arguments, "sha256")[:16]

    def input_kept(self, key: str, fingerprint: bytes) -> bytes | None:
        """Seal what an act is called with, unless it is nothing or is kept already."""
        text = self._inputs.pop(fingerprint, b"{}")
        if text == b"{}" or (key, fingerprint.hex()) in self.history.inputs:
            return None
        return self.sealer.seal(text)

    def idempotency_key(self, key: str) -> str:
        """What a system that takes idempotency keys is given: the same in every attempt."""
        found = self._idempotency_keys.get(key)
        if found is None:
            edition = self.history.editions.get(key, 0)
            name = key if edition == 0 else f"{key}\0{edition}"
            found = self._idempotency_keys[key] = idempotency_key(self.id, name)
        return found

    def intend(self, act: OpenAct, round_: int) -> None:
        """Record that an attempt is about to be made; it starts when this is committed."""
        fingerprint = act.fingerprint or b""
        payload = self.input_kept(act.key, fingerprint)
        self.record(
            facts.StepStarted(
                idempotency_key=self.idempotency_key(act.key),
                input_fp=fingerprint.hex(),
                direction="undo" if self.acts[act.key].is_promise else "act",
                route=cast("facts.Route | None", act.trouble.way),
            ),
            payload=payload,
            key=act.key,
            attempt=act.attempt,
            round_=round_,
            system=act.system,
        )
        self.history.took_input(act.key, fingerprint.hex(), payload)
        self.history.begun_at[act.key] = act.intended_at
        self.starting.append(act.key)

    # --- settling --------------------------------------------------------------------------

    def _give_back(self, body: Body) -> None:
        """Give back shared locks whose blocks were left; not if a fault has left them.

        A fault is no end: mended code goes on inside the block, and must hold the lock there. A
        replay passes by what has been given back before.
        """
        if self.moves_on:  # what has blocked it may have been handled since
            self.blocked, self.moves_on = None, False
        released, self._released = self._released, []
        if self.blocked is None and body.stray is None and not body.has_fault:
            for key in released:
                children.give_back(self, key)

    def settle(self) -> Settled:
        """Close the Change in the making: the run's new state, and whether it rests."""
        body = self._body
        if body is not None and self.loaded.cancelling:
            self._stop_cancelled()
        if body is not None and not self.has_ended:
            self._give_back(body)
            resting.judge(self, body)
        self.judge.note_moved()
        # a needed errand ends with the run being loaded anew: this one does not outlive it
        self._is_looking_up |= any(errand.address for errand in self.errands)
        self._has_errand |= any(errand.is_needed for errand in self.errands)
        is_quiet = self.has_ended or not (self.attempting or self.starting)
        rests = self.has_ended or (is_quiet and not self._has_errand)
        # who only waits for a child to be there waits already: once it is, nothing is recorded
        state, wake_at = resting.state_of(self, rests=is_quiet and not self._is_looking_up)
        starting, self.starting = self.starting, []
        self.attempting.update(starting)
        self.judge.note_moved()
        errands, self.errands = self.errands, []
        said: list[Said] = []
        if body is not None:
            said, body.driven.log_lines = body.driven.log_lines, []
        if len(self.entries) == 0:
            return Settled(None, wake_at, rests, starting, said, errands)
        change = self.change
        change.said = said
        if self.has_ended and self.loaded.parent is not None:
            change.also("wake", {"id": str(self.loaded.parent), "key": ""})
        change.release = rests
        change.state, change.wake_at = state, wake_at
        if state == "parked":
            change.reason, change.addressee = resting.why_parked(self)
        change.seal(self.entries, run_state=state if state != self.state else None)
        self.state = state
        self.change = Change(run=self.id, from_seq=change.to_seq)
        return Settled(change, wake_at, rests, starting, errands=errands)
