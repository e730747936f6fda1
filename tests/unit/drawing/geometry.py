"""What may not be in a picture: things upon each other, slanted lines, lines through cards."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from newel.drawing.picture import Card, Frame, Gate, Line, Picture

__all__ = ["Solid", "flaws", "overlap", "solids"]

Solid = Card | Gate
_BORDER = 0.2
_TOUCH = 0.5


def solids(picture: Picture) -> list[Solid]:
    """What nothing may lie upon."""
    return [each for each in picture.nodes if isinstance(each, Card | Gate)]


def overlap(one: Solid | Frame, two: Solid | Frame) -> bool:
    """Whether two rectangles share more than a border."""
    return (
        one.x < two.x + two.width - _BORDER
        and two.x < one.x + one.width - _BORDER
        and one.y < two.y + two.height - _BORDER
        and two.y < one.y + one.height - _BORDER
    )


def flaws(picture: Picture) -> list[str]:
    """All that is wrong with where things stand, in words."""
    found = [f"{one} lies on {two}" for one, two in combinations(solids(picture), 2)
             if overlap(one, two)]  # fmt: skip
    for frame in picture.frames:
        for each in (*solids(picture), *picture.frames):
            if each is frame or not overlap(frame, each) or _holds(frame, each):
                continue
            if not isinstance(each, Frame) or not _holds(each, frame):
                found.append(f"{each} stands on the border of {frame}")
    for line in picture.lines:
        found += [f"{line} {what}" for what in _flaws_of(line, solids(picture))]
    for each in (*solids(picture), *picture.frames):
        is_right = each.x + each.width > picture.width
        if is_right or each.x < 0 or each.y + each.height > picture.height:
            found.append(f"{each} stands outside")
    return found


def _flaws_of(line: Line, cards: list[Solid]) -> Iterator[str]:
    for one, two in pairwise(line.points):
        if one[0] != two[0] and one[1] != two[1]:
            yield "is slanted"
        for each in cards:
            if _crosses(one, two, each):
                yield f"crosses {each}"
    if line.look == "flow" and line.points[0][1] > line.points[-1][1]:
        yield "leads upwards"


def _crosses(one: tuple[float, float], two: tuple[float, float], card: Solid) -> bool:
    left, right = sorted((one[0], two[0]))
    top, low = sorted((one[1], two[1]))
    return (
        left < card.x + card.width - _TOUCH
        and right > card.x + _TOUCH
        and top < card.y + card.height - _TOUCH
        and low > card.y + _TOUCH
    )


def _holds(outer: Frame, inner: Solid | Frame) -> bool:
    """Whether a rectangle lies in another."""
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width + _BORDER
        and inner.y + inner.height <= outer.y + outer.height + _BORDER
    )
