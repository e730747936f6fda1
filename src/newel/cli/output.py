"""How answers are printed: aligned columns for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final

import orjson

__all__ = ["columns", "moment", "say", "say_json", "say_ordered"]

_GAP: Final = "  "


def say(text: str) -> None:
    """Print a line of text."""
    print(text)


def say_json(document: object, *, on_one_line: bool = False) -> None:
    """Print one JSON document; moments are written in UTC."""
    option = orjson.OPT_UTC_Z | (0 if on_one_line else orjson.OPT_INDENT_2)
    sys.stdout.write(orjson.dumps(document, option=option).decode() + "\n")
    sys.stdout.flush()


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out under their heads; nothing is cut, so that references can be copied."""
    lines = [list(heads), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join(
        _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def moment(at: datetime | None, zone: tzinfo) -> str:
    """Write a moment to the minute in a zone; a dash for none."""
    return "-" if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def say_ordered(expires_at: datetime) -> None:
    """Say that somebody else has to confirm what was ordered, and how."""
    from newel.base.zones import local_zone

    until = moment(expires_at, local_zone())
    say(
        f"Ordered. Somebody else has to confirm until {until}: the same with `--confirm --actor …`."
    )
