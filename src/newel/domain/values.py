"""Small frozen values that travel between author, runner, store and connectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, Literal, TypeVar
from uuid import UUID

R = TypeVar("R")

RunState = Literal["running", "waiting", "parked", "completed", "failed", "cancelled"]
FINAL: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
InDoubt = Literal["repeat", "ask"]
Access = Literal["prepared", "active", "suspended", "revoked"]


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """Verify saw the effect: `value` becomes the step's outcome."""

    value: R


@dataclass(frozen=True, slots=True)
class Absent:
    """Verify is sure that the effect did not happen."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """Verify cannot tell; the step's `in_doubt` decides."""

    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decided on an approval.

    by: the decider's opaque reference. at: aware, the database's clock.
    """

    approved: bool
    by: str
    comment: str = ""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """That a person did what a task asked for by hand.

    by: the person's opaque reference. at: aware, the database's clock.
    """

    by: str
    note: str = ""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP call, as it may be recorded: the path is a template, bodies stay out."""

    method: str
    host: str
    path: str
    operation: str
    status: int | None
    request_id: str | None = None
    duration_us: int = 0
    is_mutating: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an operation did on the way to its result; becomes ledger rows and audit events.

    access: the state that the grant declared by the operation has now.
    evidence: how the object was known to be the subject's (marker, ledger, derived, person).
    external_id, account: the object's id in the system, and the name people know it by.
    also: further entitlements that the same change gave, without their system's name; they end, are
    suspended and come back with the account.
    is_read: the system itself showed that access has this state, in the answer to the change or
    when it was asked afterwards.
    """

    changed: bool
    adopted: bool = False
    access: Access = "active"
    path: str = "admin_api"
    external_id: str = ""
    account: str = ""
    evidence: str = ""
    level: str | None = None
    also: tuple[str, ...] = ()
    is_read: bool = False


AccountState = Literal["invited", "active", "suspended", "absent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a person has in a system, as outcomes carry it.

    system: the connector's name. id: the system's own, stable. handle: the name people there
    know it by (address, user name). url: where a person can look at it; empty if nowhere.
    """

    system: str
    id: str
    handle: str
    email: str = ""
    state: AccountState = "active"
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptInfo:
    """What the code of a step may know of the attempt it runs in.

    number: attempts of this key so far, this one included.
    deadline: no call may outlast it. intended_at: when the intent was recorded; in `verify`, that
    of the lost call. All are aware and of the database's clock.
    began_at: when this attempt (or this `verify`) began, by the clock that gave `intended_at`:
    their distance says how long ago the lost call was, also where the demo moves the clock.
    """

    run: UUID
    key: str
    number: int
    round: int
    idempotency_key: str
    intended_at: datetime
    began_at: datetime
    deadline: datetime
    follows_doubt: bool = False


@dataclass(slots=True)
class Observed:
    """What one attempt collects beside its result: calls made, and the effect they had.

    would: what it would have asked a system in shadow for; empty for nothing, None if it is live.
    """

    calls: list[Call] = field(default_factory=list)
    effect: Effect | None = None
    would: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """Recorded facts of a run, the same on every replay."""

    id: str
    process: str
    subject: str | None
    started_at: datetime
    started_by: str


MOST_BYTES: Final = 10 * 1024 * 1024
"""Of a file that is attached to a task; product document, §6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that a person attaches; name: without a path."""

    name: str
    content: bytes
