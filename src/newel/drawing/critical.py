"""The critical path: the longest row of steps that have to wait for each other.

What stands beside each other takes as long as the longest of it, so no run is faster than this
row, however much is done at once; shortening anything else gains nothing. It is counted in steps
and child runs. People and moments are no part of it: how long these take is not newel's to say.
Of a choice that is not decided yet the longest arm counts, and a loop whose passes nobody knows
counts once. Source: product document, §8 and §20.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from newel.drawing.regions import (
    Act,
    Choice,
    Each,
    Group,
    Guarded,
    Loop,
    Member,
    Par,
    Race,
    Region,
    Seq,
    exits,
    kids_of,
)

if TYPE_CHECKING:
    from newel.drawing.plan import Plan, Planned

__all__ = ["critical_path", "said"]

_WORK = frozenset({"step", "child"})
_OUT = frozenset({"not-needed"})
_LEAST = 2

Row = tuple["Planned", ...]


def critical_path(tree: Seq, plan: Plan) -> Row:
    """The lines of a plan that no run of it can be faster than, in their order."""
    return _Paths(plan).of(tree)


def said(row: Row) -> str:
    """A critical path in words; empty where nothing waits for anything."""
    if len(row) < _LEAST:
        return ""
    names = " → ".join(each.key or each.node for each in row)
    return f"The longest row has {len(row)} steps: {names}."


class _Paths:
    """Rows through regions, as far as the plan knows which ways are gone."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def of(self, region: Region, *, one_by_one: bool = False) -> Row:
        """The longest row of a region; one_by_one: whether many items come after each other."""
        match region:
            case Act():
                return self._act(region, one_by_one=one_by_one)
            case Seq(kids=kids):
                return self._sequence(kids, one_by_one=one_by_one)
            case Par() | Race():
                return _longest(self.of(each, one_by_one=one_by_one) for each in kids_of(region))
            case Choice():
                return self._choice(region, one_by_one=one_by_one)
            case Each(mode=mode, body=body):
                return self.of(body, one_by_one=one_by_one or mode == "seq")
            case Loop(test=test, body=body, orelse=orelse):
                return tuple(
                    line for each in (test, body, orelse) for line in self.of(each, one_by_one=True)
                )
            case Guarded(body=body, handlers=handlers, orelse=orelse, final=final):
                ends = [self.of(orelse, one_by_one=one_by_one)]
                ends += [self.of(each.kid, one_by_one=one_by_one) for each in handlers]
                first, last = (self.of(each, one_by_one=one_by_one) for each in (body, final))
                return (*first, *_longest(ends), *last)
            case Group(body=body):
                return self._group(body, one_by_one=one_by_one)
            case Member():
                return ()  # it runs beside what follows
            case _:
                return tuple(
                    line for kid in kids_of(region) for line in self.of(kid, one_by_one=one_by_one)
                )

    def _act(self, act: Act, *, one_by_one: bool) -> Row:
        if act.act not in _WORK:
            return ()
        lines = [each for each in self._plan.of(act.id) if each.forecast not in _OUT]
        return tuple(lines if one_by_one else lines[:1])

    def _sequence(self, kids: Iterable[Region], *, one_by_one: bool) -> Row:
        found: Row = ()
        for kid in kids:
            found += self.of(kid, one_by_one=one_by_one)
            if "next" not in exits(kid):
                break
        return found

    def _choice(self, choice: Choice, *, one_by_one: bool) -> Row:
        taken = self._plan.taken.get(choice.id)
        arms = choice.arms if taken is None else choice.arms[taken : taken + 1]
        return _longest(self.of(each.kid, one_by_one=one_by_one) for each in arms)

    def _group(self, body: Seq, *, one_by_one: bool) -> Row:
        """A member begins where it stands and is waited for at the end of the block."""
        before: Row = ()
        rows: list[Row] = []
        for kid in body.kids:
            if isinstance(kid, Member):
                rows.append(before + self.of(kid.kid, one_by_one=one_by_one))
            else:
                before += self.of(kid, one_by_one=one_by_one)
        return _longest([before, *rows])


def _longest(rows: Iterable[Row]) -> Row:
    """The first of the longest."""
    return max(rows, key=len, default=())
