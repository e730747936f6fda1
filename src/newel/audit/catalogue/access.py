"""Audit events of access: who was given what, by whose authority, and when it ended.

Every type carries the grant and the grant's state after the event.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from newel.audit.catalogue.declared import AuditEvent, Sealed, audit_event
from newel.audit.catalogue.parts import Authority, Http, Route

__all__ = [
    "AccessAdopted",
    "AccessApproved",
    "AccessExcepted",
    "AccessGranted",
    "AccessModified",
    "AccessPending",
    "AccessRefused",
    "AccessRequested",
    "AccessRevoked",
    "AccessVerified",
    "GrantState",
    "RevocationCause",
]

GrantState = Literal[
    "planned", "approved", "prepared", "active", "suspended", "revoked", "refused", "waived"
]
RevocationCause = Literal["leaver", "mover", "expired", "review", "drift", "cancel", "other"]
"""Why access ended; `other` where the kind of its process does not say it."""


@audit_event("access.requested", process=True)
class AccessRequested(AuditEvent):
    """Access is wanted."""

    grant: str
    state: GrantState
    entitlement: str
    action: Literal["grant", "modify", "revoke"]
    requested_by: str
    request_source: str
    risk: str
    level: str | None = None
    expires_at: datetime | None = None


@audit_event("access.approved")
class AccessApproved(AuditEvent):
    """Authority was given."""

    grant: str
    state: GrantState
    authority: Authority


@audit_event("access.refused")
class AccessRefused(AuditEvent):
    """Authority was denied by this event."""

    grant: str
    state: GrantState
    event: str


@audit_event("access.granted", process=True, step=True)
class AccessGranted(AuditEvent):
    """The provider confirmed that the access is there.

    account: the account's address, sealed. continues: the grant that this one goes on from.
    """

    grant: str
    state: GrantState
    entitlement: str
    account_ref: str
    authority: Authority
    effective_at: datetime
    route: Route
    changed: bool
    account: Sealed | None = None
    level: str | None = None
    expires_at: datetime | None = None
    adopted: bool | None = None
    continues: str | None = None
    http: Http | None = None


@audit_event("access.modified", process=True, step=True)
class AccessModified(AuditEvent):
    """The level changed: the grant `from_` is closed and this one opened."""

    grant: str
    state: GrantState
    entitlement: str
    account_ref: str
    authority: Authority
    effective_at: datetime
    route: Route
    changed: bool
    from_: str
    account: Sealed | None = None
    level: str | None = None
    expires_at: datetime | None = None
    adopted: bool | None = None
    continues: str | None = None
    http: Http | None = None


@audit_event("access.pending", process=True, step=True)
class AccessPending(AuditEvent):
    """The object exists and gives no access yet: a suspended account, an open invitation."""

    grant: str
    state: GrantState
    entitlement: str
    account_ref: str
    expires_at: datetime | None = None
    http: Http | None = None


@audit_event("access.revoked", process=True, step=True)
class AccessRevoked(AuditEvent):
    """The provider confirmed that the access has ended.

    due_at: when it was to end, as the run's input says; else when the run came to the step.
    since_unknown: newel had not given it, so nobody can say here since when it was held.
    """

    grant: str
    state: GrantState
    how: Literal["suspended", "removed"]
    cause: RevocationCause
    due_at: datetime
    late_us: int
    entitlement: str | None = None
    since_unknown: bool | None = None
    http: Http | None = None


@audit_event("access.verified", step=True)
class AccessVerified(AuditEvent):
    """The system was read back."""

    grant: str
    state: GrantState
    result: Literal["present", "absent", "differs"]
    http: Http


@audit_event("access.adopted", process=True)
class AccessAdopted(AuditEvent):
    """An account from before was taken into the ledger."""

    grant: str
    state: GrantState
    entitlement: str
    account_ref: str
    authority: Authority
    account: Sealed | None = None
    since_unknown: bool | None = None


@audit_event("access.excepted")
class AccessExcepted(AuditEvent):
    """Access was kept or given against the policy, until a date."""

    grant: str
    state: GrantState
    expires_at: datetime
    approver: str
