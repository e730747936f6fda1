"""Lines of control inside one run, and what cancels them.

A branch is the body itself, or one line that a `parallel`, a race or a group has opened beside
it; what opened it is its joint. Cancelling reaches a branch at a durable act without an outcome
(patterns document, §2): until it stands at one, the cancellation is pending.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from newel.base.errors import Cancelled
from newel.domain.keys import BranchPath
from newel.flow.act import Act
from newel.flow.context import SECTION, Moment

CancelledBy = Literal["run", "race", "scope", "group"]


@dataclass(slots=True)
class Ready:
    """An outcome on its way into a branch: a value or an exception, and its moment."""

    value: object
    error: BaseException | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What ends branches: seq is its place in the journal, 0 for an operator's.

    reach: smaller values end more of the body; the outermost is what a branch is told.
    """

    seq: int
    by: CancelledBy
    reach: tuple[int, int] = (-1, 0)

    def error(self) -> Cancelled:
        """What the branch sees."""
        return Cancelled(by=self.by, seq=self.seq)


class Joint(Protocol):
    """What has opened branches, and is told when one of them has ended.

    id: in the order in which joints were opened. base: the path that those of its branches
    begin with. live: branches that have not ended.
    """

    id: int
    base: BranchPath
    live: dict[Branch, None]

    def ended(self, branch: Branch, value: object, error: BaseException | None) -> None:
        """One of the branches has ended."""
        ...

    def untold(self) -> Iterable[BaseException]:
        """What its branches have raised that nobody has been told of yet."""
        ...


class Branch:
    """One line of control.

    forks: how many joints it has opened, in program order. joints: those with live branches, and
    which joint of its own each came by: what a member of a group left behind belongs to the group.
    cancelled: places of the cancellations it is on its way out of: what it still does in a
    `finally` is protected from these. pending: cancellations that have not reached it yet.
    """

    __slots__ = (
        "act",
        "cancelled",
        "context",
        "coroutine",
        "forks",
        "joint",
        "joints",
        "key",
        "moment",
        "number",
        "path",
        "pending",
        "section",
    )

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, object] | None,
        context: Context,
        *,
        path: BranchPath,
        moment: Moment,
        joint: Joint | None = None,
        number: int = 0,
    ) -> None:
        self.coroutine = coroutine
        self.context = context
        self.section = context.get(SECTION, "")
        self.path = path
        self.moment = moment
        self.joint = joint
        self.number = number
        self.act: Act[object] | None = None
        self.key = ""
        self.forks = 0
        self.joints: dict[Joint, int] = {}
        self.cancelled: frozenset[int] = frozenset()
        self.pending: tuple[Cancellation, ...] = ()

    def mark(self, cancellation: Cancellation) -> bool:
        """Note that the branch is to end; False if it knows, or is on its way out of it."""
        if cancellation in self.pending or cancellation.seq in self.cancelled:
            return False
        self.pending = tuple(sorted((*self.pending, cancellation), key=lambda each: each.reach))
        return True

    def struck(self, seq: int) -> Cancelled | None:
        """What an outcome at `seq` must be for this branch, if a cancellation came before it."""
        if not self.pending or (self.act is not None and self.act.is_promise):
            return None
        first = next((each for each in self.pending if each.seq < seq), None)
        return None if first is None else first.error()

    def unwinds(self, error: Cancelled) -> Cancelled:
        """Give what the branch is told: the outermost of all that is to end it.

        It is on its way out of all that was pending. A join may bring a narrower one than is
        pending: told that, the branch would go on inside of what has been cancelled.
        """
        told = self.pending[0].error() if self.pending and error.seq else error
        self.cancelled |= {error.seq, told.seq, *(each.seq for each in self.pending)}
        self.pending = ()
        return told

    def outlives(self, cancellation: Cancellation) -> None:
        """Note that the branch has left what was cancelled, and goes on."""
        self.cancelled -= {cancellation.seq}
        self.pending = tuple(each for each in self.pending if each is not cancellation)
