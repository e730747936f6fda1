"""Audit events of one key: a step's attempts and outcomes, and what the body decided by itself.

There is no verb that amends an outcome (a retry or a completion by hand replaces it), so the
audit document's `step.outcome_amended` has no class here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from newel.audit.catalogue.declared import AuditEvent, Digest, audit_event
from newel.audit.catalogue.parts import FailureClass, Http, Route
from newel.audit.catalogue.runs import ParkReason

__all__ = [
    "ActRecorded",
    "StepAttemptFailed",
    "StepCancelled",
    "StepCompletedByHand",
    "StepFailed",
    "StepInDoubt",
    "StepKept",
    "StepLooked",
    "StepParked",
    "StepQueued",
    "StepResolved",
    "StepRetried",
    "StepRoundFailed",
    "StepSkipped",
    "StepStarted",
    "StepSucceeded",
]


@audit_event("step.started", step=True)
class StepStarted(AuditEvent):
    """An attempt is about to be made; committed before the step's code runs.

    route: the way that was chosen for it, where plan and token decide; by hand newel only looks.
    """

    idempotency_key: str
    input_fp: str
    direction: Literal["act", "undo"]
    route: Route | None = None


@audit_event("step.looked", step=True)
class StepLooked(AuditEvent):
    """newel has looked whether a person has done the step by hand, and has not found it done.

    claimed: somebody had said that it was. next_at: when it looks again by itself.
    """

    claimed: bool
    next_at: datetime


@audit_event("step.queued", step=True)
class StepQueued(AuditEvent):
    """The step waits for its turn: its system is called only so many times at once."""


@audit_event("step.attempt_failed", step=True)
class StepAttemptFailed(AuditEvent):
    """An attempt ended badly; `code` is the vendor's, or the exception's class."""

    class_: FailureClass
    code: str
    http: Http | None = None
    next_at: datetime | None = None


@audit_event("step.round_failed", step=True)
class StepRoundFailed(AuditEvent):
    """A counted round ended without success."""

    class_: FailureClass
    attempts: int
    next_round_at: datetime | None = None


@audit_event("step.succeeded", step=True)
class StepSucceeded(AuditEvent):
    """The outcome is recorded.

    changed: false where it was so already. adopted: found after a lost answer. late: it came after
    its run had gone on without it. would: the system is in shadow, nothing was changed, and this is
    what it would have been asked for first; empty for nothing. calls_digest: of what is kept about
    the calls it made.
    """

    outcome_digest: Digest
    duration_us: int
    changed: bool | None = None
    adopted: bool | None = None
    late: bool | None = None
    would: str | None = None
    calls_digest: Digest | None = None


@audit_event("step.failed", step=True)
class StepFailed(AuditEvent):
    """The outcome is an error: a declared answer, or the step was given up."""

    error: str
    cause: Literal["answer", "given_up"]
    outcome_digest: Digest
    duration_us: int
    late: bool | None = None


@audit_event("step.cancelled", step=True)
class StepCancelled(AuditEvent):
    """The step was withdrawn before it had an outcome."""

    by: Literal["run", "race", "scope", "group"]


@audit_event("step.in_doubt", step=True)
class StepInDoubt(AuditEvent):
    """An attempt was begun and how it ended is not known."""

    cause: Literal["crash", "timeout", "lost_answer"]
    policy: Literal["verify", "repeat", "ask"]


@audit_event("step.resolved", step=True)
class StepResolved(AuditEvent):
    """The doubt is settled."""

    how: Literal["adopted", "redone", "absent", "person"]
    http: Http | None = None


@audit_event("step.parked", step=True)
class StepParked(AuditEvent):
    """The step needs a person; `owner` is the team, role or person it waits for."""

    class_: ParkReason
    rounds: int
    owner: str
    incident: str | None = None
    task: str | None = None


@audit_event("step.retried", step=True)
class StepRetried(AuditEvent):
    """The step is tried again."""

    by: Literal["person", "probe", "schedule", "amend"]


@audit_event("step.kept", step=True)
class StepKept(AuditEvent):
    """A recorded outcome stands, though it would come about otherwise now.

    input_fp: of the input it stands for from now on; absent where the code no longer asks for it.
    """

    by: Literal["person", "policy"]
    input_fp: str | None = None


@audit_event("step.skipped", step=True)
class StepSkipped(AuditEvent):
    """An operator let the run go on without it; `grants` are waived by that.

    input_fp: of the input it was skipped with.
    """

    second: str | None = None
    grants: tuple[str, ...] | None = None
    evidence_digest: Digest | None = None
    outcome_digest: Digest | None = None
    input_fp: str | None = None


@audit_event("step.completed_by_hand", step=True)
class StepCompletedByHand(AuditEvent):
    """An operator did it and gave the result; `input_fp`: of the input it was asked with."""

    second: str | None = None
    grants: tuple[str, ...] | None = None
    evidence_digest: Digest | None = None
    outcome_digest: Digest | None = None
    input_fp: str | None = None


@audit_event("act.recorded", step=True)
class ActRecorded(AuditEvent):
    """An act of the body that decides, marks or starts; `keys` won, `run` is the child."""

    kind: Literal["race", "lock", "milestone", "scope", "group", "spawn"]
    verb: str
    keys: tuple[str, ...] | None = None
    run: str | None = None
    outcome_digest: Digest | None = None
