"""Rule K: the patterns of all acts of a process are pairwise disjoint.

With it, finding the act of a key is a look-up for every run and for ever, and no drawing has to
guess. The other rules of keys keep an act's identity from hanging on an order that may change.
Source: drawing document, §2.3.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from newel.base.findings import Finding
from newel.domain.patterns import ANY, Pattern
from newel.drawing.regions import Promise, Race, Where
from newel.drawing.rules import found
from newel.drawing.state import Placed, Round

__all__ = ["of_keys"]

_PERSONAL: Final = re.compile(
    r"(^|[._])(e?mail|work_email|first_name|last_name|full_name|phone|salary|birthday|address)$"
)


def of_keys(placed: Sequence[Placed]) -> Iterator[Finding]:
    """What is wrong with the keys of a process."""
    yield from _twice(placed)
    for each in placed:
        yield from _repeated(each)
        yield from _item(each)
    yield from _former(placed)


def _twice(placed: Sequence[Placed]) -> Iterator[Finding]:
    by_shape: dict[tuple[int, str, bool], list[Placed]] = defaultdict(list)
    open_: dict[tuple[int, str, bool], list[Placed]] = defaultdict(list)
    seen: dict[Pattern, Placed] = {}
    for each in placed:
        pattern = each.region.pattern
        shape = pattern.shape
        others = by_shape[shape]
        is_open = ANY in str(pattern)
        if not is_open:  # it can only meet itself, or one of which a part is not known
            others = [*open_[shape], *([seen[pattern]] if pattern in seen else [])]
        for other in others:
            if other.region.pattern.overlaps(pattern):
                yield _shared(other, each)
                break
        by_shape[shape].append(each)
        if is_open:
            open_[shape].append(each)
        seen.setdefault(pattern, each)


def _shared(one: Placed, other: Placed) -> Finding:
    here, there = _apart(one, other)
    pattern = one.region.pattern
    name = str(pattern) if str(pattern) == str(other.region.pattern) else pattern.name
    places = f"line {here.line} and line {there.line}"
    if here.module != there.module:
        places = f"{here} and {there}"
    what = f"`{name}` is used at {places}: one key, two places."
    fix = '`with section("…"):` around one of them.'
    if other.called:
        fix = f'`{pattern.name}["…"](…)`, or {fix}'
    return found("F301", there, what, fix)


def _apart(one: Placed, other: Placed) -> tuple[Where, Where]:
    """Where the ways to two acts part: the acts themselves, or the calls of their helper."""
    ways = zip((*one.chain, one.region.where), (*other.chain, other.region.where), strict=False)
    same = one.region.where
    return next(((here, there) for here, there in ways if here != there), (same, same))


def _repeated(each: Placed) -> Iterator[Finding]:
    """F302 and F303: an act that something around repeats needs an item of its own."""
    region = each.region
    where = each.chain[0] if each.chain and not each.rounds[-1:] else region.where
    pattern = region.pattern
    for around in reversed(each.rounds):
        if around.kind == "beside" and around.id not in each.varies:
            what = f"The branches of this fan-out share the key `{pattern}`."
            yield found("F302", where, what, _with_item(each, around))
            return
        if around.kind == "grows" and not _is_computed(pattern):
            what = f"Members that are added in a loop share the key `{pattern}`."
            yield found("F302", where, what, _with_item(each, around))
            return
        if around.kind == "data":
            if around.id not in each.varies and not isinstance(region, Promise | Race):
                what = f"Loop over `{around.source}` without an item: positions become identity."
                yield found("F303", where, what, _with_item(each, around))
            return
        if around.kind in {"beside", "count"}:
            return


def _is_computed(pattern: Pattern) -> bool:
    return pattern.item == ANY or ANY in pattern.labels


def _with_item(each: Placed, around: Round) -> str:
    name = each.region.pattern.name
    if each.called and around.target.isidentifier():
        item = around.target
        with_item = each.called.replace("(", f"[{item}](", 1)
        return f"`{with_item}`, or an id of `{item}` in the brackets, or a section."
    return f"`{name}[…](…)` with what tells the items of `{around.source}` apart, or a section."


def _item(each: Placed) -> Iterator[Finding]:
    if each.is_position:
        what = f"The item `{each.item}` is a position: it changes when the order does."
        yield found("F305", each.region.where, what, "an id that stays.")
    if _PERSONAL.search(each.item):
        what = f"The item `{each.item}` looks personal, and keys stand in the audit log in clear."
        yield found("F306", each.region.where, what, "the id of the system, or `person.ref`.")


def _former(placed: Sequence[Placed]) -> Iterator[Finding]:
    names: dict[str, Placed] = {str(each.region.pattern): each for each in placed}
    for each in placed:
        for name in getattr(each.region, "formerly", ()):
            other = names.get(name)
            if other is not None and other is not each:
                what = f"`formerly=` names `{name}`, which line {other.region.where.line} uses."
                fix = "take the name out of `formerly=`, or give the other act a new key."
                yield found("F307", each.region.where, what, fix)
