"""Time zones by name: moments are kept in UTC, days and clock times are somebody's."""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from newel.base.errors import InvalidInput

__all__ = ["local_zone", "zone_named"]

_LINK: Final = Path("/etc/localtime")


def zone_named(name: str) -> ZoneInfo:
    """Give a zone by its name, `Europe/Berlin`. Raises InvalidInput if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidInput({"zone": "is no time zone; use a name like Europe/Berlin"}) from None


def local_zone() -> tzinfo:
    """Give the zone of this machine, with its rules for summer and winter where they are known."""
    name = os.environ.get("TZ") or str(_LINK.resolve()).partition("zoneinfo/")[2]
    try:
        return zone_named(name.removeprefix(":"))
    except InvalidInput:  # a bare rule, or a machine without a zone: what holds today
        return datetime.now(UTC).astimezone().tzinfo or UTC
