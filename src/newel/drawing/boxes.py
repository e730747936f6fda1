"""What a region is before it has its place: how wide, how high, and where its axis is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from newel.drawing.labels import capital, in_words
from newel.drawing.regions import Act
from newel.flow.step import Step

__all__ = [
    "ACROSS",
    "BAND",
    "BUS",
    "CARD",
    "DOWN",
    "GATE",
    "LINE",
    "MARGIN",
    "PADDING",
    "PILL",
    "Box",
    "bare",
    "middle",
    "nothing",
    "placed",
    "plain",
    "second_line",
]

CARD: Final = (196.0, 48.0)
LINE: Final = 16.0
DOWN: Final = 26.0
ACROSS: Final = 18.0
PADDING: Final = 14.0
BAND: Final = 32.0
MARGIN: Final = 18.0
GATE: Final = 34.0
PILL: Final = 20.0
BUS: Final = 14.0
_ABBREVIATED: Final = 3


@dataclass(frozen=True, slots=True)
class Box:
    """A region that was measured. axis: from its left; goes: whether control comes out below.

    has_head: whether a line into it meets something, and not just goes on.
    """

    width: float
    height: float
    axis: float
    place: Callable[[float, float], None]
    goes: bool = True
    word: str = ""
    has_head: bool = True

    @property
    def right(self) -> float:
        """How far it reaches to the right of its axis."""
        return self.width - self.axis


def plain(text: str) -> str:
    """A title without the marks of code."""
    return text.replace("`", "")


def nothing(_left: float, _top: float) -> None:
    """Place nothing."""


def bare(word: str) -> Box:
    """An arm in which nothing stands: the line alone."""
    return Box(24.0, 8.0, 12.0, nothing, word=word)


def middle(axes: Sequence[float], wide: float, reaching: Sequence[int]) -> float:
    """The axis of arms: that of the only one that goes on, else their middle or one near it."""
    if len(reaching) == 1:
        return axes[reaching[0]]
    middle = wide / 2
    near = min(axes, key=lambda each: abs(each - middle), default=middle)
    return near if abs(near - middle) < DOWN else middle


def placed(value: float) -> float:
    """A place on the grid."""
    return round(value, 1)


def second_line(act: Act) -> str:
    """The second line of a card: who, when, or where."""
    if act.act in {"approval", "form"}:
        return f"by {_owner(act.by)}"
    if act.act == "timer":
        return str(act.live or "")
    if act.act == "event" and not act.is_buffered:
        return "not kept"
    title = getattr(act.live.owner, "title", None) if isinstance(act.live, Step) else None
    if isinstance(title, str):
        return title  # the system's own name: GitHub, not Github
    name = act.pattern.name.partition(".")[0] if "." in act.pattern.name else ""
    return capital(in_words(name)) if name else ""


def _owner(by: str) -> str:
    found = by.removeprefix("team('").removesuffix("')")
    if found != by and len(found) <= _ABBREVIATED:
        return found.upper()  # IT, HR
    if (of := re.fullmatch(r"(\w+)_of\((\w+)\)", by)) is not None:
        return f"{of[2]}'s {of[1]}".replace("_", " ")
    return (
        found.replace(".", "'s ").replace("_", " ")
        if found.isidentifier() or "." in found
        else found
    )
