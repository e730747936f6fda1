"""Forecasts of what runs beside each other: `parallel`, races, groups, scopes and locks."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, cast

from newel.base.errors import Cancelled
from newel.drawing.binding import bound, is_known
from newel.drawing.labels import first_lower, in_words
from newel.drawing.names import UNKNOWN
from newel.drawing.placing import Place, Placing
from newel.drawing.plan import Planned
from newel.drawing.regions import Act, Group, Lock, Par, Race, Region, Seq, walk
from newel.drawing.regions import Scope as ScopeRegion
from newel.drawing.values import Known, Scope, parsed
from newel.drawing.ways import ON, Exit, Outs, Way, all_of, unsure

__all__ = ["Branching"]


class Branching(Placing):
    """Goes through branches; what may be decided before it ends is not sure to come."""

    @abstractmethod
    def walk(self, region: Region, scope: Scope, way: Way) -> Outs:
        """Go through a region on a way."""

    def par(self, region: Par, branches: tuple[Seq, ...], scope: Scope, way: Way) -> Outs:
        """All branches go as far as they can; their failures come together."""
        found = [self.walk(each, scope.copied(), way) for each in branches]
        bound(region.target, UNKNOWN, scope)
        self._gathered(region, branches, scope)
        outs = all_of(found)
        grouped = tuple(replace(each, is_group=True) for each in outs.exits)
        return replace(outs, exits=grouped)

    def _gathered(self, region: Par, branches: tuple[Seq, ...], scope: Scope) -> None:
        """Bind the results of branches that are single acts."""
        if not region.target.startswith("("):
            target = region.target
            values = tuple(self._result(each) for each in branches)
            if target and is_known(*values):
                bound(target, values, scope)
            return
        parts = cast("Any", parsed(region.target)).elts
        if len(parts) == len(branches):
            for part, branch in zip(parts, branches, strict=True):
                name = getattr(part, "id", "")
                if name:
                    scope.values[name] = self._result(branch)

    def _result(self, branch: Seq) -> object:
        if len(branch.kids) == 1 and isinstance(branch.kids[0], Act):
            return self.latest.get(branch.kids[0].id, UNKNOWN)
        return UNKNOWN

    def race(self, race: Race, scope: Scope, way: Way) -> Outs:
        """Before it is decided all branches run; afterwards it is as the journal has it."""
        key = self.key_of(race.pattern, race.item, scope)
        outcome = None if key is None else self.past.outcomes.get(key)
        if outcome is None:
            known = [each for each in self.left if key is None and race.pattern.matches(each)]
            outcome = self.past.outcomes.get(known[0]) if known else None
            self.left -= set(known)
        if outcome is not None:
            self.left.discard(key or "")
            line = Planned(node=race.id, key=key, label=race.label, state=outcome.word)
            self.line(race, key, line)
            return self._decided(race, outcome.names, outcome.error, scope, way)
        early = f"unless {self.races[-1]} is decided before" if self.races else ""
        decided = way.lowered("expected", early) if early else way
        line = Planned(node=race.id, key=key, label=race.label, forecast=decided.forecast,
                       reason=decided.reason)  # fmt: skip
        self.line(race, key, line)
        found = self._raced(race, scope, way)
        self.unfinished += 1
        bound(race.target, UNKNOWN, scope)
        exits = tuple(exit_ for outs in found for exit_ in outs.exits if exit_.verb == "raise")
        is_sure = not exits and not early
        return Outs(is_sure=is_sure, why=early or "unless it fails", exits=unsure(exits))

    def _raced(self, race: Race, scope: Scope, way: Way) -> list[Outs]:
        """Walk all branches; where one may end at once, the others may not begin."""
        name = f"“{first_lower(in_words(race.pattern.name))}”"
        self.races.append(name)
        found: list[Outs] = []
        own: list[set[Place]] = []
        for branch in race.branches:
            before = set(self.lines)
            found.append(self.walk(branch.kid, scope.copied(), way))
            own.append(set(self.lines) - before)
        self.races.pop()
        for places in own:
            if any(self.lines[each].state or self.lines[each].forecast == way.forecast
                   for each in places):  # fmt: skip
                continue
            for place in set().union(*own) - places:
                self.lowered(place, f"unless {name} is decided before")
        return found

    def _decided(
        self,
        race: Race,
        names: tuple[str, ...],
        error: BaseException | None,
        scope: Scope,
        way: Way,
    ) -> Outs:
        first = " and ".join(in_words(each) for each in names)
        for branch in race.branches:
            inner = scope.copied()
            if branch.name in names or race.losers == "finish" or race.need:
                self.walk(branch.kid, inner, way)
            else:
                lost = Way("not-needed", f"first of: “{first}” was first")
                self.walk(branch.kid, inner, lost)
        winners = [each.kid for each in race.branches if each.name in names[:1]]
        value = self._result(winners[0]) if winners else UNKNOWN
        won = {"name": names[0] if names else UNKNOWN, "value": value}
        bound(race.target, Known(won), scope)
        if error is None:
            return ON
        return Outs(goes=False, exits=(Exit("raise", (type(error),), why="it failed"),))

    def group(self, group: Group, scope: Scope, way: Way) -> Outs:
        """A body, beside what it adds; what may be ended early is not sure to end."""
        ends = any(
            isinstance(each, Act) and (each.verb in {"cancel", "complete"} or each.need)
            for each in walk(group.body)
        )
        said = f"“{in_words(group.name)}” is ended early"
        if ends:
            self.races.append(said)
        outs = self.walk(group.body, scope, way)
        if ends:
            self.races.pop()
        return outs

    def scope(self, region: ScopeRegion, scope: Scope, way: Way) -> Outs:
        """What stands inside may be cancelled, and control goes on behind it."""
        verb = f"{region.name}.cancel"
        if verb in self.past.outcomes:
            outs = self.walk(region.body, scope, Way("not-needed", f"{region.label}: cancelled"))
        else:
            can_end = any(
                isinstance(each, Act) and each.pattern.name == verb
                for each in walk(self.drawing.tree)
            )
            inner = way.lowered("expected", f"unless {first_lower(region.label)} is cancelled")
            outs = self.walk(region.body, scope, inner if can_end else way)
        return replace(outs, goes=True)

    def lock(self, lock: Lock, scope: Scope, way: Way) -> Outs:
        """The lock comes first, then what is done under it."""
        key = self.key_of(lock.pattern, lock.item, scope)
        found = None if key is None else self.past.outcomes.get(key) or self.past.open.get(key)
        line = Planned(node=lock.id, key=key, label=lock.label, forecast=way.forecast,
                       reason=way.reason)  # fmt: skip
        if found is not None:
            self.left.discard(key or "")
            line = replace(line, state=found.word, forecast=None, reason="")
        else:
            self.left -= {each for each in self.left if key is None and lock.pattern.matches(each)}
            self.unfinished += 1
        self.line(lock, key, line)
        if isinstance(getattr(found, "error", None), Cancelled):
            self.not_needed(lock.body, "it was withdrawn")
            return Outs(goes=False, exits=(Exit("cancelled"),))
        return self.walk(lock.body, scope, way)
