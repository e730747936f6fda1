"""Audit events of a run as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from newel.audit.catalogue.declared import AuditEvent, Digest, Part, Sealed, audit_event, part
from newel.audit.catalogue.parts import FailureClass

__all__ = [
    "Attributes",
    "MovedWait",
    "ParentRun",
    "ParkReason",
    "RunAcknowledged",
    "RunAmended",
    "RunCancelRequested",
    "RunCancelled",
    "RunCompleted",
    "RunDisclosed",
    "RunDrifted",
    "RunFailed",
    "RunParked",
    "RunPaused",
    "RunPayloadExpired",
    "RunRescheduled",
    "RunResumed",
    "RunStarted",
    "RunTakenOver",
    "RunUnparked",
    "RunVersionChanged",
    "Source",
]

ParkReason = Literal[FailureClass, "drifted", "blocked", "nobody", "held", "overdue"]
"""Why nothing can go on: a failure class, or a matter of the run itself (console document §2.3)."""


@part
class Source(Part):
    """Where a start came from."""

    type: Literal["api", "console", "webhook", "schedule", "cli", "run"]
    ref: str | None = None


@part
class ParentRun(Part):
    """The run, and the key in it, that started this one."""

    run: str
    key: str


@part
class Attributes(Part):
    """Public facts about the subject that grants are judged by later; the manager by reference."""

    employment_type: str | None = None
    department: str | None = None
    job_role: str | None = None
    manager: str | None = None


@audit_event("run.started", process=True, run_state="running")
class RunStarted(AuditEvent):
    """A run exists.

    idempotency_key: of a schedule; how a caller calls a request stays out of the log, because it
    may name a person.
    """

    source: Source
    requested_by: str
    input_digest: Digest
    confidential: bool
    kind: Literal["joiner", "mover", "leaver", "request", "review"] | None = None
    idempotency_key: str | None = None
    parent: ParentRun | None = None
    effective_at: datetime | None = None
    time_zone: str | None = None
    attributes: Attributes | None = None
    second: str | None = None


@audit_event("run.amended")
class RunAmended(AuditEvent):
    """The input was changed; `fields` names what."""

    fields: tuple[str, ...]
    before_digest: Digest
    after_digest: Digest
    second: str | None = None


@part
class MovedWait(Part):
    """A wait that became due at another moment."""

    key: str
    from_: datetime
    to: datetime


@audit_event("run.rescheduled")
class RunRescheduled(AuditEvent):
    """The date was moved, and these waits with it."""

    waits: tuple[MovedWait, ...]
    effective_at: datetime


@audit_event("run.parked", run_state="parked")
class RunParked(AuditEvent):
    """Nothing can go on."""

    keys: tuple[str, ...]
    class_: ParkReason
    incident: str | None = None


@audit_event("run.unparked", run_state="running")
class RunUnparked(AuditEvent):
    """Something can go on again."""

    by: Literal["heal", "retry", "send", "decide", "release"]


@audit_event("run.drifted")
class RunDrifted(AuditEvent):
    """The input of a finished step has changed."""

    key: str
    fp_before: str
    fp_after: str
    definition_before: Digest
    definition_after: Digest


@audit_event("run.version_changed", process=True)
class RunVersionChanged(AuditEvent):
    """The run goes on under other code."""

    from_: int
    to: int
    check: Literal["unchanged", "runs_now", "blocked", "blocked_overridden"]


@audit_event("run.taken_over")
class RunTakenOver(AuditEvent):
    """The lease passed to another worker."""

    from_worker: str
    to_worker: str
    epoch: int


@audit_event("run.paused")
class RunPaused(AuditEvent):
    """An operator paused the run."""


@audit_event("run.resumed")
class RunResumed(AuditEvent):
    """An operator let the run go on."""


@audit_event("run.cancel_requested")
class RunCancelRequested(AuditEvent):
    """An operator asked for the end; `compensate` says whether promises are kept."""

    compensate: bool
    second: str | None = None


@audit_event("run.cancelled", run_state="cancelled")
class RunCancelled(AuditEvent):
    """The run is cancelled; what was undone and what stays, by key."""

    undone: tuple[str, ...]
    kept: tuple[str, ...]


@audit_event("run.completed", process=True, run_state="completed")
class RunCompleted(AuditEvent):
    """The body returned; microseconds of work and from start to end."""

    outcome_digest: Digest
    active_us: int
    elapsed_us: int


@audit_event("run.failed", process=True, run_state="failed")
class RunFailed(AuditEvent):
    """A business end: a declared error left the body.

    error: its class. message: absent where neither a subject nor a person acting has a key.
    """

    error: str
    key: str | None = None
    message: Sealed | None = None


@audit_event("run.acknowledged")
class RunAcknowledged(AuditEvent):
    """A person has seen that the run failed."""


@audit_event("run.payload_expired")
class RunPayloadExpired(AuditEvent):
    """Retention has emptied the payloads with these digests."""

    digests: tuple[str, ...]
    policy: str


@audit_event("run.disclosed")
class RunDisclosed(AuditEvent):
    """Confidentiality has ended."""

    cause: str
