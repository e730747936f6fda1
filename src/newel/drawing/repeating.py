"""Forecasts of what comes again: loops, and one for each of many."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, cast

from newel.drawing.binding import bound
from newel.drawing.names import UNKNOWN
from newel.drawing.placing import Placing
from newel.drawing.regions import Each, Loop, Region, acts_of
from newel.drawing.values import Scope, truth, value_of
from newel.drawing.ways import ON, Exit, Outs, Way, all_of, leaving, next_one, unsure

__all__ = ["Repeating"]

_PASSES: Final = 10_000


class Repeating(Placing):
    """Goes through what is repeated, as often as it is known to be."""

    @abstractmethod
    def walk(self, region: Region, scope: Scope, way: Way) -> Outs:
        """Go through a region on a way."""

    def loop(self, loop: Loop, scope: Scope, way: Way) -> Outs:
        """Pass after pass as far as it is known, then one that may come."""
        exits: list[Exit] = []
        items = self._items(loop.over, scope) if loop.over else None
        for number in range(_PASSES):
            before = self.unfinished
            tested = self.walk(loop.test, scope, way)
            exits += tested.exits
            if not tested.goes:
                return Outs(False, exits=tuple(exits))
            known = self._goes_round(loop, items, number, scope)
            if known is False:
                return self._left_loop(loop, scope, way, exits)
            if loop.over:
                at = items[number] if items is not None and number < len(items) else UNKNOWN
                bound(loop.target, at, scope)
            is_sure = known is True or self.is_evident(loop.body)
            if not is_sure:
                for name in loop.stores:
                    scope.values[name] = UNKNOWN
            on = way if is_sure else way.lowered("maybe", "only if the loop goes round")
            self.looping += 1
            body = self.walk(loop.body, scope, on)
            self.looping -= 1
            leaves = [each for each in body.exits if each.verb not in {"continue", "break"}]
            exits += [each if is_sure else replace(each, is_sure=False) for each in leaves]
            breaks = [each for each in body.exits if each.verb == "break"]
            goes_round = body.goes or any(each.verb == "continue" for each in body.exits)
            if is_sure and not goes_round:
                self.not_needed(loop.body, "the loop has ended")
                if not breaks:
                    return Outs(goes=False, exits=tuple(exits))
                self.not_needed(loop.orelse, "the loop was left early")
                return leaving(exits)
            if not is_sure or self.unfinished > before or not any(acts_of(loop.body)):
                break
        for name in loop.stores:
            scope.values[name] = UNKNOWN
        if loop.orelse.kids:
            self.walk(loop.orelse, scope.copied(), way.lowered("maybe", "only if it is not left"))
        return leaving(exits)

    def _goes_round(
        self, loop: Loop, items: list[object] | None, number: int, scope: Scope
    ) -> object:
        if loop.over:
            return UNKNOWN if items is None else number < len(items)
        return True if loop.condition is None else truth(value_of(loop.condition, scope))

    def _left_loop(self, loop: Loop, scope: Scope, way: Way, exits: list[Exit]) -> Outs:
        self.not_needed(loop.body, "the loop has ended")
        outs = self.walk(loop.orelse, scope, way)
        return replace(outs, exits=(*exits, *outs.exits))

    def each(self, each: Each, scope: Scope, way: Way) -> Outs:
        """One for each item; a single line where the items are not known."""
        items = self._items(each.over, scope)
        if items is None:
            inner = scope.copied() if each.mode == "par" else scope
            bound(each.target, UNKNOWN, inner)
            for name in each.stores:
                inner.values[name] = UNKNOWN
            said = f"number not known yet: {_many(each)}"
            outs = next_one(self.walk(each.body, inner, way.lowered("maybe", said)))
            return replace(outs, goes=True, exits=unsure(outs.exits))
        found: list[Outs] = []
        count = 0
        for item in items:
            inner = scope.copied() if each.mode == "par" else scope
            bound(each.target, item, inner)
            if each.test and truth(value_of(each.test, inner)) is False:
                continue
            count += 1
            found.append(next_one(self.walk(each.body, inner, way)))
        if not count:
            self.not_needed(each.body, f"none: {_many(each)}")
            return ON
        return all_of(found)

    def _items(self, source: str, scope: Scope) -> list[object] | None:
        found = value_of(source, scope)
        if isinstance(found, tuple | list | dict | range) and len(found) <= _PASSES:
            return list(cast("Iterable[object]", found))
        return None


def _many(each: Each) -> str:
    """What there is one for each of, in words."""
    return each.label.removeprefix("For each of ").removeprefix("For each ")
