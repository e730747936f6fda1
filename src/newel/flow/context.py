"""The ambient facts of the branch that is being driven, kept in context variables.

A process gets no handle: what an act needs to know of the run around it stands here. The
runner drives each branch in a `contextvars` context of its own, so that a `section` entered
in one branch is never seen by another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from newel.domain.values import AttemptInfo, Observed, RunInfo

if TYPE_CHECKING:
    from newel.flow.act import Act
    from newel.flow.process import Process


@dataclass(slots=True)
class Driven:
    """The run that is being driven, as seen by the words of `newel.flow.ambient`.

    seen: up to which event of the run a worker has driven the body before. is_live: whether the
    body runs beyond that. key: of the outcome that it goes on with. log_lines: key, event, fields.
    is_declared: whether an exception is a business end of this process.
    groups: those whose block is open. added: branches that groups were given since the body was
    driven last, with their contexts.
    called: acts that were made and not yet seen to be awaited.
    """

    run: UUID
    info: RunInfo
    started_at: datetime
    seen: int = 0
    is_live: bool = True
    key: str = ""
    is_declared: Callable[[BaseException], bool] = bool
    groups: set[object] = field(default_factory=set[object])
    added: list[tuple[Any, Awaitable[Any], Context]] = field(  # Any: a group of any results
        default_factory=list[tuple[Any, Awaitable[Any], Context]]
    )
    log_lines: list[tuple[str, str, dict[str, object]]] = field(
        default_factory=list[tuple[str, str, dict[str, object]]]
    )

    def goes_on(self, seq: int, key: str) -> None:
        """Note that the body goes on with the outcome at this place of the journal."""
        self.is_live = seq > self.seen
        self.key = key

    called: list[Act[Any]] = field(default_factory=list["Act[Any]"])


@dataclass(slots=True)
class Moment:
    """The time of the latest outcome that a branch has received; moves with the branch.

    branch: which branch this is, by forks in program order; the body itself is "".
    """

    at: datetime
    branch: str = ""
    ids: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(slots=True)
class Attempting:
    """The attempt whose code is running.

    may_send: whether its worker may still make calls. A process that was stopped for longer than
    its lease goes on in the middle of an attempt that another worker has taken over meanwhile:
    whoever sends something that changes the world asks first.
    is_urgent: whether its calls go before others at a system's limit.
    is_approved: whether its call needs no approval, or has one; outside a run nobody asks.
    way: which of its ways an operation goes, as it was chosen and recorded; None where there is
    no choice. was_asked: whether a person was asked to do it by hand, because it was not done.
    is_claimed: whether they have said that it is. adopts: the id of the account that a person has
    said is the subject's. guard: asked before anything is sent that takes access away; raises
    Forbidden where it is to wait. process: whose run it is, where there is one.
    """

    info: AttemptInfo
    observed: Observed
    may_send: Callable[[], bool] = lambda: True
    is_urgent: bool = False
    is_approved: bool = True
    way: str | None = None
    was_asked: bool = False
    is_claimed: bool = False
    adopts: str | None = None
    guard: Callable[[], Awaitable[None]] | None = None
    process: Process[..., Any] | None = None  # Any: whatever its result is


DRIVEN: ContextVar[Driven | None] = ContextVar("newel_driven", default=None)
MOMENT: ContextVar[Moment | None] = ContextVar("newel_moment", default=None)
SECTION: ContextVar[str] = ContextVar("newel_section", default="")
FORMER_SECTIONS: ContextVar[tuple[str, ...]] = ContextVar("newel_former_sections", default=())
ATTEMPT: ContextVar[Attempting | None] = ContextVar("newel_attempt", default=None)
