"""Patterns: the keys that one place of the code can make, told before it runs.

A pattern has the shape of a key without its counter, and `*` for a part that only a run can tell:
`google.create_user`, `github.grant[*]`, `desk[print,*]`, `*/confirm`, `undo/google.restore`. The
patterns of one process are pairwise disjoint (Rule K), so finding the act of a key is a look-up:
for ever, and for every run. Source: drawing document, §2.3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from newel.domain.keys import base_of

__all__ = ["ANY", "Pattern", "Patterns"]

ANY: Final = "*"
"""A part that is not known; no key holds it, for keys encode a star."""


@dataclass(frozen=True, slots=True, order=True)
class Pattern:
    """labels: of the sections around, encoded. item: encoded; None where there is none."""

    labels: tuple[str, ...]
    name: str
    item: str | None = None

    def __str__(self) -> str:
        head = "".join(f"{label}/" for label in self.labels)
        return f"{head}{self.name}" if self.item is None else f"{head}{self.name}[{self.item}]"

    @classmethod
    def parsed(cls, text: str) -> Pattern:
        """Read a pattern, or a key, from its text; a counter is dropped."""
        *labels, last = base_of(text).split("/")
        name, bracket, rest = last.partition("[")
        item, _, verb = rest.rpartition("]")  # `documents[a].join`: the verb belongs to the name
        return cls(tuple(labels), f"{name}{verb}", item if bracket else None)

    @property
    def shape(self) -> tuple[int, str, bool]:
        """What two patterns share if they overlap: depth, name, whether there is an item."""
        return len(self.labels), self.name, self.item is None

    def overlaps(self, other: Pattern) -> bool:
        """Whether one key could belong to both."""
        if self.shape != other.shape:
            return False
        pairs = zip((*self.labels, self.item), (*other.labels, other.item), strict=True)
        return all(one == two or _may_be_one(one, two) for one, two in pairs)

    def matches(self, key: str) -> bool:
        """Whether a key, with or without a counter, is one of those that this place makes."""
        return self.overlaps(Pattern.parsed(key))


def _may_be_one(one: str | None, two: str | None) -> bool:
    """Whether two different parts can come to the same; a tuple has parts of its own."""
    if one is None or two is None or ANY in {one, two}:
        return ANY in {one, two}
    if ANY not in one and ANY not in two:
        return False
    these, those = one.split(","), two.split(",")
    if len(these) != len(those):
        return False
    return all(this == that or ANY in {this, that} for this, that in zip(these, those, strict=True))


class Patterns:
    """All patterns of a process, for looking keys up."""

    __slots__ = ("_by_shape",)

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._by_shape: dict[tuple[int, str, bool], list[Pattern]] = defaultdict(list)
        for pattern in patterns:
            self._by_shape[pattern.shape].append(pattern)

    def of(self, key: str) -> Pattern | None:
        """The pattern that a key belongs to; None for a key that this code does not make."""
        asked = Pattern.parsed(key)
        same = self._by_shape.get(asked.shape, ())
        return next((each for each in same if each.overlaps(asked)), None)
