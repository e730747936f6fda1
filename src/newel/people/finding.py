"""Finding a person by a name that may be typed wrongly.

Three tiers, the best that has a hit answers: the whole text is the name, the address, the
employee number or the reference; every word begins a word of the name; enough trigrams are
shared. Ranking is pure; the candidates come from the index on trigrams.
Source: product document, §11 "Finding the person".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import IntEnum
from typing import Final
from uuid import UUID

from newel.base.ids import parse_reference
from newel.domain.search import folded, grams, similarity
from newel.store import people
from newel.store.database import Database

__all__ = ["Candidate", "Hit", "Tier", "best", "found", "ranked"]

ENOUGH: Final = 0.45
"""Share of the trigrams typed that a name must hold to be a hit."""

CLEAR: Final = 0.1
"""Distance in likeness by which a hit must lead to be the only answer."""


class Tier(IntEnum):
    """How well a hit fits, the best first."""

    EXACT = 0
    PREFIX = 1
    SIMILAR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A person who may be meant; what is not known is None."""

    ref: UUID
    name: str
    email: str | None
    hr_key: str | None = None
    manager: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A person who fits what was typed; share: how much of it is alike, 0.0 to 1.0."""

    person: Candidate
    tier: Tier
    share: float


async def found(database: Database, text: str, *, how_many: int = 20) -> list[Hit]:
    """Find people by name, address, employee number or reference, the best fit first."""
    if (ref := _reference(text)) is not None:
        row = await people.read(database, ref)
        rows = [] if row is None else [row]
    else:
        rows = await people.candidates(database, text=text, grams=grams(text))
    candidates = [
        Candidate(
            ref=row["ref"],
            name=row["display_name"],
            email=row["work_email"],
            hr_key=row["hr_key"],
            manager=row["manager_name"],
        )
        for row in rows
    ]
    if ref is not None:
        return [Hit(person=each, tier=Tier.EXACT, share=1.0) for each in candidates]
    return ranked(text, candidates)[:how_many]


def ranked(text: str, candidates: Sequence[Candidate]) -> list[Hit]:
    """Order candidates by how well they fit; those who share too little are left out."""
    hits = [hit for each in candidates if (hit := _fit(text, each)) is not None]
    return sorted(hits, key=lambda hit: (hit.tier, -hit.share, hit.person.name, hit.person.ref))


def best(hits: Sequence[Hit]) -> list[Hit]:
    """Give those who may be the answer: of the best tier, and no clear distance apart."""
    if not hits:
        return []
    first = hits[0]
    near = [hit for hit in hits if hit.tier == first.tier]
    if first.tier is not Tier.SIMILAR:
        return near
    return [hit for hit in near if first.share - hit.share < CLEAR]


def _fit(text: str, person: Candidate) -> Hit | None:
    asked = folded(text)
    if not asked:
        return None
    known = folded(person.name)
    exact = {text.strip().casefold(), asked}
    if known == asked or exact & {
        (person.email or "").casefold(),
        (person.hr_key or "").casefold(),
    }:
        return Hit(person=person, tier=Tier.EXACT, share=1.0)
    words = [*known.split(), *folded(person.email or "").split()]
    if all(any(word.startswith(start) for word in words) for start in asked.split()):
        return Hit(person=person, tier=Tier.PREFIX, share=similarity(asked, known))
    if similarity(asked, f"{known} {person.email or ''}") < ENOUGH:
        return None
    # Trigrams find, the order of letters ranks: a swapped pair breaks three trigrams of a word.
    closeness = SequenceMatcher(None, asked, known, autojunk=False).ratio()
    return Hit(person=person, tier=Tier.SIMILAR, share=closeness)


def _reference(text: str) -> UUID | None:
    try:
        prefix, ref = parse_reference(text.strip())
    except ValueError:
        return None
    return ref if prefix == "per" else None
