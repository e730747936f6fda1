"""Which blocks of a large picture are folded, so that what is seen at once can be seen.

A block that holds something at work, parked, at a person, or looked at stays open, and so does what
a person has opened. Of the rest what is over is folded first, then what has not begun, the last in
the source first; no more than needed. Source: drawing document, §11.2.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from newel.drawing.overlay import AHEAD, Shown
from newel.drawing.regions import (
    Act,
    Again,
    Call,
    Choice,
    Compensation,
    Each,
    Group,
    Lock,
    Loop,
    Promise,
    Race,
    Rest,
    Scope,
    Section,
    Seq,
    walk,
)

__all__ = ["MOST", "folded"]

MOST: Final = 60
"""So many parts are seen at once."""
_LIVE: Final = frozenset({"running", "retrying", "in-doubt", "task", "waiting", "parked"})
_BLOCKS: Final = (Call, Section, Loop, Each, Group, Scope, Lock, Race, Compensation)
_SEEN: Final = (Act, Again, Rest, Promise, Choice)


@dataclass(frozen=True, slots=True)
class _Block:
    """A block that may be folded. place: of its first part, in the source."""

    id: str
    inside: frozenset[str]
    size: int
    place: int
    is_over: bool


def folded(
    tree: Seq, states: Mapping[str, Shown], *, kept: Collection[str] = (), most: int = MOST
) -> frozenset[str]:
    """Give the ids of the blocks to fold; none where the picture is small enough.

    kept: ids of parts that have to be seen, and of blocks that a person has opened.
    """
    left = sum(isinstance(each, _SEEN) for each in walk(tree))
    blocks = _blocks(tree, states, frozenset(kept))
    found: set[str] = set()
    hidden: set[str] = set()
    while left > most:
        open_ = [each for each in blocks if each.id not in hidden | found]
        if not open_:
            break
        block = min(open_, key=lambda each: _rank(each, left - most))
        inner = [each for each in blocks if each.id in found & block.inside]
        left -= block.size - 1 - sum(each.size - 1 for each in inner)
        found -= block.inside
        hidden |= block.inside
        found.add(block.id)
    return frozenset(found)


def _rank(block: _Block, too_many: int) -> tuple[bool, int, int, int, str]:
    """What is over before the rest; then what is just large enough, or else the largest."""
    is_enough = block.size - 1 >= too_many
    return (
        not block.is_over,
        not is_enough,
        block.size if is_enough else -block.size,
        -block.place,
        block.id,
    )


def _blocks(tree: Seq, states: Mapping[str, Shown], kept: frozenset[str]) -> list[_Block]:
    found = []
    for place, region in enumerate(walk(tree)):
        if not isinstance(region, _BLOCKS):
            continue
        parts = list(walk(region))
        ids = {each.id for each in parts if each.id}
        words = {states[id_].word for id_ in ids if id_ in states}
        size = sum(isinstance(each, _SEEN) for each in parts)
        if size > 1 and not words & _LIVE and not ids & kept:
            is_over = bool(words) and not words & (AHEAD - {"not-needed"})
            inside = frozenset(ids - {region.id})
            found.append(_Block(region.id, inside, size, place, is_over))
    return found
