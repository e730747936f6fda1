"""The drawing in words: the same tree as an ordered list, for people without the picture.

It holds exactly what the picture holds, in the order of the source: each act with what it is, who
does it, when it is due, and its key. Source: drawing document, §13.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from newel.drawing.labels import capital, first_lower, in_words
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
    Race,
    Raise,
    Region,
    Rest,
    Return,
    Scope,
    Section,
    Seq,
)

__all__ = ["Line", "lines", "outline"]

_END: Final = "- It ends"
_KINDS: Final = {
    "approval": "decision",
    "form": "work of a person",
    "timer": "moment",
    "event": "message",
    "child": "run of its own, waited for",
    "spawn": "run of its own, not waited for",
    "mark": "mark",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line. depth: how many lists it stands in. id: of the part of the drawing, or empty."""

    depth: int
    text: str
    id: str = ""


def outline(tree: Seq, said: Mapping[str, str] | None = None) -> str:
    """Write a drawing as a nested list; said: what is known of its parts, by id."""
    known = said or {}
    written: list[str] = []
    for line in lines(tree):
        told = known.get(line.id, "")
        written.append("  " * line.depth + line.text + (f" — {told}" if told else ""))
    return "\n".join(written) + "\n"


def lines(region: Region, depth: int = 0) -> Iterator[Line]:
    """The lines of a region, in the order of the source."""
    match region:
        case Seq(kids=kids):
            for kid in kids:
                yield from lines(kid, depth)
        case Act():
            yield Line(depth, f"- {region.label} ({_about(region)}) `{region.pattern}`", region.id)
        case Promise():
            said = f"- From here on, if it fails: {first_lower(region.label)} `{region.pattern}`"
            yield Line(depth, said, region.id)
        case Rest() | Again():
            yield Line(depth, f"- {region.label}", region.id)
        case Return() | Raise() | Jump():
            yield Line(depth, f"- {_leaving(region)}", region.id)
        case _:
            yield from _block(region, depth)


def _block(region: Region, depth: int) -> Iterator[Line]:
    match region:
        case Choice(arms=arms):
            yield Line(depth, f"- {region.label}", region.id)
            for arm in arms:
                yield from _titled(f"{arm.label}:", arm.kid, depth + 1)
        case Guarded():
            yield from _guarded(region, depth)
        case Par(branches=branches):
            yield Line(depth, "- All at the same time:", region.id)
            for branch in branches:
                yield from _titled("branch:", branch, depth + 1)
        case Race(branches=racing):
            rest = "the others finish" if region.losers == "finish" else "the others are withdrawn"
            said = f"- {region.label}, {rest} `{region.pattern}`"
            yield Line(depth, said, region.id)
            for each in racing:
                yield from _titled(f"{in_words(each.name)}:", each.kid, depth + 1)
        case Loop():
            yield Line(depth, f"- {region.label}, again and again:", region.id)
            yield from lines(region.test, depth + 1)
            yield from lines(region.body, depth + 1)
            if region.orelse.kids:
                yield from _titled("if it was not left early:", region.orelse, depth)
        case _:
            yield from _framed(region, depth)


def _framed(region: Region, depth: int) -> Iterator[Line]:
    """A title and one list below it."""
    match region:
        case Each(mode=mode, body=body):
            order = "one after another" if mode == "seq" else "all at the same time"
            said, inside = f"{region.label}, {order}", body
        case Group(body=body):
            said, inside = f"{region.label}, which grows while it runs", body
        case Member(kid=kid):
            said, inside = "Beside what follows", kid
        case Scope(body=body):
            said, inside = f"{region.label}, which can be cancelled", body
        case Lock(body=body, pattern=pattern):
            said, inside = f"{region.label}, one at a time `{pattern}`", body
        case Compensation(body=body):
            said, inside = "Put back if it fails", body
        case Call(kid=kid) | Section(kid=kid):
            said, inside = region.label, kid
        case _:  # a computation
            return
    yield Line(depth, f"- {said}:", region.id)
    for line in lines(inside, depth + 1):
        is_end = isinstance(region, Call) and line.text == _END
        yield replace(line, text="- This part ends") if is_end else line


def _guarded(region: Guarded, depth: int) -> Iterator[Line]:
    yield from lines(region.body, depth)
    yield from lines(region.orelse, depth)
    for handler in region.handlers:
        yield from _titled(f"{handler.label}:", handler.kid, depth)
    if region.final.kids:
        yield from _titled("always:", region.final, depth)


def _titled(title: str, inside: Seq, depth: int) -> Iterator[Line]:
    within = list(lines(inside, depth + 1))
    yield Line(depth, f"- {capital(title)}" if within else f"- {capital(title)} nothing")
    yield from within


def _leaving(region: Return | Raise | Jump) -> str:
    match region:
        case Return(label=label):
            return _END.removeprefix("- ") if label == "Done" else f"It ends: {label}"
        case Raise(label=label):
            return label
        case Jump(verb="break"):
            return "It leaves the loop"
        case _:
            return "It goes round again"


def _about(act: Act) -> str:
    """What an act is, who does it, and when it is due."""
    parts = [_KINDS.get(act.act, "step")]
    if act.by:
        parts.append(f"by {act.by}")
    parts += [f"{word} {said}" for word in ("within", "after", "at") if (said := _when(act, word))]
    if act.act == "event" and not act.is_buffered:
        parts.append("not kept")
    return ", ".join(parts)


def _when(act: Act, word: str) -> str:
    return str(getattr(act, word))
