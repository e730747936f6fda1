"""Driving the body of one run: a plain synchronous loop, without tasks, I/O or clock.

The runner drives the coroutine itself with `send` and `throw`. An act is an awaitable that
yields itself; `parallel`, races and groups yield their branches, which are driven here as
sub-coroutines, each in a `contextvars` context of its own. From this follow, without further
machinery:

- running ahead is a loop that ends when every branch rests;
- letting go of a run is throwing `Suspended` and dropping the coroutine;
- awaiting anything that is not an act is noticed at the first `await`.

Which of several branches goes on first is decided by the place of its outcome in the journal
(`seq`, a total order of wake-ups), live and in every replay alike, so that the body sees the
same world every time (engine document, I10). What follows from the acts around it (a join, a
freed lock) has no place of its own and comes first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from typing import Any, Final, Protocol
from uuid import UUID

from newel.base.errors import ActReused, Cancelled, DefinitionError, Suspended
from newel.domain.keys import Claims
from newel.domain.values import RunInfo
from newel.engine.branches import Branch, Cancellation, CancelledBy, Joint, Ready
from newel.engine.foreign import StandIn, awaited
from newel.engine.joints import OpenGroup, OpenRace
from newel.engine.regions import Locks, Milestones, Scopes
from newel.engine.unwinding import breaks_off
from newel.engine.words import WORDS
from newel.flow.act import Act, Fork
from newel.flow.context import ATTEMPT, DRIVEN, FORMER_SECTIONS, MOMENT, SECTION, Driven, Moment
from newel.flow.process import Process
from newel.flow.regions import former_keys

_BY_OPERATOR: Final = Cancellation(0, "run")


@dataclass(frozen=True, slots=True)
class Decided:
    """What the journal says of an act that the body itself decides."""

    seq: int
    at: datetime
    verb: str


class Recorder(Protocol):
    """Who keeps what the body reaches; answers from the journal where it knows."""

    def reached(self, key: str, act: Act[Any]) -> tuple[int, Ready] | None:
        """A branch has come to an act of the world: its outcome, or None where there is none."""
        ...

    def withdraw(self, key: str, act: Act[Any], by: CancelledBy) -> tuple[int, datetime] | None:
        """Close an act that a branch rests at; None where it has to end by itself first."""
        ...

    def decide(self, key: str, kind: str, verb: str, keys: tuple[str, ...]) -> Decided | None:
        """Record what the body has decided; None where the journal says otherwise."""
        ...

    def cancelled_at(self, key: str) -> tuple[int, Ready] | None:
        """Where the journal says that a branch was cancelled at an act of the body's own."""
        ...

    def released(self, key: str) -> None:
        """The lock that was acquired under `key`, one that all runs share, is given back."""
        ...

    def is_declared(self, error: BaseException) -> bool:
        """Whether an exception is a business end of the process."""
        ...

    def known_as(self, key: str, former: tuple[str, ...]) -> str:
        """The key under which the run knows an act, of its own and its former ones."""
        ...


