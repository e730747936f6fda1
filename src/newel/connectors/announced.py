"""What a vendor announces beside its answers: that an operation is deprecated, and when it ends.

Source: RFC 9745 (`Deprecation`), RFC 8594 (`Sunset`), RFC 9111 (`Warning`, as some still send it);
docs.slack.dev (`warning: method_deprecated`); connectors document, §10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from newel.connectors.answers import Answer, sanitised

__all__ = ["Announcement", "announced"]

_MOMENT: Final = re.compile(r"@(\d{1,11})")
_WORDS: Final = re.compile(r'^299 \S+ "(.*)"')
_SLACK: Final = b'"method_deprecated"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What is said of an operation. since: deprecated from then on. ends: gone from then on."""

    operation: str
    since: datetime | None = None
    ends: datetime | None = None
    said: str = ""

    def __str__(self) -> str:
        since = f" since {self.since:%Y-%m-%d}" if self.since else ""
        ends = f" It ends on {self.ends:%Y-%m-%d}." if self.ends else ""
        said = f" The vendor says: {self.said}" if self.said else ""
        return f"`{self.operation}` is deprecated{since}.{ends}{said}"


def announced(answer: Answer) -> Announcement | None:
    """Read what an answer announces of its operation; None for nothing. Pure."""
    headers = answer.headers
    deprecation, sunset = headers.get("deprecation"), headers.get("sunset")
    words = _WORDS.match(headers.get("warning", ""))
    is_slacks = _SLACK in answer.body
    if deprecation is None and sunset is None and words is None and not is_slacks:
        return None
    return Announcement(
        operation=answer.route.operation,
        since=_moment(deprecation or ""),
        ends=_moment(sunset or ""),
        said=sanitised(words[1]) if words else "",
    )


def _moment(value: str) -> datetime | None:
    """Read a moment as `@1688169599` or as HTTP writes it; None for anything else."""
    if found := _MOMENT.fullmatch(value.strip()):
        return datetime.fromtimestamp(int(found[1]), UTC)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
