"""Pieces of the status sentence, and what all that make them need to know.

A part is text with a tone and, where it leads somewhere, an address; the sentence is their
texts in a row, so that every surface prints the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final, Literal
from urllib.parse import quote

from newel.base.ids import reference
from newel.people.facts import RunFact
from newel.people.words import day, due, since

__all__ = ["NEVER", "Asked", "Part", "Tone", "capital", "later", "run_href", "strong", "text_of"]

NEVER: Final = datetime.max.replace(tzinfo=UTC)
"""Sorts behind every moment: what has no due time."""

Tone = Literal["plain", "strong", "done", "retry", "park", "task", "wait"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of the sentence; tone: how a page colours it; href: where it leads, if anywhere."""

    text: str
    tone: Tone = "plain"
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The asker's moment and zone, and the person's name as it is written."""

    now: datetime
    zone: tzinfo
    name: str

    def due(self, moment: datetime) -> str:
        """Write when something is due."""
        return due(moment, self.zone, self.now)

    def since(self, moment: datetime) -> str:
        """Write since when."""
        return since(moment, self.zone, self.now)

    def day(self, moment: datetime) -> str:
        """Write a date."""
        return day(moment, self.zone, self.now)


def strong(text: str, tone: Tone = "strong", href: str | None = None) -> Part:
    """Make a part that stands out."""
    return Part(text=text, tone=tone, href=href)


def run_href(run: RunFact, key: str | None = None) -> str:
    """Give the address of a run, or of one key on its page."""
    return f"/runs/{reference('run', run.id)}" + (f"#{quote(key)}" if key else "")


def text_of(parts: tuple[Part, ...] | list[Part]) -> str:
    """Write parts as text."""
    return "".join(part.text for part in parts)


def later(moment: datetime | None) -> datetime:
    """Give a moment for sorting; one that is not known comes last."""
    return NEVER if moment is None else moment


def capital(text: str) -> str:
    """Write the first letter large; a quotation mark before it stays."""
    place = 1 if text.startswith("“") else 0
    return f"{text[:place]}{text[place : place + 1].upper()}{text[place + 1 :]}"