class Body:
    """One run's coroutine and branches; knows what is reached and what has ended.

    resting: branches that stand at an act of the world, by key. stray: a fault of a branch that
    nobody waits for any more.
    """

    def __init__(
        self,
        process: Process[..., Any],  # Any: a body's result has its own type
        arguments: dict[str, object],
        *,
        run: UUID,
        info: RunInfo,
        recorder: Recorder,
    ) -> None:
        self.recorder = recorder
        self._claims = Claims()
        self.loop = StandIn(process.function.__module__)
        self._order = 0
        self._ready: list[tuple[int, int, Branch, Ready]] = []
        self._live: dict[Branch, None] = {}
        self._idle: dict[str, tuple[Branch, Callable[[], object]]] = {}
        self._holders: dict[Joint, Branch] = {}
        self._labels: dict[Joint, str] = {}
        self.settling: list[tuple[Branch, int]] = []
        self.groups: dict[object, OpenGroup] = {}
        self.races: dict[object, OpenRace] = {}
        self.scopes = Scopes(self)
        self.locks = Locks(self)
        self.milestones = Milestones(self)
        self.joint_count = 0
        self.resting: dict[str, Branch] = {}
        self.driven = Driven(run=run, info=info, started_at=info.started_at)
        self.driven.is_declared = recorder.is_declared
        self.has_returned = False
        self.value: object = None
        self.error: BaseException | None = None
        self.stray: BaseException | None = None
        context = copy_context()
        moment = Moment(at=info.started_at)
        context.run(DRIVEN.set, self.driven)
        context.run(MOMENT.set, moment)
        context.run(ATTEMPT.set, None)  # whoever loads a run may stand in an attempt's context
        coroutine = context.run(process.function, **arguments)
        self._root = Branch(coroutine, context, path=(), moment=moment)
        self._live[self._root] = None

    # --- the ways in -----------------------------------------------------------------------

    def start(self) -> None:
        """Run the body until every branch rests or the body has ended."""
        before = self.loop.enter()
        try:
            self._advance(self._root, None)
            self._drain()
        finally:
            self.loop.leave(before)

    def resume(self, key: str, seq: int, outcome: Ready) -> None:
        """Hand an outcome to the branch that rests at `key`, and run on."""
        branch = self.resting.pop(key)
        self.enqueue(branch, seq, outcome)
        self._drain()

    def cancel_idle(self) -> None:
        """An operator ends the run: no branch waits for another any more."""
        for branch, _ in list(self._idle.values()):
            if 0 not in branch.cancelled:
                self._withdraw(branch, _BY_OPERATOR)
        self._drain()

    @property
    def has_ended(self) -> bool:
        """Whether the body has returned and nothing of it goes on.

        A fault ends it at once; what still runs beside a business end is awaited.
        """
        return self.has_returned and (self.has_fault or not self._holders)

    @property
    def has_fault(self) -> bool:
        """Whether an exception has left the body that is no end of the process."""
        error = self.error
        is_end = error is None or isinstance(error, Cancelled) or self.recorder.is_declared(error)
        return not is_end

    @property
    def is_stuck(self) -> bool:
        """Whether nothing that the world does could let the body go on."""
        return not self.resting and not self.has_ended

    def waits_for(self) -> list[str]:
        """The keys at which branches wait for other branches."""
        return sorted(self._idle)

    def is_leaving(self, key: str, *, by_operator: bool) -> bool:
        """Whether the branch at `key` ends once its act has ended, whatever the act gives."""
        branch = self.resting.get(key)
        if branch is None or (branch.act is not None and branch.act.is_promise):
            return False
        return bool(branch.pending) or (by_operator and 0 not in branch.cancelled)

    def is_protected(self, key: str) -> bool:
        """Whether an operator's cancellation has been told to the branch at `key` already."""
        branch = self.resting[key]
        return 0 in branch.cancelled or (branch.act is not None and branch.act.is_promise)

    def leaving_by(self, key: str) -> CancelledBy:
        """What ends the branch at `key`."""
        branch = self.resting.get(key)
        return branch.pending[0].by if branch is not None and branch.pending else "run"

    def standing(self) -> Iterator[tuple[Coroutine[Any, Any, object], str]]:
        """The coroutines that are suspended, with the sections that each was begun in."""
        for branch in self._live:
            if branch.coroutine is not None:
                yield branch.coroutine, branch.section

    def dismiss(self) -> None:
        """Let go of all coroutines: no act of a `finally` runs, nothing is recorded.

        None is left to the collector of garbage: that would close it outside its context, where
        an act of a `finally` looks like a plain call.
        """
        before = self.loop.enter()
        try:
            for branch in reversed(self._live):
                _dismiss(branch)
        finally:
            self.loop.leave(before)
        self._live.clear()
        self.resting.clear()
        self._idle.clear()
        self.driven.added.clear()

    # --- the loop --------------------------------------------------------------------------

    def enqueue(self, branch: Branch, seq: int, outcome: Ready) -> None:
        """Let a branch go on with an outcome, when everything before `seq` has been told."""
        self._order += 1
        heappush(self._ready, (seq, self._order, branch, outcome))

    def answer(self, branch: Branch, value: object = None) -> None:
        """Let a branch go on at once."""
        self.enqueue(branch, 0, Ready(value, None, branch.moment.at))

    def _drain(self) -> None:
        before = self.loop.enter()
        try:
            self._run_ahead()
        finally:
            self.loop.leave(before)

    def _run_ahead(self) -> None:
        while self._ready:
            seq, _, branch, outcome = heappop(self._ready)
            if seq and branch.pending and (error := branch.struck(seq)) is not None:
                outcome = Ready(None, error, outcome.at)
            if isinstance(outcome.error, Cancelled):
                outcome = Ready(None, branch.unwinds(outcome.error), outcome.at)
            branch.moment.at = max(branch.moment.at, outcome.at)
            if seq:
                self.driven.goes_on(seq, branch.key)
            self._advance(branch, outcome)

    def _advance(self, branch: Branch, outcome: Ready | None) -> None:
        if branch.coroutine is None:
            self._end(branch, outcome)
            return
        try:
            if outcome is None:
                yielded = branch.context.run(branch.coroutine.send, None)
            elif outcome.error is not None:
                yielded = branch.context.run(branch.coroutine.throw, outcome.error)
            else:
                yielded = branch.context.run(branch.coroutine.send, outcome.value)
        except StopIteration as stop:
            ended = Ready(stop.value, None, branch.moment.at)
        except BaseException as error:  # noqa: BLE001 - judged by whoever asked for the branch
            ended = Ready(None, error, branch.moment.at)
        else:
            if self.driven.added:
                self._begin_added()
            self._arrive(branch, yielded)
            return
        if self.driven.added:
            self._begin_added()
        self._end(branch, ended)

    def _arrive(self, branch: Branch, yielded: object) -> None:
        handler = WORDS.get(type(yielded))
        if handler is not None:
            handler(self, branch, yielded)
        elif isinstance(yielded, Act):
            self.stand(branch, yielded)
        else:
            refused = self.loop.refuse(awaited(branch.coroutine, yielded, self.loop.author))
            self.enqueue(branch, 0, Ready(None, refused, branch.moment.at))

    def _end(self, branch: Branch, outcome: Ready | None) -> None:
        self._live.pop(branch, None)
        value = None if outcome is None else outcome.value
        error = None if outcome is None else outcome.error
        joint = branch.joint
        holder = None if joint is None else self._holders[joint]
        self.locks.passed_on(branch, holder, error)
        if joint is None or holder is None:
            self.has_returned, self.value, self.error = True, value, error
            return
        joint.live.pop(branch)
        for left in branch.joints:  # stragglers of a branch that has ended belong to its owner
            holder.joints[left] = holder.joints[joint]
            self._holders[left] = holder
        joint.ended(branch, value, error)

    # --- acts ------------------------------------------------------------------------------

    def claimed(self, branch: Branch, act: Act[Any]) -> str | None:
        """Claim the act's key; where it cannot be had, the branch is told why."""
        if self.breaks_off(branch, act):
            return None
        section = branch.context.get(SECTION, "")
        try:
            key = self._claims.claim(section + act.base, branch.path, act.place)
            former = former_keys(act, section, branch.context.get(FORMER_SECTIONS, ()))
            branch.key = self.recorder.known_as(key, former)
        except DefinitionError as error:
            self.enqueue(branch, 0, Ready(None, error, branch.moment.at))
            return None
        branch.act = act
        return branch.key

    def breaks_off(self, branch: Branch, act: Act[Any] | Fork[Any]) -> bool:
        """Whether a branch only passes by, on its way out by a fault; otherwise it goes on."""
        during, act.during = act.during, None
        coroutine, is_declared = branch.coroutine, self.recorder.is_declared
        if during and coroutine is not None and breaks_off(coroutine, during, is_declared):
            self.enqueue(branch, 0, Ready(None, during, branch.moment.at))
            return True
        self.locks.handled(branch)
        return False

    def stand(self, branch: Branch, act: Act[Any]) -> None:
        """Stand at an act of the world until it has an outcome."""
        key = self.claimed(branch, act)
        if key is None:
            return
        known = self.recorder.reached(key, act)
        if known is not None:
            self.enqueue(branch, *known)
            return
        self.resting[key] = branch
        if branch.pending and not act.is_promise:
            self._withdraw(branch, branch.pending[0])

    def decide_here(self, branch: Branch, act: Act[Any]) -> str | None:
        """Claim the key of an act that the body itself decides; a cancelled branch stops at it."""
        key = self.claimed(branch, act)
        if key is None:
            return None
        known = self.recorder.cancelled_at(key)
        if known is not None:
            self.enqueue(branch, *known)
            return None
        if branch.pending:
            first = branch.pending[0]
            withdrawn = self.recorder.withdraw(key, act, first.by)
            if withdrawn is not None:
                seq, at = withdrawn
                self.enqueue(branch, seq, Ready(None, first.error(), at))
            return None
        return key

    def decide(self, key: str, kind: str, verb: str, keys: tuple[str, ...]) -> Decided | None:
        """Record a decision of the body; None where the journal says otherwise."""
        return self.recorder.decide(key, kind, verb, keys)

    def idle(self, key: str, branch: Branch, forget: Callable[[], object]) -> None:
        """Let a branch wait for another; `forget` takes it out of where it waits."""
        self._idle[key] = (branch, forget)

    def wakes(self, key: str) -> None:
        """Note that the branch at `key` waits no more."""
        del self._idle[key]

    def is_fault(self, error: BaseException | None) -> bool:
        """Whether an exception is no end of anything, but a mistake in the code."""
        return isinstance(error, Exception) and not self.recorder.is_declared(error)

    def carries(self, error: BaseException | None) -> bool:
        """Whether a fault of a branch is still to be told to whoever waits for that branch."""
        told = (each for joint in self._holders for each in joint.untold())
        return self.stray is not None or any(_stems(each, error) for each in told)

    def heard_of(self, error: BaseException | None) -> None:
        """Keep the fault of a branch that nobody waits for: the run must not hide it."""
        if error is None or isinstance(error, Cancelled) or self.recorder.is_declared(error):
            return
        self.stray = self.stray or error

    # --- branches --------------------------------------------------------------------------

    def opened(self, joint: Joint, owner: Branch) -> int:
        """Number a joint, and keep it with its owner."""
        self.joint_count += 1
        owner.forks += 1
        owner.joints[joint] = self.joint_count
        self._holders[joint] = owner
        self._labels[joint] = f"{owner.moment.branch}{owner.forks}"
        self._claims.opened(self.joint_count)
        return self.joint_count

    def parted(self, joint: Joint) -> None:
        """Note that what goes on beside the live branches of a joint may use their keys again."""
        self._claims.joined(joint.id)

    def closed(self, joint: Joint) -> None:
        """Note that all branches of a joint have ended."""
        holder = self._holders.pop(joint)
        holder.joints.pop(joint, None)
        self._claims.joined(joint.id)
        for waiting in list(self.settling):
            self.settle(*waiting)

    def begin(
        self,
        joint: Joint,
        owner: Branch,
        number: int,
        awaitable: Awaitable[object] | None,
        context: Context,
    ) -> Branch:
        """Start one branch of a joint and let it go as far as it can."""
        moment = Moment(at=owner.moment.at, branch=f"{self._labels[joint]}.{number}/")
        coroutine: Coroutine[Any, Any, object] | None = None
        if awaitable is not None and not isinstance(awaitable, (Act, Fork)):
            context = context.copy()
            context.run(MOMENT.set, moment)
            coroutine = awaitable if isinstance(awaitable, Coroutine) else _awaiting(awaitable)
        path = (*joint.base, (joint.id, number))
        branch = Branch(coroutine, context, path=path, moment=moment, joint=joint, number=number)
        branch.cancelled, branch.pending = owner.cancelled, owner.pending
        joint.live[branch] = None
        if awaitable is None:
            self._end(branch, None)
        elif coroutine is not None:
            self._live[branch] = None
            self._advance(branch, None)
        else:
            self._take(branch, awaitable)
        return branch

    def _take(self, branch: Branch, act: Any) -> None:  # Any: an Act or a Fork
        if act.is_awaited:
            name = getattr(act, "base", "parallel")
            error = ActReused(act=name, place=str(act.place))
            self.enqueue(branch, 0, Ready(None, error, branch.moment.at))
            return
        act.is_awaited = True
        self._arrive(branch, act)

    def _begin_added(self) -> None:
        added, self.driven.added = self.driven.added, []
        for group, awaitable, context in added:
            opened = self.groups[group]
            opened.members += 1
            self.begin(opened, opened.owner, opened.members, awaitable, context)

    # --- cancelling ------------------------------------------------------------------------

    def cancel(self, branch: Branch, cancellation: Cancellation, *, since: int = 0) -> None:
        """End a branch, and what it has opened after the joint `since`, at the next durable act."""
        is_news = branch.mark(cancellation)
        for joint, opened in list(branch.joints.items()):
            if opened > since:
                for inner in list(joint.live):
                    self.cancel(inner, cancellation)
        if is_news:
            self._withdraw(branch, cancellation)

    def _withdraw(self, branch: Branch, cancellation: Cancellation) -> None:
        act = branch.act
        if act is None or act.is_promise:
            return
        waits = self._idle.get(branch.key)
        is_idle = waits is not None and waits[0] is branch
        if not is_idle and self.resting.get(branch.key) is not branch:
            return
        withdrawn = self.recorder.withdraw(branch.key, act, cancellation.by)
        if withdrawn is None:
            return
        if waits is not None and is_idle:
            del self._idle[branch.key]
            waits[1]()
        else:
            del self.resting[branch.key]
        seq, at = withdrawn
        self.enqueue(branch, seq, Ready(None, cancellation.error(), at))

    def settle(self, branch: Branch, since: int) -> None:
        """Let a branch go on if all that it has opened after the joint `since` has ended."""
        if any(opened > since for opened in branch.joints.values()):
            return
        if (branch, since) in self.settling:
            self.settling.remove((branch, since))
        self.answer(branch)


def _stems(error: BaseException, cause: BaseException | None) -> bool:
    """Whether an exception is another one, holds it, or was raised because of it."""
    seen: dict[int, BaseException] = {}
    to_see: list[BaseException | None] = [error]
    while to_see:
        each = to_see.pop()
        if each is None or id(each) in seen:
            continue
        if each is cause:
            return True
        seen[id(each)] = each
        to_see += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            to_see += each.exceptions
    return False


async def _awaiting(awaitable: Awaitable[object]) -> object:
    return await awaitable


def _dismiss(branch: Branch) -> None:
    coroutine = branch.coroutine
    if coroutine is None or coroutine.cr_frame is None:  # type: ignore[attr-defined]  # a native coroutine has a frame
        return
    try:
        while True:  # an act in a `finally` raises Suspended again and claims nothing
            branch.context.run(coroutine.throw, Suspended())
    except BaseException:  # noqa: BLE001, S110 - nothing that a dropped body says is heard
        pass
