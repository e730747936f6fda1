"""How moments, lengths of time and numbers look on a page.

Tables show absolute times; within an hour a relative text is added, because near things are
waited for. Moments are in the viewer's zone, which the foot of the page names; the full text
is in the element's title.
Source: console document, §5.8.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from newel.people.words import day
from newel.store.overview import BOUND

__all__ = [
    "bounded",
    "clock",
    "duration",
    "initials",
    "inside",
    "number",
    "relative",
    "time_element",
    "when",
    "zone",
]

_NONE: Final = Markup('<span aria-hidden="true">&ndash;</span><span class="unseen">none</span>')
_NEAR_WORDS: Final = ("Today", "Tomorrow", "Yesterday")
_HOUR: Final = timedelta(hours=1)


def when(moment: datetime, now: datetime, zone: tzinfo) -> str:
    """Write a moment: `Today 14:32`, `Tue 10 Mar, 09:00`, with the year where it is another."""
    local = moment.astimezone(zone)
    days = (local.date() - now.astimezone(zone).date()).days
    if days == 0:
        return f"Today {local:%H:%M}"
    if days == 1:
        return f"Tomorrow {local:%H:%M}"
    if days == -1:
        return f"Yesterday {local:%H:%M}"
    return f"{day(moment, zone, now)}, {local:%H:%M}"


def inside(text: str) -> str:
    """Write a moment as it stands inside a sentence: `today 14:32`."""
    return f"{text[:1].lower()}{text[1:]}" if text.startswith(_NEAR_WORDS) else text


def relative(moment: datetime, now: datetime) -> str:
    """Write the distance of a near moment: `in 3 min`, `41 s ago`; empty beyond an hour."""
    distance = moment - now
    if abs(distance) >= _HOUR:
        return ""
    if abs(distance) < timedelta(seconds=1):
        return "now"
    text = duration(abs(distance), coarse=True)
    return f"in {text}" if distance > timedelta(0) else f"{text} ago"


def duration(length: timedelta, *, coarse: bool = False) -> str:
    """Write a length of time in at most two units: `1.8 s`, `41 s`, `2 h 14 min`, `4 d 2 h`.

    coarse: one unit, and no parts of a second.
    """
    seconds = max(length.total_seconds(), 0)
    if seconds < 1 and not coarse:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10 and not coarse:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{round(seconds)} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if hours == 0:
        return f"{minutes} min"
    if days == 0:
        return _two(hours, "h", minutes % 60, "min", coarse=coarse)
    return _two(days, "d", hours % 24, "h", coarse=coarse)


def _two(large: int, unit: str, small: int, other: str, *, coarse: bool) -> str:
    return f"{large} {unit}" if coarse or small == 0 else f"{large} {unit} {small} {other}"


def number(count: int) -> str:
    """Write a count with thousands separators."""
    return f"{count:,}"


def bounded(count: int) -> str:
    """Write a count of the navigation: `9,999`, and `10,000+` where no more is counted."""
    return number(count) if count <= BOUND else f"{number(BOUND)}+"


def clock(moment: datetime, zone: tzinfo) -> str:
    """Write a moment to the second."""
    return f"{moment.astimezone(zone):%H:%M:%S}"


def zone(zone: tzinfo) -> str:
    """Name a zone in full: `Europe/Berlin`."""
    return zone.key if isinstance(zone, ZoneInfo) else str(zone)


def initials(name: str) -> str:
    """Give the first letters of the first and the last word of a name."""
    words = [word for word in name.split() if word[:1].isalpha()]
    if not words:
        return "?"
    chosen = [words[0], words[-1]] if len(words) > 1 else [words[0]]
    return "".join(word[0] for word in chosen).upper()


def time_element(
    moment: datetime | None,
    now: datetime,
    zone: tzinfo,
    *,
    with_relative: bool = False,
    is_inside: bool = False,
) -> Markup:
    """Make the element of a moment; a dash for none. is_inside: of a sentence."""
    if moment is None:
        return _NONE
    text = inside(when(moment, now, zone)) if is_inside else when(moment, now, zone)
    near = relative(moment, now) if with_relative else ""
    said = f"{text}, {near}" if near else text
    local = moment.astimezone(zone)
    title = f"{local:%Y-%m-%d %H:%M:%S} {local.tzname() or ''}".strip()
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        escape(moment.isoformat()), title, said
    )
