"""The segment bar: one mark per step, tall where a person is needed, readable without colour.

Positions are SVG attributes, because the page's security policy allows no inline style. With
more than forty steps there is one segment per state, as wide as its share.
Source: console document, §5.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from newel.web.console.copy import CHIPS

__all__ = ["Bar", "Legend", "Segment", "bar_of"]

_MOST: Final = 40
_GAP: Final = 6
_TALL: Final = frozenset({"parked", "task", "failed"})
_ORDER: Final = (
    "done", "by-hand", "skipped", "cancelled", "running", "waiting", "retrying", "in-doubt",
    "task", "failed", "parked", "planned",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One rectangle of the bar, in units of a drawing 1000 wide and 14 high."""

    x: float
    y: int
    width: float
    height: int
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Legend:
    """One state of the legend: how many steps, and its word."""

    count: int
    word: str
    tone: str
    icon: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar with its legend; text: the legend in words, the bar's accessible name."""

    segments: tuple[Segment, ...]
    legend: tuple[Legend, ...]
    text: str


def bar_of(states: Sequence[str]) -> Bar:
    """Draw the states of steps, in the order in which the steps come."""
    counted = Counter(states)
    known = [state for state in _ORDER if counted[state]]
    legend = tuple(_legend(state, counted[state]) for state in known)
    text = ", ".join(f"{each.count} {each.word}" for each in legend) or "no steps yet"
    if len(states) <= _MOST:
        return Bar(segments=_even(states), legend=legend, text=text)
    return Bar(segments=_shares(known, counted), legend=legend, text=text)


def _legend(state: str, count: int) -> Legend:
    tone, icon, word = CHIPS[state]
    return Legend(count=count, word=word[:1].lower() + word[1:], tone=tone, icon=icon)


def _even(states: Sequence[str]) -> tuple[Segment, ...]:
    if not states:
        return (_segment(0, 1000, "planned"),)
    width = (1000 - _GAP * (len(states) - 1)) / len(states)
    return tuple(
        _segment(place * (width + _GAP), width, state) for place, state in enumerate(states)
    )


def _shares(known: Sequence[str], counted: Counter[str]) -> tuple[Segment, ...]:
    room = 1000 - _GAP * (len(known) - 1)
    total = sum(counted.values())
    found: list[Segment] = []
    x = 0.0
    for state in known:
        width = max(room * counted[state] / total, 8)
        found.append(_segment(x, width, state))
        x += width + _GAP
    return tuple(found)


def _segment(x: float, width: float, state: str) -> Segment:
    tone = "wait" if state == "waiting" else CHIPS[state][0]
    tone = "mark" if state == "planned" else tone
    is_tall = state in _TALL
    return Segment(
        x=round(x, 1),
        y=0 if is_tall else 4,
        width=round(width, 1),
        height=14 if is_tall else 6,
        tone=tone,
    )
