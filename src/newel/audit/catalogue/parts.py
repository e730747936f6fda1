"""Records that stand inside the facts of several types of audit event."""

from __future__ import annotations

from typing import Literal

from newel.audit.catalogue.declared import Digest, Part, part

__all__ = [
    "ApprovalAuthority",
    "Authority",
    "FailureClass",
    "Http",
    "PolicyAuthority",
    "RecordedAuthority",
    "Route",
]

Route = Literal["scim", "admin_api", "invitation", "by_hand"]
"""By which way something is done in a system."""

FailureClass = Literal[
    "transient",
    "throttled",
    "not-ready",
    "outcome-unknown",
    "already-done",
    "ownership-conflict",
    "invalid",
    "forbidden",
    "auth-failed",
    "no-capacity",
    "contract-drift",
    "bug",
]


@part
class Http(Part):
    """The provider call that decided: never a body, never a query, the path as its template."""

    method: str
    host: str
    path: str
    status: int | None = None
    request_id: str | None = None
    idempotency_key: str | None = None


@part
class ApprovalAuthority(Part):
    """A person's decision allowed it: the event of that decision, by id and leaf hash."""

    event: str
    leaf_hash: Digest
    approver: str
    kind: Literal["approval"] = "approval"


@part
class PolicyAuthority(Part):
    """The access policy allowed it."""

    policy_id: str
    policy_sha256: Digest
    kind: Literal["policy"] = "policy"


@part
class RecordedAuthority(Part):
    """Something recorded before allowed it."""

    kind: Literal["break_glass", "adopted", "exception", "drift_accepted"]
    event: str
    leaf_hash: Digest


Authority = ApprovalAuthority | PolicyAuthority | RecordedAuthority
"""What allowed a grant."""
