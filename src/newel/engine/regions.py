"""Scopes, locks and milestones of one run: who stands inside, who holds, what holds.

None of it is kept anywhere: it follows from the acts of the body, which tell the same story in
every replay. What the acts decide is recorded, so that the log tells it, too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from newel.base.errors import Cancelled
from newel.engine.branches import Branch, Cancellation, Ready
from newel.flow.locks import Acquiring, Lock, Releasing
from newel.flow.milestones import Marking
from newel.flow.scopes import Clearing, Leaving

if TYPE_CHECKING:
    from newel.engine.body import Body


@dataclass(eq=False, slots=True)
class Inside:
    """One block of a scope: its branch, the joints opened before it, and what has ended it."""

    branch: Branch
    since: int
    order: int
    cancellation: Cancellation | None = None


class Scopes:
    """Which branches stand inside which scope."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._inside: dict[str, list[Inside]] = {}
        self._entered = 0

    def enter(self, branch: Branch, name: str) -> None:
        """A branch steps in."""
        self._entered += 1
        block = Inside(branch, self._body.joint_count, self._entered)
        self._inside.setdefault(name, []).append(block)
        self._body.answer(branch)

    def leave(self, branch: Branch, leaving: Leaving) -> None:
        """A branch steps out; it goes on if it was this scope that ended the block."""
        blocks = self._inside[leaving.scope.name]
        block = next(each for each in reversed(blocks) if each.branch is branch)
        blocks.remove(block)
        cancellation, error = block.cancellation, leaving.error
        was_cut = False
        if cancellation is not None:
            was_cut = isinstance(error, Cancelled) and error.seq == cancellation.seq
            branch.outlives(cancellation)
        self._body.answer(branch, was_cut)

    def clear(self, key: str, branch: Branch, act: Clearing) -> None:
        """End what stands inside; whoever asks for it ends too, if it stands inside itself."""
        decided = self._body.decide(key, "scope", "cancel", ())
        if decided is None:
            return
        own: Cancellation | None = None
        for block in list(self._inside.get(act.scope.name, ())):
            if block.cancellation is not None:
                continue
            if any(each.seq == decided.seq for each in block.branch.pending):
                continue  # it ends with a block around it, behind which its branch goes on
            reach = (len(block.branch.path), block.order)
            block.cancellation = Cancellation(decided.seq, "scope", reach)
            self._body.cancel(block.branch, block.cancellation, since=block.since)
            if block.cancellation in branch.pending:
                own = block.cancellation
        error = None if own is None else own.error()
        self._body.enqueue(branch, decided.seq, Ready(None, error, decided.at))


@dataclass(slots=True)
class Held:
    """A lock of this run: the key it was acquired under, and who waits for it."""

    by: str | None = None
    queue: deque[tuple[str, Branch]] = field(default_factory=deque[tuple[str, Branch]])


@dataclass(eq=False, slots=True)
class Left:
    """A block of a lock that a branch has left; key: of a lock that all runs share.

    branch: whom the error has come to since: the owner of the branch that has ended by it.
    """

    branch: Branch
    lock: Lock
    key: str | None
    error: BaseException | None


class Locks:
    """Locks inside the run: one holder at a time, in order of request.

    A fault is no end of a block: until somebody has handled it, the lock is kept.
    """

    def __init__(self, body: Body) -> None:
        self._body = body
        self._shared: dict[tuple[Branch, str], str] = {}
        self._locks: dict[str, Held] = {}
        self._kept: list[Left] = []

    def fault(self, *, shared: bool = False) -> BaseException | None:
        """What keeps a lock whose block was left; shared: one for which other runs may wait."""
        errors = (left.error for left in self._kept if left.lock.is_shared or not shared)
        return next(errors, None)

    def asks(self, branch: Branch, act: Acquiring) -> None:
        """Note under which key a branch asks for a lock of all runs."""
        self._shared[branch, act.lock.name] = branch.key

    def acquire(self, key: str, branch: Branch, act: Acquiring) -> None:
        """Give the lock, or let the branch wait for it."""
        held = self._locks.setdefault(act.lock.name, Held())
        if held.by is None:
            self._give(held, key, branch)
        else:
            entry = (key, branch)
            held.queue.append(entry)
            self._body.idle(key, branch, lambda: held.queue.remove(entry))

    def release(self, branch: Branch, act: Releasing) -> None:
        """Take the lock back, unless a fault has left its block."""
        key = self._shared.pop((branch, act.lock.name)) if act.lock.is_shared else None
        left = Left(branch, act.lock, key, act.error)
        self._body.answer(branch)
        if self._body.is_fault(act.error):
            self._kept.append(left)
        else:
            self._free(left)

    def handled(self, branch: Branch) -> None:
        """A branch goes on: the faults that had come to it keep nothing any more."""
        for left in [left for left in self._kept if left.branch is branch]:
            if not self._body.carries(left.error):
                self._kept.remove(left)
                self._free(left)

    def passed_on(self, branch: Branch, owner: Branch | None, error: BaseException | None) -> None:
        """A branch has ended: by a fault that its owner is told of, or having handled it."""
        if not self._kept:
            return
        if not self._body.is_fault(error):
            self.handled(branch)
        for left in self._kept:
            if left.branch is branch and owner is not None:
                left.branch = owner

    def _free(self, left: Left) -> None:
        """Give the lock back; the next in order gets it."""
        if left.key is not None:
            self._body.recorder.released(left.key)
            return
        held = self._locks[left.lock.name]
        held.by = None
        if held.queue:
            key, waiting = held.queue.popleft()
            self._body.wakes(key)
            self._give(held, key, waiting)

    def _give(self, held: Held, key: str, branch: Branch) -> None:
        held.by = key
        decided = self._body.decide(key, "lock", "acquired", ())
        if decided is not None:
            self._body.enqueue(branch, decided.seq, Ready(None, None, decided.at))


class Milestones:
    """Which milestones hold, and which branches wait for one."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._hold: set[str] = set()
        self._waiting: dict[str, list[tuple[str, Branch]]] = {}

    def mark(self, key: str, branch: Branch, act: Marking) -> None:
        """Change a milestone, answer for it, or let the branch wait for it."""
        name = act.milestone.name
        match act.verb:
            case "reach":
                self._hold.add(name)
            case "leave":
                self._hold.discard(name)
            case "reached" if name not in self._hold:
                self._wait(name, key, branch)
                return
            case "holds" | "reached":
                pass
        verb = ("holds" if name in self._hold else "lacks") if act.verb == "holds" else act.verb
        self._decide(key, branch, verb)
        if act.verb == "reach":
            for waiting_key, waiting in self._waiting.pop(name, ()):
                self._body.wakes(waiting_key)
                self._decide(waiting_key, waiting, "reached")

    def _wait(self, name: str, key: str, branch: Branch) -> None:
        entry = (key, branch)
        waiting = self._waiting.setdefault(name, [])
        waiting.append(entry)
        self._body.idle(key, branch, lambda: waiting.remove(entry))

    def _decide(self, key: str, branch: Branch, verb: str) -> None:
        decided = self._body.decide(key, "milestone", verb, ())
        if decided is not None:
            value = decided.verb != "lacks"
            self._body.enqueue(branch, decided.seq, Ready(value, None, decided.at))
