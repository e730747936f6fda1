"""The picture as SVG: every card a link with visible text, its look in classes alone.

No `style` attribute stands anywhere, so that a page may forbid them. A file of its own carries its
stylesheet along; a page links it. The same picture always gives the same bytes. Source: drawing
document, §11.3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import Final
from urllib.parse import quote

from newel.drawing.boxes import LINE
from newel.drawing.lettering import legible
from newel.drawing.overlay import WORDS
from newel.drawing.picture import Card, Dot, Frame, Gate, Line, Picture, Pill, Point

__all__ = ["by_key", "by_opening", "mark", "stylesheet", "svg"]

_STYLESHEET: Final = "flow.css"
_CORNER: Final = 9.0
_ICONS: Final = {
    "step": "M9 18.4a3.4 3.4 0 1 0 0-6.8 3.4 3.4 0 0 0 0 6.8ZM11.5 12.6 18 6M15 9l2.6 2.6",
    "person": "M12 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM6 18c0-3.2 2.7-5 6-5s6 1.8 6 5",
    "moment": "M12 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM12 8.5V12l2.5 1.5",
    "message": "M5 7h14v10H5ZM5 7.5l7 5.5 7-5.5",
    "child": "M6 6h8v8H6ZM10 14v4h8v-8h-4",
    "mark": "M7 19V5h9l-2 3.5L16 12H7",
    "fold": "M6 8h12M6 12h12M6 16h7",
    "undo": "M9 7 5.5 10.5 9 14M5.5 10.5H14a4 4 0 0 1 0 8h-3",
}
_BADGES: Final = {
    "done": "M-4 0-1 3 4-3",
    "by-hand": "M-4 0-1 3 4-3",
    "skipped": "M-4-3 0 0-4 3M1-3 5 0 1 3",
    "failed": "M-3-3 3 3M3-3-3 3",
    "parked": "M0-4V1M0 3.4V3.6",
    "task": "M0-1a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM-4 4c0-2.2 1.8-3.4 4-3.4S4 1.8 4 4",
    "running": "M-3 0a3 3 0 1 1 3 3",
    "retrying": "M3-2.2a4 4 0 1 0 .8 3M3.4-4.4V-1.6H.6",
    "in-doubt": "M-2-2.4a2 2 0 1 1 2.4 2V1.6M.4 3.8V4",
    "waiting": "M0-4V0L3 1.6",
    "cancelled": "M-3.5 0h7",
}
_LIVE: Final = frozenset({"running", "retrying", "in-doubt", "task", "waiting", "parked"})
_DONE: Final = frozenset({"done", "by-hand", "skipped", "failed"})


@cache
def stylesheet() -> str:
    """The look of all pictures, for a page that holds them."""
    return resources.files("newel.drawing").joinpath(_STYLESHEET).read_text("utf-8")


def by_key(id_: str) -> str:
    """The address of a card, from the page that it stands on."""
    return f"?key={quote(id_, safe='')}"


def by_opening(id_: str) -> str:
    """The address at which a folded block is open."""
    return f"?open={quote(id_, safe='')}#drawing"


def mark(id_: str) -> str:
    """The id of a card in its document: short, stable, and never data."""
    return f"n-{hashlib.sha256(id_.encode()).hexdigest()[:10]}"


def svg(
    picture: Picture,
    title: str,
    *,
    is_alone: bool = True,
    href: Callable[[str], str] = by_key,
    unfold: Callable[[str], str] = by_opening,
    chosen: str = "",
    zoom: int = 0,
) -> str:
    """Write a picture; is_alone: as a file of its own, with its stylesheet inside.

    href: what a card links to, from its id; unfold: what a folded block does. chosen: the id of
    the card that is looked at. zoom: percent of its own size; 0: as its page likes it.
    """
    wide, high = _number(picture.width), _number(picture.height)
    across, down = (_number(each * (zoom or 100) / 100) for each in (picture.width, picture.height))
    size = f'viewBox="0 0 {wide} {high}" width="{across}" height="{down}"'
    look = "flow sized" if zoom else "flow"
    named = f'role="group" aria-label="{_said(title)}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" class="{look}" {size} {named}>', _ARROWS]
    if is_alone:
        lines += [
            f"<style>{stylesheet()}</style>",
            f'<rect class="paper" width="{wide}" height="{high}"/>',
        ]
    lines += [part for each in picture.frames for part in _frame(each)]
    lines += [_line(each) for each in picture.lines]
    for node in picture.nodes:
        match node:
            case Card():
                link = unfold if node.look == "fold" else href
                lines += _card(node, link(node.id), is_chosen=node.id == chosen)
            case Gate():
                lines += _gate(node)
            case Dot():
                lines += _dot(node)
            case Pill():
                lines += _pill(node)
    return "\n".join([*lines, "</svg>"]) + "\n"


_ARROWS: Final = (
    "<defs>"
    + "".join(
        f'<marker id="arrow-{look}" viewBox="0 0 8 8" refX="6.5" refY="4" markerWidth="7"'
        f' markerHeight="7" orient="auto"><path class="head {look}" d="M0 .8 7 4 0 7.2Z"/></marker>'
        for look in ("done", "live", "pending", "off", "fail")
    )
    + "</defs>"
)


def _card(card: Card, href: str, *, is_chosen: bool) -> Iterator[str]:
    classes = f"node k-{card.look} s-{card.word or 'plain'}"
    x, y = _number(card.x), _number(card.y)
    current = ' aria-current="true"' if is_chosen else ""
    yield f'<a id="{mark(card.id)}" class="{classes}" href="{_said(href)}"{current}>'
    yield f"<title>{_said(card.said)}</title>"
    if is_chosen:
        at = f'x="{_number(card.x - 4)}" y="{_number(card.y - 4)}"'
        size = f'width="{_number(card.width + 8)}" height="{_number(card.height + 8)}"'
        yield f'<rect class="halo" {at} {size} rx="13"/>'
    size = f'width="{_number(card.width)}" height="{_number(card.height)}" rx="10"'
    if card.is_many:
        yield f'<rect class="stack" x="{_number(card.x + 5)}" y="{_number(card.y + 5)}" {size}/>'
    yield f'<rect class="card" x="{x}" y="{y}" {size}/>'
    if card.look == "child":
        at = f'x="{_number(card.x + 3)}" y="{_number(card.y + 3)}"'
        inner = f'width="{_number(card.width - 6)}" height="{_number(card.height - 6)}"'
        yield f'<rect class="inner" {at} {inner} rx="7.5"/>'
    at = f'x="{_number(card.x + 8)}" y="{_number(card.y + 11)}"'
    yield f'<rect class="tile" {at} width="26" height="26" rx="7"/>'
    at = f'transform="translate({_number(card.x + 10.9)} {_number(card.y + 13.9)}) scale(.84)"'
    yield f'<path class="icon" {at} d="{_ICONS[card.look]}"/>'
    left, low = _number(card.x + 43), card.y + (21 if card.second else 28.5)
    for line in card.title:
        yield f'<text class="title" x="{left}" y="{_number(low)}">{_said(line)}</text>'
        low += LINE
    if card.second:
        second = f'x="{left}" y="{_number(low - 1)}"'
        yield f'<text class="second" {second}>{_said(card.second)}</text>'
    if card.word in _BADGES:
        at = f'transform="translate({_number(card.x + card.width - 11)} {_number(card.y - 1)})"'
        yield f'<g class="badge" {at}><circle r="9.5"/><path d="{_BADGES[card.word]}"/></g>'
    if card.word:
        yield f'<text class="hidden" x="{x}" y="{y}">{_said(WORDS[card.word])}</text>'
    yield "</a>"


def _gate(gate: Gate) -> Iterator[str]:
    x, y, wide, high = gate.x, gate.y, gate.width, gate.height
    points = [(x + 14, y), (x + wide - 14, y), (x + wide, y + high / 2), (x + wide - 14, y + high),
              (x + 14, y + high), (x, y + high / 2)]  # fmt: skip
    shape = " ".join(f"{_number(a)},{_number(b)}" for a, b in points)
    yield f'<g class="gate s-{gate.word or "plain"}"><polygon points="{shape}"/>'
    at = f'x="{_number(x + wide / 2)}" y="{_number(y + high / 2 + 4)}"'
    yield f"<text {at}>{_said(gate.text)}</text></g>"


def _dot(dot: Dot) -> Iterator[str]:
    x, y = _number(dot.x), _number(dot.y)
    yield f'<g class="dot d-{dot.look} s-{dot.word or "plain"}">'
    yield f'<circle cx="{x}" cy="{y}" r="{_number(dot.radius)}"/>'
    if dot.look == "start":
        yield f'<path d="M{_number(dot.x - 3)} {_number(dot.y - 4.5)}l7.5 4.5-7.5 4.5Z"/>'
    elif dot.look in {"end", "fails"}:
        half = dot.radius / 3
        yield (f'<rect x="{_number(dot.x - half)}" y="{_number(dot.y - half)}"'
               f' width="{_number(2 * half)}" height="{_number(2 * half)}" rx="1"/>')  # fmt: skip
    if dot.text and dot.look != "start":
        at = f'x="{_number(dot.x + dot.radius + 6)}" y="{_number(dot.y + 4)}"'
        yield f"<text {at}>{_said(dot.text)}</text>"
    yield "</g>"


def _pill(pill: Pill) -> Iterator[str]:
    x, y = _number(pill.x), _number(pill.y)
    yield f'<g class="pill s-{pill.word or "plain"}">'
    yield f'<rect x="{x}" y="{y}" width="{_number(pill.width)}" height="20" rx="10"/>'
    at = f'x="{_number(pill.x + pill.width / 2)}" y="{_number(pill.y + 14)}"'
    yield f"<text {at}>{_said(pill.text)}</text></g>"


def _frame(frame: Frame) -> Iterator[str]:
    x, y, wide = _number(frame.x), _number(frame.y), _number(frame.width)
    yield f'<g class="frame f-{frame.look} s-{frame.word or "plain"}">'
    size = f'width="{wide}" height="{_number(frame.height)}" rx="10"'
    yield f'<rect class="box" x="{x}" y="{y}" {size}/>'
    if frame.look != "call":
        right, top, low = frame.x + frame.width, frame.y + 10, _number(frame.y + 32)
        band = f"M{x} {low}V{_number(top)}q0-10 10-10H{_number(right - 10)}q10 0 10 10V{low}Z"
        yield f'<path class="band" d="{band}"/>'
        yield f'<path class="rule" d="M{x} {low}H{_number(right)}"/>'
    at = f'x="{_number(frame.x + 14)}" y="{_number(frame.y + 20.5)}"'
    yield f'<text class="name" {at}>{_said(frame.title)}</text>'
    if frame.counter:
        at = f'x="{_number(frame.x + frame.width - 14)}" y="{_number(frame.y + 20.5)}"'
        yield f'<text class="counter" {at}>{_said(frame.counter)}</text>'
    yield "</g>"


def _line(line: Line) -> str:
    look = _look(line.word)
    kind = line.look if line.look != "flow" else look
    arrow = ""
    if line.has_arrow:
        fails = line.look == "fail" and look != "off"
        arrow = f' marker-end="url(#arrow-{"fail" if fails else look})"'
    return f'<path class="edge {look} e-{kind}" d="{_path(line.points)}"{arrow}/>'


def _look(word: str) -> str:
    if word in _DONE:
        return "done"
    if word in _LIVE:
        return "live"
    return "off" if word in {"not-needed", "cancelled"} else "pending"


def _path(points: Sequence[Point]) -> str:
    """A line whose corners are round."""
    first, *rest = points
    parts = [f"M{_number(first[0])} {_number(first[1])}"]
    for index, at in enumerate(rest):
        if index == len(rest) - 1:
            parts.append(f"L{_number(at[0])} {_number(at[1])}")
            continue
        before, after = points[index], rest[index + 1]
        one, two = _towards(at, before), _towards(at, after)
        parts.append(f"L{_number(one[0])} {_number(one[1])}Q{_number(at[0])} {_number(at[1])}"
                     f" {_number(two[0])} {_number(two[1])}")  # fmt: skip
    return "".join(parts)


def _towards(at: Point, other: Point) -> Point:
    """A point near a corner, on the way to another."""
    far = abs(other[0] - at[0]) + abs(other[1] - at[1])
    step = min(_CORNER, far / 2) / far if far else 0.0
    return at[0] + (other[0] - at[0]) * step, at[1] + (other[1] - at[1]) * step


def _number(value: float) -> str:
    return f"{round(value, 1):g}"


def _said(text: str) -> str:
    return escape(legible(text), quote=True)
