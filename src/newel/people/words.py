"""The words of moments, names and causes that the status sentence and the pages share.

Moments are written in the asker's zone. A date that is decided stands as `Tue 6 Jan`; what is
near is said as people say it: today, tomorrow, the day of the week.
Source: product document, §11 "When".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from typing import Final
from urllib.parse import unquote

__all__ = [
    "PARKED_BECAUSE",
    "clipped",
    "day",
    "due",
    "in_words",
    "joined",
    "noun_of",
    "process_title",
    "since",
    "system_name",
    "team_name",
    "zone_name",
]

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_NEAR_DAYS: Final = 6
_ABBREVIATED: Final = 3
_TITLE_LENGTH: Final = 32

PARKED_BECAUSE: Final[dict[str, str]] = {
    "outage": "",
    "unknown": "it is not known whether the last call took effect",
    "ownership-conflict": "the account may belong to somebody else",
    "invalid": "the data was refused",
    "forbidden": "a permission is missing",
    "auth-failed": "the credential is no longer accepted",
    "no-capacity": "no free seats",
    "contract-drift": "its answers have changed",
    "bug": "the step's code failed",
    "drifted": "the input of a finished step has changed",
    "blocked": "the current code cannot continue",
    "nobody": "nobody holds the role that is asked",
    "held": "too many people would lose access at once",
    "overdue": "it has taken longer than allowed",
}
"""Plain causes by reason; an outage speaks for itself. Console document, §2.3."""

_FALLBACK_NAMES: Final = {
    "google": "Google Workspace",
    "github": "GitHub",
    "salesforce": "Salesforce",
    "slack": "Slack",
    "jira": "Jira",
    "gusto": "Gusto",
}


def day(moment: datetime | date, zone: tzinfo, now: datetime) -> str:
    """Write a date: `Tue 6 Jan`, with the year where it is another one."""
    local = moment.astimezone(zone).date() if isinstance(moment, datetime) else moment
    text = f"{_WEEKDAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]}"
    return text if local.year == now.astimezone(zone).year else f"{text} {local.year}"


def due(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """Write when something is due: `today 17:00`, `tomorrow 09:00`, `Tue 17:00`, `Tue 6 Jan`."""
    local, days = _local(moment, zone, now)
    clock = f"{local:%H:%M}"
    if days == 0:
        return f"today {clock}"
    if days == 1:
        return f"tomorrow {clock}"
    if 1 < days <= _NEAR_DAYS:
        return f"{_WEEKDAYS[local.weekday()]} {clock}"
    return day(moment, zone, now)


def since(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """Write since when: `14:02` today, `Tue` within six days, else the date."""
    local, days = _local(moment, zone, now)
    if days == 0:
        return f"{local:%H:%M}"
    if -_NEAR_DAYS <= days < 0:
        return _WEEKDAYS[local.weekday()]
    return day(moment, zone, now)


def zone_name(zone: tzinfo) -> str:
    """Name a zone as people do: `Berlin`, `New York`, `UTC`."""
    return str(zone).rpartition("/")[2].replace("_", " ")


def in_words(key: str) -> str:
    """Write a key's own name in words: `section/manager-confirms[x]#2` is `manager confirms x`."""
    name, _, item = key.rpartition("/")[2].partition("#")[0].partition("[")
    words = name.rpartition(".")[2].replace("-", " ").replace("_", " ")
    return f"{words} {unquote(item.rstrip(']'))}" if item else words


def noun_of(process: str) -> str:
    """Write a process's name in words: `access-request` is `access request`."""
    return process.rpartition(".")[2].replace("-", " ").replace("_", " ")


def process_title(process: str, title: str | None) -> str:
    """Give a process the title people read; a sentence is no title, its name in words is.

    Source: console document, §12.6: titles have at most 32 characters.
    """
    if title and len(title) <= _TITLE_LENGTH:
        return title
    words = noun_of(process)
    return f"{words[:1].upper()}{words[1:]}"


def system_name(key: str, title: str | None) -> str:
    """Name a system: its title, else what its key is known to stand for."""
    return title or _FALLBACK_NAMES.get(key) or key.replace("-", " ").capitalize()


def team_name(team: str) -> str:
    """Name a team as people write it: `it` is `IT`, `hr` is `HR`, longer names stay."""
    return team.upper() if len(team) <= _ABBREVIATED else team


def joined(names: Sequence[str]) -> str:
    """Write a list: `A`, `A and B`, `A, B and C`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def clipped(text: str, length: int) -> str:
    """Shorten text to `length` characters, the last one an ellipsis; one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= length else f"{flat[: length - 1].rstrip()}…"


def _local(moment: datetime, zone: tzinfo, now: datetime) -> tuple[datetime, int]:
    local = moment.astimezone(zone)
    return local, (local.date() - now.astimezone(zone).date()).days
