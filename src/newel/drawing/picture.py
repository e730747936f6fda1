"""What a picture is made of: cards, gates, frames, pills, dots and lines, each with its place.

Places are in pixels on a grid of a tenth. The order of the nodes is the order of the source, so
that whoever walks them with the keyboard walks the process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Card",
    "Dot",
    "DotLook",
    "Frame",
    "Gate",
    "Line",
    "LineLook",
    "Picture",
    "Pill",
    "Point",
]

Point = tuple[float, float]
DotLook = Literal["start", "end", "fails", "leaves", "fork", "join"]
LineLook = Literal["flow", "loop", "fail", "undo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """An act. title: its lines, at most two.

    look: its kind (`step`, `person`, `moment`, `message`, `child`, `mark`, `undo`).
    """

    id: str
    x: float
    y: float
    width: float
    height: float
    title: tuple[str, ...]
    second: str
    look: str
    word: str
    said: str
    is_many: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A question on which the way depends."""

    id: str
    x: float
    y: float
    width: float
    height: float
    text: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A start, an end, a fork or a join. text: beside it."""

    look: DotLook
    x: float
    y: float
    radius: float
    word: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A block with a title. look: what made it; counter: at the right of its title."""

    id: str
    x: float
    y: float
    width: float
    height: float
    title: str
    look: str
    word: str
    counter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pill:
    """A few words on a line: the name of an arm, or the reason for a lane."""

    x: float
    y: float
    width: float
    text: str
    word: str
    look: Literal["arm", "chip"] = "arm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line with square corners. has_arrow: at its end."""

    points: tuple[Point, ...]
    look: LineLook
    word: str
    has_arrow: bool = True


@dataclass(slots=True)
class Picture:
    """Everything, each kind in the order in which it is drawn."""

    width: float = 0.0
    height: float = 0.0
    frames: list[Frame] = field(default_factory=list[Frame])
    lines: list[Line] = field(default_factory=list[Line])
    nodes: list[Card | Gate | Dot | Pill] = field(default_factory=list[Card | Gate | Dot | Pill])
