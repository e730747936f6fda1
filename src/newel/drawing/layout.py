"""Where everything stands: a process is a tree of blocks, and so is its picture.

Every region becomes a box with an axis on which control comes in above and goes out below. Boxes
are measured from the inside out and placed from the outside in; nothing is searched for, so the
same process always gives the same picture. Source: drawing document, §11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from newel.drawing.boxes import (
    ACROSS,
    BAND,
    BUS,
    CARD,
    DOWN,
    GATE,
    MARGIN,
    PADDING,
    Box,
    placed,
    plain,
    second_line,
)
from newel.drawing.drawing import Drawing
from newel.drawing.labels import in_words
from newel.drawing.lettering import cut, width
from newel.drawing.overlay import DONE, Shown
from newel.drawing.picture import (
    Frame,
    Gate,
    Picture,
    Point,
)
from newel.drawing.regions import (
    Act,
    Again,
    Call,
    Choice,
    Compensation,
    Each,
    Group,
    Guarded,
    Jump,
    Lock,
    Loop,
    Member,
    Par,
    Promise,
    Pure,
    Race,
    Raise,
    Region,
    Rest,
    Return,
    Scope,
    Section,
    Seq,
    walk,
)
from newel.drawing.sheet import Sheet

__all__ = ["picture_of"]

_LOOKS: Final = {
    "approval": "person",
    "form": "person",
    "timer": "moment",
    "event": "message",
    "child": "child",
    "spawn": "child",
    "mark": "mark",
}
_MANY: Final = 5


def picture_of(
    drawing: Drawing,
    states: Mapping[str, Shown] | None = None,
    *,
    folded: frozenset[str] = frozenset(),
    has_all_paths: bool = False,
) -> Picture:
    """Lay out a process; states: what is shown of its parts in one run.

    folded: blocks that are one card each. has_all_paths: arms that are not taken are shown, too.
    """
    return _Layout(states or {}, folded, has_all_paths=has_all_paths).whole(drawing.tree)


class _Layout(Sheet):
    """Measures and places."""

    def __init__(
        self, states: Mapping[str, Shown], folded: frozenset[str], *, has_all_paths: bool
    ) -> None:
        super().__init__(states)
        self._folded = folded
        self._has_all_paths = has_all_paths
        self._calls = 0
        self._at_end = True

    def whole(self, tree: Seq) -> Picture:
        """The picture of a process, from its start to its end."""
        begun = "done" if self.states else ""
        boxes = [self.dot("start", begun, "Start", 14.0)]
        body = self._seq(tree, at_end=True)
        boxes.append(body)
        if body.goes:
            is_over = bool(self.states) and all(
                each.word not in _AHEAD for each in self.states.values()
            )
            boxes.append(self.dot("end", "done" if is_over else "", "Done", 12.0))
        box = self.stacked(boxes)
        box.place(MARGIN, MARGIN)
        self.picture.width = round(box.width + 2 * MARGIN, 1)
        self.picture.height = round(box.height + 2 * MARGIN, 1)
        return self.picture

    # --- measuring ------------------------------------------------------------------------------

    def _box(self, region: Region) -> Box | None:
        """A region as a box; None where there is nothing to be seen of it."""
        if region.id in self._folded:
            return self._fold(region)
        match region:
            case Act():
                return self._act(region)
            case Rest() | Again():
                return self.card(region, region.label, "", "mark")
            case Return() | Raise() | Jump():
                return self._leaving(region)
            case Choice():
                return self._choice(region) if _is_seen(region) else None
            case Par(branches=branches):
                return self._par(region, branches)
            case Loop():
                return self._loop(region)
            case Each():
                return self._each(region)
            case Race():
                named = [(in_words(each.name), each.kid) for each in region.branches]
                return self._framed(region, "race", self._arms(named, region))
            case Lock(body=body, label=label):
                title = f"{label}, one at a time"
                inside = self._seq(body, at_end=self._at_end)
                return self._framed(region, "lock", inside, title=title)
            case Group(body=body) | Scope(body=body):
                inside = self._seq(body, at_end=self._at_end)
                return self._framed(region, region.kind, inside)
            case Call(kid=kid) | Section(kid=kid):
                return self._helper(region, kid)
            case Member(kid=kid):
                return self._seq(kid)
            case Guarded():
                return self._guarded(region)
            case Compensation():
                return self._compensation(region)
            case _:
                return None

    def _seq(self, seq: Seq, *, at_end: bool = False) -> Box:
        """Regions one after another; at_end: whether the function ends behind them."""
        found: list[Box] = []
        kids = [each for each in seq.kids if not isinstance(each, Pure)]
        for index, kid in enumerate(kids):
            if isinstance(kid, Return) and at_end and self._is_silent(kid):
                break  # it ends where it would end anyway
            rest = kids[index + 1 :]
            self._at_end = at_end and (
                not rest or (isinstance(rest[0], Return) and self._is_silent(rest[0]))
            )
            box = self._box(kid)
            if box is not None:
                found.append(box)
        return self.stacked(found)

    def _is_silent(self, kid: Return) -> bool:
        return self._calls > 0 or kid.label == "Done"

    def _act(self, act: Act, *, is_many: bool = False) -> Box:
        second = second_line(act)
        return self.card(act, act.label, second, _LOOKS.get(act.act, "step"), is_many=is_many)

    def _fold(self, region: Region) -> Box:
        """A block as one card, which says how much it holds."""
        acts = [each for each in walk(region) if isinstance(each, Act)]
        done = sum(self.word_of(each) in DONE for each in acts)
        steps = f"{done} of {len(acts)} steps" if self.states else f"{len(acts)} steps"
        title = region.label or "Steps that belong together"
        return self.card(region, title, steps, "fold", is_many=True)

    def _leaving(self, region: Return | Raise | Jump) -> Box:
        match region:
            case Raise(label=label):
                return self.dot("fails", "", label, 8.0)
            case Return(label=label) if not self._calls:
                return self.dot("end", "", label, 10.0)
            case Return():
                return self.dot("leaves", "", "This part ends", 6.0)
            case Jump(verb="break"):
                return self.dot("leaves", "", "Leaves the loop", 6.0)
            case _:
                return self.dot("leaves", "", "Next round", 6.0)

    # --- side by side ---------------------------------------------------------------------------

    def _choice(self, choice: Choice) -> Box:
        at_end = self._at_end
        known = self.states.get(choice.id)
        chosen = None if known is None else known.arm
        off = [arm for index, arm in enumerate(choice.arms) if chosen not in {None, index}]
        taken = [arm for arm in choice.arms if arm not in off]
        named = [(arm.label, arm.kid) for arm in taken]
        folded = ""
        if off and taken and not self._has_all_paths:
            folded = f"{len(off)} other path{'s' if len(off) > 1 else ''}"
        else:
            named = [(arm.label, arm.kid) for arm in choice.arms]
        shown = self.word_of(choice)
        if chosen is not None:
            shown = self.entered(choice.arms[chosen].kid) or shown
        answered = "done" if chosen is not None and shown == "done" else ""
        below = self._arms(named, choice, folded=folded, answered=answered, at_end=at_end)
        text = cut(choice.label, 13, 320)
        wide = max(120.0, width(text, 13) + 44)

        def place(x: float, y: float) -> None:
            gate = Gate(
                id=choice.id,
                x=placed(x),
                y=placed(y),
                width=wide,
                height=GATE,
                text=text,
                word=shown,
            )
            self.picture.nodes.append(gate)

        gate = Box(wide, GATE, wide / 2, place, word=shown)
        return self.headed(gate, below)

    def _arms(
        self,
        named: Sequence[tuple[str, Seq]],
        region: Region,
        *,
        folded: str = "",
        answered: str = "",
        at_end: bool = False,
    ) -> Box:
        boxes = [(label, self._seq(kid, at_end=at_end), kid) for label, kid in named]
        return self.columns(boxes, region, folded=folded, answered=answered)

    def _par(self, region: Par, branches: Sequence[Seq]) -> Box:
        boxes = [self._seq(each) for each in branches]
        singles = [
            each for each in branches if len(each.kids) == 1 and isinstance(each.kids[0], Act)
        ]
        if len(branches) >= _MANY and len(singles) == len(branches):
            return self._framed(region, "par", self.grid(boxes))
        fork = self.dot("fork", self.entered(region), "", 7.0)
        return self.headed(fork, self._arms([("", each) for each in branches], region))

    # --- frames ---------------------------------------------------------------------------------

    def _framed(
        self, region: Region, look: str, inside: Box, *, title: str = "", back: bool = False
    ) -> Box:
        """A titled block; back: with a line that leads from its end to its head."""
        named = plain(title or region.label)
        shown = self.states.get(region.id)
        counter = "" if shown is None else shown.counter
        need = width(named, 12) + 54 + width(counter, 12)
        room = 26.0 if back else 0.0
        axis = max(inside.axis + PADDING, min(need, 420.0) / 2)
        wide = axis + max(inside.right + PADDING + room, min(need, 420.0) / 2)
        high = BAND + DOWN + inside.height + (BUS + PADDING if back else PADDING)
        word = self.word_of(region)

        def place(x: float, y: float) -> None:
            frame = Frame(
                id=region.id,
                x=placed(x),
                y=placed(y),
                width=placed(wide),
                height=placed(high),
                title=cut(named, 12, wide - 54 - width(counter, 12)),
                look=look,
                word=word,
                counter=counter,
            )
            self.picture.frames.append(frame)
            ends = ((x + axis, y + BAND), (x + axis, y + BAND + DOWN))
            self.line(ends, inside.word, has_arrow=inside.has_head and inside.height > 0)
            inside.place(x + axis - inside.axis, y + BAND + DOWN)
            low, side = y + BAND + DOWN + inside.height, x + wide - PADDING
            if back and inside.goes:
                points = (
                    (x + axis, low),
                    (x + axis, low + BUS),
                    (side, low + BUS),
                    (side, y + BAND),
                )
                self.line(points, "", look="loop")
            if inside.goes:
                out = ((x + axis, low), (x + axis, y + high))
                self.line(out, self.left_by(region), has_arrow=False)

        return Box(wide, high, axis, place, word=inside.word or word)

    def _loop(self, loop: Loop) -> Box:
        parts = [self._seq(each) for each in (loop.test, loop.body)]
        inside = self.stacked([each for each in parts if each.height])
        framed = self._framed(loop, "loop", inside, back=True)
        after = self._seq(loop.orelse)
        return self.stacked([framed, after]) if after.height else framed

    def _each(self, each: Each) -> Box:
        inside = [kid for kid in each.body.kids if not isinstance(kid, Pure)]
        if len(inside) == 1 and isinstance(inside[0], Act):
            return self._act(inside[0], is_many=True)
        return self._framed(each, "each", self._seq(each.body), back=each.mode == "seq")

    def _helper(self, region: Call | Section, kid: Seq) -> Box | None:
        self._calls += isinstance(region, Call)
        inside = self._seq(kid, at_end=isinstance(region, Call) or self._at_end)
        seen = [each for each in walk(kid) if isinstance(each, Act | Race | Lock | Again | Rest)]
        self._calls -= isinstance(region, Call)
        if not inside.height:
            return None
        if len(seen) < 2:
            return replace(inside, goes=True)
        return self._framed(region, "call", inside)

    # --- failures -------------------------------------------------------------------------------

    def _guarded(self, region: Guarded) -> Box:
        at_end = self._at_end and not region.final.kids
        parts = [
            self._seq(region.body, at_end=at_end and not region.orelse.kids),
            self._seq(region.orelse, at_end=at_end),
        ]
        body = self.stacked([each for each in parts if each.height])
        lanes = [
            self.arm(handler.label, self._seq(handler.kid, at_end=at_end), handler.kid)
            for handler in region.handlers
        ]
        left = [self.left_by(region.body, region.orelse),
                *(self.left_by(handler.kid) for handler in region.handlers)]  # fmt: skip
        found = self._beside(body, lanes, left) if lanes else body
        final = self._seq(region.final)
        if not final.height:
            return found
        always = self.arm("always", final, region.final)
        return self.stacked([found, always])

    def _beside(self, body: Box, lanes: Sequence[Box], left: Sequence[str]) -> Box:
        """A body with the lanes of its failures at its right; what goes on meets below.

        left: the states of the ways out, first of the body.
        """
        lefts: list[float] = []
        at = body.width + ACROSS * 1.5
        for lane in lanes:
            lefts.append(at)
            at += lane.width + ACROSS
        top = CARD[1] / 2 + 12
        tall = max(body.height, *(top + lane.height for lane in lanes))
        goes = body.goes or any(lane.goes for lane in lanes)
        tail = BUS if any(lane.goes for lane in lanes) else 0.0

        def place(x: float, y: float) -> None:
            body.place(x, y)
            axis, bottom = x + body.axis, y + tall + tail
            for at_left, lane, word in zip(lefts, lanes, left[1:], strict=True):
                own = x + at_left + lane.axis
                start = (x + body.width, y + CARD[1] / 2)
                self.line((start, (own, start[1]), (own, y + top)), lane.word, look="fail")
                lane.place(x + at_left, y + top)
                if lane.goes:
                    low = y + top + lane.height
                    self.line(
                        ((own, low), (own, bottom), (axis, bottom)),
                        word,
                        has_arrow=False,
                    )
            if body.goes:
                ends = ((axis, y + body.height), (axis, bottom))
                self.line(ends, left[0], has_arrow=False)

        return Box(at - ACROSS, tall + tail, body.axis, place, goes, body.word)

    def _compensation(self, region: Compensation) -> Box:
        body = self._seq(region.body, at_end=self._at_end)
        promises = list(reversed(region.promises))
        if not promises:
            return body
        cards = [self._promise(each) for each in promises]
        column = self.stacked(cards)
        wide = body.width + ACROSS * 2 + column.width

        def place(x: float, y: float) -> None:
            body.place(x, y)
            self._undo(column, cards, x + body.width + ACROSS * 2, y)

        high = max(body.height, column.height)
        inside = Box(wide, high, body.axis, place, body.goes, body.word)
        inside = (
            replace(inside, height=high) if body.height >= high else _prolonged(self, inside, body)
        )
        return self._framed(region, "compensation", inside)

    def _promise(self, promise: Promise) -> Box:
        return self.card(promise, promise.label, "if this fails", "undo")

    def _undo(self, column: Box, cards: Sequence[Box], x: float, y: float) -> None:
        at = y
        for index, card in enumerate(cards):
            left = x + column.axis - card.axis
            card.place(left, at)
            if index < len(cards) - 1:
                low = at + card.height
                ends: tuple[Point, ...] = ((x + column.axis, low), (x + column.axis, low + DOWN))
                self.line(ends, "", look="undo")
            at += card.height + DOWN

    # --- words and lines ------------------------------------------------------------------------


_AHEAD: Final = frozenset(
    {
        "will-run",
        "expected",
        "maybe",
        "running",
        "retrying",
        "waiting",
        "task",
        "parked",
        "in-doubt",
    }
)


def _prolonged(layout: _Layout, box: Box, body: Box) -> Box:
    """A box whose way out stands below what stands beside it."""

    def place(x: float, y: float) -> None:
        box.place(x, y)
        if body.goes and body.height < box.height:
            ends = ((x + box.axis, y + body.height), (x + box.axis, y + box.height))
            layout.line(ends, "", has_arrow=False)

    return replace(box, place=place)


def _is_seen(region: Region) -> bool:
    return any(not isinstance(each, Seq | Pure | Choice | Promise) for each in walk(region))
