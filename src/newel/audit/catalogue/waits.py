"""Audit events of waits, of human tasks and of messages from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from newel.audit.catalogue.declared import AuditEvent, Digest, Part, Sealed, audit_event, part

__all__ = [
    "EventReceived",
    "EventRefused",
    "HowSignedIn",
    "TaskClaimed",
    "TaskDecided",
    "TaskDelegated",
    "TaskEscalated",
    "TaskOpened",
    "TaskReassigned",
    "TaskReminded",
    "TaskWithdrawn",
    "WaitClosed",
    "WaitOpened",
]


@audit_event("wait.opened", step=True)
class WaitOpened(AuditEvent):
    """The run waits; the end of a child run and a freed lock count as events.

    matches: where it is a reference of ours; any other stays out of the log, because it may name a
    person. input_fp: fingerprint of what it was asked to wait for.
    """

    kind: Literal["timer", "task", "event"]
    due_at: datetime | None = None
    matches: str | None = None
    input_fp: str | None = None


@audit_event("wait.closed", step=True)
class WaitClosed(AuditEvent):
    """What was waited for has come, or the wait was withdrawn."""

    by: Literal["timer", "event", "decision", "child", "lock", "cancel", "reschedule"]
    outcome_digest: Digest | None = None
    late_us: int | None = None


@audit_event("task.opened", step=True)
class TaskOpened(AuditEvent):
    """A human task exists.

    role: the team or relation whose work it is, where it is not one person's. excluded: who must
    not decide it. shown: what the person is shown. form_sha256: of the form's schema.
    proposal_digest: of the sealed act that a second person is asked to confirm.
    """

    task: str
    kind: Literal["approval", "form"]
    assignees: tuple[str, ...]
    deputies: tuple[str, ...]
    excluded: tuple[str, ...]
    role: str | None = None
    due_at: datetime | None = None
    shown: Sealed | None = None
    form_sha256: Digest | None = None
    proposal_digest: Digest | None = None


@audit_event("task.claimed")
class TaskClaimed(AuditEvent):
    """A person has taken a task of their group."""

    task: str
    to: str
    from_: str | None = None
    until: datetime | None = None


@audit_event("task.reassigned")
class TaskReassigned(AuditEvent):
    """The task is somebody else's now."""

    task: str
    to: str
    from_: str | None = None
    until: datetime | None = None


@audit_event("task.delegated")
class TaskDelegated(AuditEvent):
    """A person asked another to do it."""

    task: str
    to: str
    from_: str | None = None
    until: datetime | None = None


@audit_event("task.reminded")
class TaskReminded(AuditEvent):
    """The n-th reminder was sent."""

    task: str
    n: int
    channel: str


@audit_event("task.escalated")
class TaskEscalated(AuditEvent):
    """Somebody above was told."""

    task: str
    level: int
    to: str


@part
class HowSignedIn(Part):
    """How sure it is who decided; seconds since they proved it."""

    methods: tuple[str, ...]
    age_s: int


@audit_event("task.decided", process=True, step=True)
class TaskDecided(AuditEvent):
    """One decision.

    four_eyes: the group of approvals whose deciders must differ, where there is one.
    shown_digest: of what the person had before them. evidence_digest: of the sealed file that was
    attached.
    """

    task: str
    decision: Literal["approve", "reject", "submit"]
    answer_digest: Digest
    channel: str
    auth: HowSignedIn
    excluded: tuple[str, ...]
    shown_digest: Digest | None = None
    four_eyes: str | None = None
    evidence_digest: Digest | None = None
    comment: Sealed | None = None


@audit_event("task.withdrawn")
class TaskWithdrawn(AuditEvent):
    """The task was closed without a decision."""

    task: str
    cause: str


@audit_event("event.received")
class EventReceived(AuditEvent):
    """A message from outside was consumed, by the wait with this key if one was open."""

    source: str
    message_id: str
    body_digest: Digest
    signature: Literal["verified", "trusted"]
    wait: str | None = None


@audit_event("event.refused", stream="system")
class EventRefused(AuditEvent):
    """Messages were refused, counted over a window of seconds."""

    source: str
    cause: str
    n: int
    window_s: int
