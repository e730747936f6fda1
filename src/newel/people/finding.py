"""Finding a person by a name that may be typed wrongly.

Three tiers, the best that has a hit answers: the whole text is the name, the address, the
employee number or the reference; every word begins a word of the name; enough trigrams are
shared. Ranking is pure; the candidates come from the index on trigrams, and they are few however
many people there are (`chosen`).
Source: product document, §11 "Finding the person".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import IntEnum
from itertools import combinations
from typing import Final
from uuid import UUID

from newel.base.ids import parse_reference
from newel.domain.search import beginnings, folded, grams
from newel.store import people
from newel.store.database import Database, Row

__all__ = ["Candidate", "Chosen", "Hit", "Tier", "best", "chosen", "found", "ranked"]

ENOUGH: Final = 0.45
"""Share of the trigrams typed that a name must hold to be a hit."""

CLEAR: Final = 0.1
"""Distance in likeness by which a hit must lead to be the only answer."""

FEW: Final = 600
"""How many people the index may give before they are compared."""

PAIRED: Final = 5
"""How many of the trigrams that many people have are asked for in pairs."""

MANY: Final = 20_000
"""People with each trigram of a set that is not asked for: the end of everybody's address."""


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


@dataclass(frozen=True, slots=True)
class Chosen:
    """By which trigrams the index is asked: any of `telling`, or all of one of `sets`."""

    telling: tuple[str, ...]
    sets: tuple[tuple[str, ...], ...] = ()


async def found(database: Database, text: str, *, how_many: int = 20) -> list[Hit]:
    """Find people by name, address, employee number or reference, the best fit first."""
    if (ref := _reference(text)) is not None:
        row = await people.read(database, ref)
        return [] if row is None else [Hit(person=_candidate(row), tier=Tier.EXACT, share=1.0)]
    wanted = grams(text)
    if not wanted:
        return []
    rows = await people.fitting(
        database, text=text, whole=wanted, begun=beginnings(text), how_many=max(how_many, 50)
    )
    hits = ranked(text, [_candidate(row) for row in rows])
    if not hits or hits[0].tier is Tier.SIMILAR:
        by = chosen(text, await people.common(database, wanted))
        rows += await people.similar(
            database, grams=wanted, telling=by.telling, sets=by.sets, read=FEW
        )
        known = {row["ref"]: row for row in rows}
        hits = ranked(text, [_candidate(row) for row in known.values()])
    return hits[:how_many]


def chosen(text: str, people_with: Mapping[str, float]) -> Chosen:
    """Choose the trigrams that find all who may be meant, and few others.

    people_with: in how many people a trigram stands; one that is absent is rare. Who shares
    enough of n trigrams to be a hit, k of them, has one of any n - k + 1: so the rarest are
    taken, and nobody is missed. Where even those stand in too many people, only the first of
    them are taken, and beside them pairs of the others: of each pair only some are looked at,
    but whoever is meant has many of the pairs, and few others have the rare ones.
    Trigrams that only tell the first letter of a word would let everybody with that letter in:
    they are taken only if there are no others.
    """
    wanted = grams(text)
    needed = len(wanted) - math.ceil(ENOUGH * len(wanted)) + 1
    telling = [gram for gram in wanted if not gram.startswith("  ")] or wanted
    rarest = sorted(telling, key=lambda gram: people_with.get(gram, 0.0))
    taken: list[str] = []
    read = 0.0
    for gram in rarest[:needed]:
        read += people_with.get(gram, 0.0)
        if read > FEW:
            return Chosen(tuple(taken), _sets(text, rarest[len(taken) :], people_with))
        taken.append(gram)
    return Chosen(tuple(taken))


def _sets(
    text: str, rarest: Sequence[str], people_with: Mapping[str, float]
) -> tuple[tuple[str, ...], ...]:
    """Pairs of trigrams, and each of the longest words with the first letters of the others."""
    words = sorted(dict.fromkeys(folded(text).split()), key=lambda word: (-len(word), word))
    firsts = {f"  {word[0]}" for word in words}
    whole = [tuple(sorted({*beginnings(word), *firsts})) for word in words[:3]]
    return tuple(
        each
        for each in (*combinations(rarest[:PAIRED], 2), *whole)
        if min(people_with.get(gram, 0.0) for gram in each) < MANY
    )


def _candidate(row: Row) -> Candidate:
    return Candidate(
        ref=row["ref"],
        name=row["display_name"],
        email=row["work_email"],
        hr_key=row["hr_key"],
        manager=row["manager_name"],
    )


def ranked(text: str, candidates: Sequence[Candidate]) -> list[Hit]:
    """Order candidates by how well they fit; those who share too little are left out."""
    asked = _Asked(text)
    hits = [hit for each in candidates if (hit := _fit(asked, each)) is not None]
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


class _Asked:
    """What was typed, taken apart once for all candidates."""

    def __init__(self, text: str) -> None:
        self.folded = folded(text)
        self.starts = self.folded.split()
        self.exact = {text.strip().casefold(), self.folded}
        self.grams = frozenset(grams(text))
        self.order = SequenceMatcher(None, autojunk=False)
        self.order.set_seq2(self.folded)  # the side that it remembers

    def share_in(self, *texts: str) -> float:
        """Which share of its trigrams stands in some texts."""
        return len(self.grams.intersection(grams(*texts))) / len(self.grams)

    def closeness(self, known: str) -> float:
        """How alike the order of letters is."""
        self.order.set_seq1(known)
        return self.order.ratio()


def _fit(asked: _Asked, person: Candidate) -> Hit | None:
    if not asked.folded:
        return None
    known = folded(person.name)
    email = person.email or ""
    if known == asked.folded or asked.exact & {email.casefold(), (person.hr_key or "").casefold()}:
        return Hit(person=person, tier=Tier.EXACT, share=1.0)
    words = [*known.split(), *folded(email).split()]
    if all(any(word.startswith(start) for word in words) for start in asked.starts):
        return Hit(person=person, tier=Tier.PREFIX, share=asked.share_in(known))
    if asked.share_in(known, email) < ENOUGH:
        return None
    # Trigrams find, the order of letters ranks: a swapped pair breaks three trigrams of a word.
    return Hit(person=person, tier=Tier.SIMILAR, share=asked.closeness(known))


def _reference(text: str) -> UUID | None:
    try:
        prefix, ref = parse_reference(text.strip())
    except ValueError:
        return None
    return ref if prefix == "per" else None
