"""Audit events of the log about itself: its trees, its keys, and the copies kept elsewhere."""

from __future__ import annotations

from typing import Literal

from newel.audit.catalogue.declared import AuditEvent, Digest, audit_event

__all__ = [
    "LogAnchorFailing",
    "LogAnchorRecovered",
    "LogArchived",
    "LogEpochOpened",
    "LogHeadAdopted",
    "LogKeyRotated",
    "LogPruned",
    "LogRetentionChanged",
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
    second: str | None = None


@audit_event("log.key_rotated", stream="log")
class LogKeyRotated(AuditEvent):
    """From here on a new key signs; whoever believes the old one may believe the new one.

    cause: `compromised` means that heads which only the old key signed after this are refused.
    """

    old_vkey: str
    new_vkey: str
    cause: Literal["planned", "compromised"]
    second: str | None = None


@audit_event("log.head_adopted", stream="log")
class LogHeadAdopted(AuditEvent):
    """A signer without memory was told by a person to go on from this head."""

    origin: str
    size: int
    root: str
    cause: str
    second: str | None = None


@audit_event("log.anchor_failing", stream="log")
class LogAnchorFailing(AuditEvent):
    """A place outside has not taken a checkpoint for some time."""

    target: str
    misses: int


@audit_event("log.anchor_recovered", stream="log")
class LogAnchorRecovered(AuditEvent):
    """A place outside takes checkpoints again."""

    target: str


@audit_event("log.archived", stream="log")
class LogArchived(AuditEvent):
    """The entries of a tree in front of `to` lie in an archive that was verified.

    from_: up to where an archive of before went. sha256: of the text of the checkpoint at `to`.
    """

    origin: str
    from_: int
    to: int
    sha256: Digest


@audit_event("log.pruned", stream="log")
class LogPruned(AuditEvent):
    """Entries of a tree in front of `min_index` need not be in the database any more.

    days: for how many they are kept; forced: fewer than a year, which somebody has insisted on.
    """

    min_index: int
    origin: str | None = None
    days: int | None = None
    forced: bool | None = None
    second: str | None = None


@audit_event("log.retention_changed", stream="log")
class LogRetentionChanged(AuditEvent):
    """Events are kept for another number of days than before; absent: for ever."""

    before: int | None = None
    after: int | None = None
