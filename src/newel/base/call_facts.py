"""What is known of a failed call, by name: the keywords of every `StepError`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, TypedDict

__all__ = ["Facts"]


class Facts(TypedDict, total=False):
    """What can be known of a failed call besides its class; nothing secret, nothing personal."""

    status: int | None  # of HTTP
    code: str | None  # the vendor's own
    request_id: str | None  # the provider's
    operation: str | None  # as the vendor names it
    retry_at: datetime | None  # aware; before it a new attempt is pointless
    retry_after: timedelta | None
    bucket: str | None
    external_id: str | None
    evidence: str | None
    shown: tuple[str, ...] | None
    fields: Mapping[str, str]
    missing: str | None
    reason: Literal["permission", "blocked", "held"]
    what: str | None
    until: datetime | None
    expected: str | None
    seen: str | None
