"""What is put on a picture: cards and dots, stacks under each other, arms side by side, lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from newel.drawing.boxes import (
    ACROSS,
    BUS,
    CARD,
    DOWN,
    LINE,
    PADDING,
    PILL,
    Box,
    bare,
    middle,
    nothing,
    placed,
    plain,
)
from newel.drawing.labels import capital
from newel.drawing.lettering import cut, width, wrapped
from newel.drawing.overlay import AHEAD, Shown
from newel.drawing.picture import Card, Dot, DotLook, Line, LineLook, Picture, Pill, Point
from newel.drawing.regions import Region, Seq, walk

__all__ = ["Sheet"]

_PASSED = frozenset({"done", "by-hand", "skipped"})
_SURE = frozenset({"will-run", "expected"})
"""What comes, unless something else ends it: who and where say more than why."""
_OUT = frozenset({"cancelled", "not-needed"})


class Sheet:
    """A picture while it is made; states: what is shown of parts, by id."""

    def __init__(self, states: Mapping[str, Shown]) -> None:
        self.states = states
        self.picture = Picture()

    def stacked(self, boxes: Sequence[Box]) -> Box:
        """Boxes under each other on one axis, with lines between them."""
        if not boxes:
            return Box(0.0, 0.0, 0.0, nothing)
        axis = max(each.axis for each in boxes)
        wide = axis + max(each.right for each in boxes)
        high = sum(each.height for each in boxes) + DOWN * (len(boxes) - 1)

        def place(x: float, y: float) -> None:
            at = y
            for index, box in enumerate(boxes):
                box.place(x + axis - box.axis, at)
                below = at + box.height
                if index < len(boxes) - 1 and box.goes:
                    ends = ((x + axis, below), (x + axis, below + DOWN))
                    below_it = boxes[index + 1]
                    self.line(ends, below_it.word, has_arrow=below_it.has_head)
                at = below + DOWN

        goes = all(each.goes for each in boxes)
        return Box(wide, high, axis, place, goes, boxes[0].word, boxes[0].has_head)

    def columns(
        self,
        named: Sequence[tuple[str, Box, Seq]],
        region: Region,
        *,
        folded: str = "",
        answered: str = "",
    ) -> Box:
        """Arms side by side between two bars; each may have a name on its line.

        answered: the state of the one arm that is taken, where control has come to it.
        """
        arms = [self.arm(label, box, kid, word=answered) for label, box, kid in named]
        left = [self.left_by(kid) or (answered if not box.height else "") for _, box, kid in named]
        if folded:
            aside = Box(0.0, 0.0, 0.0, nothing, goes=False)
            arms.append(self.arm(folded, aside, None, word="not-needed"))
            left.append("")
        lefts: list[float] = []
        at = 0.0
        for each in arms:
            lefts.append(at)
            at += each.width + ACROSS
        wide = at - ACROSS if arms else 0.0
        axes = [left + each.axis for left, each in zip(lefts, arms, strict=True)]
        tall = max((each.height for each in arms), default=0.0)
        reaching = [index for index, each in enumerate(arms) if each.goes]
        axis = middle(axes, wide, reaching if not folded else [0])
        tail = BUS + 10 if reaching else 0.0

        def place(x: float, y: float) -> None:
            top, bottom = y + 12, y + 12 + BUS + tall
            for at, arm, own, word in zip(lefts, arms, axes, left, strict=True):
                entry = ((x + axis, y), (x + axis, top), (x + own, top), (x + own, top + BUS))
                self.line(entry, arm.word, has_arrow=False)
                arm.place(x + at, top + BUS)
                if arm.goes:
                    low = top + BUS + arm.height
                    leave = (
                        (x + own, low),
                        (x + own, bottom + BUS),
                        (x + axis, bottom + BUS),
                        (x + axis, bottom + BUS + 10),
                    )
                    self.line(leave, word, has_arrow=False)
            if len(reaching) > 1:
                join = Dot(
                    look="join",
                    x=placed(x + axis),
                    y=placed(bottom + BUS + 6),
                    radius=5.0,
                    word=self.word_of(region),
                )
                self.picture.nodes.append(join)

        return Box(wide, 12 + BUS + tall + tail, axis, place, bool(reaching), has_head=False)

    def arm(self, label: str, box: Box, kid: Seq | None, *, word: str = "") -> Box:
        """An arm: its name on the line, then what stands in it; word: its state, where known."""
        word = word or self.word_in(kid)
        if not label:
            return replace(box, word=box.word or word) if box.width else bare(word)
        text = cut(capital(plain(label)), 12, 230)
        wide = width(text, 12) + 24
        axis = max(box.axis, wide / 2)
        right = max(box.right, wide / 2)
        gap = 12.0 if box.height else 0.0

        def place(x: float, y: float) -> None:
            pill = Pill(
                x=placed(x + axis - wide / 2), y=placed(y), width=wide, text=text, word=word
            )
            self.picture.nodes.append(pill)
            if gap:
                ends = ((x + axis, y + PILL), (x + axis, y + PILL + gap))
                self.line(ends, box.word)
                box.place(x + axis - box.axis, y + PILL + gap)

        return Box(axis + right, PILL + gap + box.height, axis, place, box.goes, word)

    def grid(self, boxes: Sequence[Box]) -> Box:
        """Many single acts that run at once, in rows."""
        across = 3 if len(boxes) <= 9 else 4
        wide = CARD[0]
        rows = [boxes[at : at + across] for at in range(0, len(boxes), across)]
        highs = [max(each.height for each in row) for row in rows]
        total = across * wide + (across - 1) * ACROSS

        def place(x: float, y: float) -> None:
            at = y
            for row, high in zip(rows, highs, strict=True):
                for column, box in enumerate(row):
                    box.place(x + column * (wide + ACROSS), at)
                at += high + PADDING

        return Box(total, sum(highs) + (len(rows) - 1) * PADDING, total / 2, place)

    def headed(self, head: Box, below: Box) -> Box:
        """A gate or a fork over its arms, which lead to it themselves."""
        axis = max(head.axis, below.axis)
        wide = axis + max(head.right, below.right)

        def place(x: float, y: float) -> None:
            head.place(x + axis - head.axis, y)
            below.place(x + axis - below.axis, y + head.height)

        return Box(wide, head.height + below.height, axis, place, below.goes, head.word)

    def card(
        self, region: Region, title: str, second: str, look: str, *, is_many: bool = False
    ) -> Box:
        """A card; under its title stands what is shown of it, else the second line."""
        wide, high = CARD
        lines = wrapped(plain(title), 14, wide - 62)
        high += LINE * (len(lines) - 1)
        shown = self.states.get(region.id)
        word = "" if shown is None else shown.word
        below = second
        if shown is not None:
            said_of_it = "" if word in _SURE else shown.reason
            below = shown.counter or said_of_it or second
        said = "" if shown is None else shown.said

        def place(x: float, y: float) -> None:
            card = Card(
                id=region.id,
                x=placed(x),
                y=placed(y),
                width=wide,
                height=high,
                title=lines,
                second=cut(plain(below), 12, wide - 58),
                look=look,
                word=word,
                said=f"{title}. {said or second}".strip(),
                is_many=is_many or bool(shown and shown.counter),
            )
            self.picture.nodes.append(card)

        return Box(wide, high, wide / 2, place, word=word)

    def dot(self, look: DotLook, word: str, text: str, radius: float) -> Box:
        """A round mark; its text stands beside it and takes no place on the axis."""
        side = width(text, 11) + 8 if look in {"fails", "leaves", "end"} else 0.0
        wide = 2 * max(radius, radius + side)

        def place(x: float, y: float) -> None:
            dot = Dot(
                look=look,
                x=placed(x + wide / 2),
                y=placed(y + radius),
                radius=radius,
                word=word,
                text=text,
            )
            self.picture.nodes.append(dot)

        goes = look in {"start", "fork", "join"}
        return Box(wide, 2 * radius, wide / 2, place, goes, word)

    def word_of(self, region: Region) -> str:
        """The state of a part; empty where none is known."""
        shown = self.states.get(region.id)
        return "" if shown is None else shown.word

    def word_in(self, kid: Seq | None) -> str:
        """The state of an arm: that of the first thing in it."""
        found = [] if kid is None else [self.word_of(each) for each in walk(kid)]
        words = [each for each in found if each]
        return words[0] if words else ""

    def entered(self, region: Region) -> str:
        """Done where control has come into a part, else its state."""
        has_begun = any(
            word and word not in AHEAD for each in walk(region) if (word := self.word_of(each))
        )
        return "done" if has_begun else self.word_of(region)

    def left_by(self, *regions: Region) -> str:
        """The state of the way out of parts: done where nothing in them is open or to come."""
        words = {word for region in regions for each in walk(region)
                 if (word := self.word_of(each))}  # fmt: skip
        if not words or words - _PASSED - _OUT:
            return ""
        return "done" if words & _PASSED else "not-needed"

    def line(
        self, points: Sequence[Point], word: str, *, look: LineLook = "flow", has_arrow: bool = True
    ) -> None:
        """Draw a line through points; what has no length is left out."""
        kept: list[Point] = []
        for x, y in points:
            at = (placed(x), placed(y))
            if not kept or kept[-1] != at:
                kept.append(at)
        if len(kept) > 1:
            self.picture.lines.append(
                Line(points=tuple(kept), look=look, word=word, has_arrow=has_arrow)
            )
