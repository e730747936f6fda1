"""Audit events of the log about itself: its trees, its keys, and the copies kept elsewhere."""

from __future__ import annotations

from typing import Literal

from newel.audit.catalogue.declared import AuditEvent, Digest, audit_event

__all__ = [
    "LogAnchorFailing",
    "LogAnchorRecovered",
    "LogEpochOpened",
    "LogHeadAdopted",
    "LogKeyRotated",
]


@audit_event("log.epoch_opened", stream="log")
class LogEpochOpened(AuditEvent):
    """A tree was begun; all but its origin is absent in the first one."""

    origin: str
    cause: str | None = None
    previous_origin: str | None = None
    previous_size: int | None = None
    previous_root: str | None = None
    previous_note_sha256: Digest | None = None
    kept_size: int | None = None
    lost_leaves: int | None = None


@audit_event("log.key_rotated", stream="log")
class LogKeyRotated(AuditEvent):
    """From here on a new key signs; whoever believes the old one may believe the new one.

    cause: `compromised` means that heads which only the old key signed after this are refused.
    """

    old_vkey: str
    new_vkey: str
    cause: Literal["planned", "compromised"]


@audit_event("log.head_adopted", stream="log")
class LogHeadAdopted(AuditEvent):
    """A signer without memory was told by a person to go on from this head."""

    origin: str
    size: int
    root: str
    cause: str


@audit_event("log.anchor_failing", stream="log")
class LogAnchorFailing(AuditEvent):
    """A place outside has not taken a checkpoint for some time."""

    target: str
    misses: int


@audit_event("log.anchor_recovered", stream="log")
class LogAnchorRecovered(AuditEvent):
    """A place outside takes checkpoints again."""

    target: str
