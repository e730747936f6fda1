"""Waits: what suspends a run until a moment, a person or a message from outside.

A wait is a row, never a sleeping coroutine. Every wait has exactly one of: an open task, a
due moment, an awaited message; a deadline (`within=`) can stand beside the last two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeVar, overload

from newel.base.codec import Codec, codec_of
from newel.base.durations import BusinessDays
from newel.base.errors import DefinitionError
from newel.domain.keys import Formerly, Subscript, checked_name, encoded, former, named
from newel.domain.people import Person, Team
from newel.domain.values import Decision, Done
from newel.flow.act import Act, Place, StepAct, WaitAct

T = TypeVar("T")

WaitKind = Literal["timer", "approval", "form", "event"]
Evidence = Literal["none", "note", "file"]
Asked = Person | Team | str
"""Who is asked: a person, anybody of a team, or whoever has this work address."""
Span = timedelta | BusinessDays
"""How long: a length of time, or working days of the company's calendar."""
LONGEST_TITLE: Final = 60
"""Of a task that newel itself asks for, in characters; lists and sentences show no more."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A call that an approval allows: the digest of the step and its arguments, its title."""

    digest: str
    title: str


def digest_of(call: StepAct[Any]) -> str:  # Any: its own result
    """What an approval of exactly this call names it by."""
    name = call.step.base.partition("[")[0]
    text = call.step.arguments(call.args, call.kwargs)
    return hashlib.sha256(name.encode() + b"\n" + text).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitSpec:
    """What a wait was asked to wait for; compared with the open row on every replay."""

    kind: WaitKind
    result: Codec[Any]  # Any: the runner hands the decoded value to the act that asked
    at: datetime | None = None
    after: Span | None = None
    within: Span | None = None
    by: Asked | None = None
    remind: timedelta | None = None
    title: str | None = None
    instructions: str | None = None
    four_eyes: str | None = None
    event: str | None = None
    match: str | None = None
    schema: type[Any] | None = None  # Any: whatever a form asks for
    evidence: Evidence = "none"
    is_buffered: bool = True
    allows: tuple[Allowed, ...] = ()


def wait_act(
    key: str, spec: WaitSpec, formerly: Formerly
) -> WaitAct[Any]:  # Any: typed by the word that calls it
    """Make the act of a wait; its place is where the word that calls this was called."""
    if isinstance(spec.by, str) and "@" not in spec.by:
        raise DefinitionError(
            f"{spec.kind}({key!r}) asks {spec.by!r}, which is no work address.",
            fix=f'`team("{spec.by}")`, or the address of a person.',
        )
    return WaitAct(named(key), spec, Place.of_caller(above=2), former(formerly))


@overload
def timer(key: str, *, at: datetime, formerly: Formerly = ()) -> Act[None]: ...
@overload
def timer(key: str, *, after: Span, formerly: Formerly = ()) -> Act[None]: ...
def timer(
    key: str,
    *,
    at: datetime | None = None,
    after: Span | None = None,
    formerly: Formerly = (),
) -> Act[None]:
    """Wait for a moment: `at` an aware datetime, or `after` a time from now.

    A moment that has passed is due at once. Raises DefinitionError for a naive `at`.
    """
    if (at is None) == (after is None):
        raise DefinitionError(f"timer({key!r}) takes exactly one of `at` and `after`.")
    if at is not None and at.tzinfo is None:
        raise DefinitionError(
            f"timer({key!r}) got a datetime without a time zone: it would mean another moment "
            "on another machine. Fix: give it a zone."
        )
    return wait_act(key, WaitSpec(kind="timer", result=_NOTHING, at=at, after=after), formerly)


def approval(
    key: str,
    *,
    by: Asked,
    within: Span | None = None,
    remind: timedelta | None = None,
    title: str | None = None,
    instructions: str | None = None,
    four_eyes: str | None = None,
    allows: Sequence[Act[Any]] = (),  # Any: each has its own result
    formerly: Formerly = (),
) -> Act[Decision]:
    """Ask one person (or any member of a team) for a yes or no.

    by: a person, their work address, a team, or the owner of a system (`owner_of`).
    within: counted from the moment the task opens; then Overdue is raised in the process and
    the task is closed in the same transaction. remind: when the first reminder comes after that
    moment; then one a day. The subject and the starter of a run never decide its approvals.
    allows: calls that a yes allows, exactly as they are written here and not done by that, for
    operations that ask for an approval: `allows=[google.delete_account(person)]`. They may be done
    in this run or in its children.
    """
    return wait_act(
        key,
        WaitSpec(
            kind="approval",
            result=DECISION,
            by=by,
            within=within,
            remind=remind,
            title=title,
            instructions=instructions,
            four_eyes=four_eyes,
            allows=tuple(_allowed(key, each) for each in allows),
        ),
        formerly,
    )


def _allowed(key: str, act: Act[Any]) -> Allowed:  # Any: its own result
    """What an approval allows; the call is only named, not done."""
    if not isinstance(act, StepAct):
        raise DefinitionError(
            f"approval({key!r}) allows something that is no call of a step.",
            fix="name the call: `allows=[google.delete_account(person)]`.",
        )
    act.is_awaited = True
    return Allowed(digest_of(act), act.step.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending(Generic[T]):
    """A message that is not sent yet; made by `Event.message`."""

    event: Event[T]
    payload: T
    match: str


class Event(Generic[T]):
    """A message from outside, declared once at module level and typed on both sides.

    A message that comes before it is awaited is kept, and one wait takes one message, the oldest
    first. buffered=False: one that nobody waits for is lost, and its sender is told.
    """

    def __init__(self, name: str, payload: type[T], *, buffered: bool = True) -> None:
        self.name = checked_name(name)
        self.payload = payload
        self.is_buffered = buffered
        self._item: str | None = None

    def __getitem__(self, item: Subscript) -> Event[T]:
        """Name the wait for one of many: `parcel[model].wait()`."""
        chosen: Event[T] = Event(self.name, self.payload, buffered=self.is_buffered)
        chosen._item = encoded(item)
        return chosen

    @property
    def codec(self) -> Codec[T]:
        """How payloads are written and read."""
        return codec_of(self.payload)

    def message(self, payload: T, *, match: str) -> Sending[T]:
        """Pack a message to the wait with the same `match`, without sending it."""
        return Sending(event=self, payload=payload, match=match)

    def wait(
        self,
        *,
        match: str | None = None,
        within: Span | None = None,
        formerly: Formerly = (),
    ) -> Act[T]:
        """Wait for a message whose sender gives the same `match`, or names this very run.

        Without `match` it takes only messages that were sent to this run.
        """
        key = self.name if self._item is None else f"{self.name}[{self._item}]"
        spec = WaitSpec(
            kind="event",
            result=self.codec,
            event=self.name,
            match=match,
            within=within,
            is_buffered=self.is_buffered,
        )
        return WaitAct(key, spec, Place.of_caller(), former(formerly))


_NOTHING: Codec[None] = codec_of(None)
DECISION: Codec[Decision] = Codec(Decision, later=True)
DONE: Codec[Done] = Codec(Done, later=True)
