"""How a plan is made: the region tree is walked as the body would go, as far as that is known.

Each region takes the way on which control comes to it, and says how it comes out (`ways`). Claims
of keys are counted as the runtime counts them, so that what the journal holds is met where it
belongs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import FunctionType
from typing import Any, Final, cast

from newel.base.errors import Cancelled, Overdue
from newel.domain.patterns import ANY
from newel.drawing.binding import bound, defaults, fits, is_known, joined
from newel.drawing.drawing import Drawing
from newel.drawing.labels import first_lower, in_words
from newel.drawing.names import UNKNOWN, Names
from newel.drawing.placing import Place, Placing, as_part
from newel.drawing.plan import Past, Plan, Planned
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
    Kind,
    Lock,
    Loop,
    Member,
    Par,
    Promise,
    Pure,
    Race,
    Raise,
    Region,
    Return,
    Section,
    Seq,
    acts_of,
    walk,
)
from newel.drawing.regions import (
    Scope as ScopeRegion,
)
from newel.drawing.values import Known, Scope, parsed, truth, value_of
from newel.drawing.ways import (
    ON,
    Exit,
    Outs,
    Way,
    all_of,
    catches,
    either,
    leaving,
    next_one,
    of_code,
    unsure,
)

__all__ = ["Forecaster"]

_PASSES: Final = 10_000
_DEEP: Final = 60


class Forecaster(Placing):
    """Makes the plan of one run."""

    def __init__(self, drawing: Drawing, past: Past) -> None:
        super().__init__(drawing, past)
        self._frames: dict[str, Call] = {}
        self._depth = 0
        self._races: list[str] = []
        self._arms: dict[str, int] = {}

    def plan(self) -> Plan:
        """Walk the process."""
        function = self.drawing.process.function
        scope = Scope(Names.of(cast("FunctionType", function)), dict(self.past.arguments))
        self.walk(self.drawing.tree, scope, Way())
        elsewhere = self.rest()
        if self.past.ended:
            self.over(self.past.ended)
        order = {each.id: number for number, each in enumerate(walk(self.drawing.tree))}
        lines = sorted(self.lines.values(), key=lambda each: order.get(each.node, 0))
        return Plan(lines=tuple(lines), elsewhere=elsewhere, taken=self._arms)

    # --- regions ------------------------------------------------------------------------------

    def walk(self, region: Region, scope: Scope, way: Way) -> Outs:
        """Go through a region on a way."""
        match region:
            case Seq(kids=kids):
                return self._seq(kids, scope, way)
            case Act():
                return self._act(region, scope, way)
            case Promise():
                return self._promise(region)
            case Choice():
                return self._choice(region, scope, way)
            case Loop():
                return self._loop(region, scope, way)
            case Each():
                return self._each(region, scope, way)
            case Par(branches=branches):
                return self._par(region, branches, scope, way)
            case Race():
                return self._race(region, scope, way)
            case Guarded():
                return self._guarded(region, scope, way)
            case Call():
                return self._call(region, scope, way)
            case Again():
                return self._again(region, scope, way)
            case Section():
                return self._section(region, scope, way)
            case Lock():
                return self._lock(region, scope, way)
            case Group():
                return self._group(region, scope, way)
            case ScopeRegion():
                return self._scope(region, scope, way)
            case Member(kid=kid):
                return replace(self.walk(kid, scope.copied(), way), goes=True, is_sure=True)
            case Compensation(body=body):
                return self.walk(body, scope, way)
            case _:
                return self._plain(region, scope)

    def _plain(self, region: Region, scope: Scope) -> Outs:
        match region:
            case Return(value=value):
                known = None if not value else value_of(value, scope)
                return Outs(goes=False, exits=(Exit("return", value=known, why="it ends early"),))
            case Raise(type=kind, label=label):
                kinds = (kind or Exception,)
                return Outs(
                    goes=False, exits=(Exit("raise", kinds, why=f"unless it {first_lower(label)}"),)
                )
            case Jump(verb=verb):
                return Outs(goes=False, exits=(Exit(verb),))
            case Pure(targets=targets, value=source):
                known = value_of(source, scope) if source else UNKNOWN
                for target in targets:
                    bound(target, known, scope)
                return ON
            case _:
                return ON

    def _seq(self, kids: tuple[Region, ...], scope: Scope, way: Way) -> Outs:
        exits: list[Exit] = []
        is_sure, why = True, ""
        for index, kid in enumerate(kids):
            outs = self.walk(kid, scope, way)
            exits += outs.exits
            if not outs.goes:
                said = next((each.why for each in outs.exits if each.why), "it ended before")
                for rest in kids[index + 1 :]:
                    self.not_needed(rest, said)
                return Outs(False, is_sure, why, tuple(exits))
            if not outs.is_sure:
                is_sure, why = False, outs.why
                way = way.lowered("expected", outs.why)
        return Outs(True, is_sure, why, tuple(exits))

    # --- acts ---------------------------------------------------------------------------------

    def _act(self, act: Act, scope: Scope, way: Way) -> Outs:
        key = self.key_of(act.pattern, act.item, scope)
        outcome = None if key is None else self.past.outcomes.get(key)
        if key is None and (outs := self.met(act)) is not None:
            bound(act.target, UNKNOWN, scope)
            return outs
        if outcome is None:
            return self._unbegun(act, key, scope, way)
        self.left.discard(cast("str", key))
        word = outcome.word
        self.line(act, key, Planned(node=act.id, key=key, label=act.label, state=word))
        self.latest[act.id] = outcome.value
        if outcome.error is None:
            bound(act.target, outcome.value, scope)
            scope.awaited[act.call] = outcome.value
            return ON
        if isinstance(outcome.error, Cancelled):
            return Outs(goes=False, exits=(Exit("cancelled", why="it was withdrawn"),))
        why = f"{act.label}: {type(outcome.error).__name__}"
        return Outs(goes=False, exits=(Exit("raise", (type(outcome.error),), why=why),))

    def _unbegun(self, act: Act, key: str | None, scope: Scope, way: Way) -> Outs:
        """An act without an outcome: it is open, or it has not begun."""
        self.unfinished += 1
        self.latest[act.id] = UNKNOWN
        bound(act.target, UNKNOWN, scope)
        scope.awaited.pop(act.call, None)
        now = None if key is None else self.past.open.get(key)
        line = Planned(node=act.id, key=key, label=act.label, forecast=way.forecast,
                       reason=way.reason, due=self._due(act, scope))  # fmt: skip
        if now is not None:
            self.left.discard(cast("str", key))
            line = replace(line, state=now.word, forecast=None, reason=now.said, due=now.due)
        self.line(act, key, line)
        exits = tuple(
            Exit("raise", (kind,), is_sure=False, why=_unless(act, kind)) for kind in act.raises
        )
        if self._races:
            return Outs(
                is_sure=False, why=f"unless {self._races[-1]} is decided before", exits=exits
            )
        return Outs(is_sure=not exits, why=exits[0].why if exits else "", exits=exits)

    def _due(self, act: Act, scope: Scope) -> Any:  # Any: a moment, or None
        if act.act != "timer" or not act.at:
            return None
        found = value_of(act.at, scope)
        return found if hasattr(found, "tzinfo") else None

    def _promise(self, promise: Promise) -> Outs:
        key = str(promise.pattern)
        known = next((each for each in sorted(self.left) if promise.pattern.matches(each)), None)
        self.left -= {each for each in self.left if promise.pattern.matches(each)}
        line = Planned(node=promise.id, key=key, label=promise.label, forecast="maybe",
                       reason="only if it fails or is cancelled")  # fmt: skip
        if known is not None:
            outcome, now = self.past.outcomes.get(known), self.past.open.get(known)
            word = outcome.word if outcome is not None else now.word if now is not None else ""
            line = Planned(node=promise.id, key=known, label=promise.label, state=word)
        self.line(promise, line.key, line)
        return ON

    # --- choices and loops --------------------------------------------------------------------

    def _choice(self, choice: Choice, scope: Scope, way: Way) -> Outs:
        taken = self._taken(choice, scope)
        self._arms.pop(choice.id, None)
        if taken is not None:
            self._arms[choice.id] = taken
            said = f"{choice.label} {choice.arms[taken].label}"
            outs = ON
            for index, arm in enumerate(choice.arms):
                if index == taken:
                    outs = self.walk(arm.kid, scope, way)
            for index, arm in enumerate(choice.arms):
                if index != taken:
                    self.not_needed(arm.kid, said)
            return outs
        asked = first_lower(choice.label)
        maybe = way.lowered("maybe", f"depends on: {asked}")
        scopes = [scope.copied() for _ in choice.arms]
        found = [
            self.walk(arm.kid, inner, maybe) for arm, inner in zip(choice.arms, scopes, strict=True)
        ]
        joined(scope, [each for each, outs in zip(scopes, found, strict=True) if outs.goes])
        return either(found, f"unless it ends early: {asked}")

    def _taken(self, choice: Choice, scope: Scope) -> int | None:
        """The arm that is taken; None where it cannot be told."""
        subject = value_of(choice.subject, scope) if choice.subject else UNKNOWN
        is_open = False
        for index, arm in enumerate(choice.arms):
            known: object = True
            if arm.condition is not None:
                known = (
                    fits(arm.condition, subject, scope)
                    if choice.subject
                    else truth(value_of(arm.condition, scope))
                )
            if known is UNKNOWN:
                is_open = True
            elif known and not is_open:
                return index
        evident = [index for index, arm in enumerate(choice.arms) if self.is_evident(arm.kid)]
        return evident[0] if len(evident) == 1 else None

    def _loop(self, loop: Loop, scope: Scope, way: Way) -> Outs:
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

    def _each(self, each: Each, scope: Scope, way: Way) -> Outs:
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

    # --- branches -----------------------------------------------------------------------------

    def _par(self, region: Par, branches: tuple[Seq, ...], scope: Scope, way: Way) -> Outs:
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

    def _race(self, race: Race, scope: Scope, way: Way) -> Outs:
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
        early = f"unless {self._races[-1]} is decided before" if self._races else ""
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
        self._races.append(name)
        found: list[Outs] = []
        own: list[set[Place]] = []
        for branch in race.branches:
            before = set(self.lines)
            found.append(self.walk(branch.kid, scope.copied(), way))
            own.append(set(self.lines) - before)
        self._races.pop()
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

    def _group(self, group: Group, scope: Scope, way: Way) -> Outs:
        ends = any(
            isinstance(each, Act) and (each.verb in {"cancel", "complete"} or each.need)
            for each in walk(group.body)
        )
        said = f"“{in_words(group.name)}” is ended early"
        if ends:
            self._races.append(said)
        outs = self.walk(group.body, scope, way)
        if ends:
            self._races.pop()
        return outs

    def _scope(self, region: ScopeRegion, scope: Scope, way: Way) -> Outs:
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

    def _lock(self, lock: Lock, scope: Scope, way: Way) -> Outs:
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

    # --- calls and failures -------------------------------------------------------------------

    def _call(self, call: Call, scope: Scope, way: Way) -> Outs:
        self._frames[call.id] = call
        value, outs = self._framed(call, dict(call.arguments), scope, way)
        bound(call.target, value, scope)
        scope.awaited[call.call] = value
        return outs

    def _framed(
        self, call: Call, arguments: Mapping[str, str], scope: Scope, way: Way
    ) -> tuple[object, Outs]:
        function = cast("Any", getattr(call.live, "__func__", call.live))
        names = Names.of(function)
        values: dict[str, object] = dict(defaults(function))
        if call.live is not function and names.locals:
            values[function.__code__.co_varnames[0]] = cast("Any", call.live).__self__
        values |= {name: value_of(source, scope) for name, source in arguments.items()}
        inner = scope.inner(names, values)
        outs = self.walk(call.kid, inner, way)
        returns = [each for each in outs.exits if each.verb == "return"]
        rest = tuple(each for each in outs.exits if each.verb != "return")
        ways = len(returns) + outs.goes
        value = returns[0].value if ways == 1 and returns else (None if not returns else UNKNOWN)
        is_sure = not any(each.verb == "raise" for each in rest) and (outs.is_sure or bool(returns))
        if self._races:
            is_sure = is_sure and outs.is_sure
        why = outs.why or next((each.why for each in rest if each.why), "")
        return value, Outs(bool(ways), is_sure, why, rest)

    def _again(self, again: Again, scope: Scope, way: Way) -> Outs:
        call = self._frames.get(again.frame)
        if call is not None and self._depth < _DEEP and self.is_evident(call.kid):
            self._depth += 1
            _, outs = self._framed(call, dict(again.arguments), scope, way)
            self._depth -= 1
            return outs
        line = Planned(node=again.id, key=None, label=again.label, forecast="maybe",
                       reason="only if it goes round again")  # fmt: skip
        self.line(again, None, line)
        self.unfinished += 1
        return ON

    def _section(self, section: Section, scope: Scope, way: Way) -> Outs:
        label = section.prefix
        if ANY in label:
            label = as_part(value_of(section.source, scope)) or ANY
        self.labels.append(label)
        outs = self.walk(section.kid, scope, way)
        self.labels.pop()
        return outs

    def _guarded(self, region: Guarded, scope: Scope, way: Way) -> Outs:
        body = self.walk(region.body, scope, way)
        outs = body
        if body.goes and region.orelse.kids:
            later = self.walk(region.orelse, scope, way if body.is_sure else way.lowered(
                "expected", body.why))  # fmt: skip
            outs = replace(later, exits=(*body.exits, *later.exits),
                           is_sure=body.is_sure and later.is_sure)  # fmt: skip
        elif region.orelse.kids:
            self.not_needed(region.orelse, "it failed before")
        outs = self._handled(region, outs, scope, way)
        if region.final.kids:
            final = self.walk(region.final, scope, way)
            outs = replace(outs, exits=(*outs.exits, *final.exits), goes=outs.goes and final.goes)
        return outs

    def _handled(self, region: Guarded, outs: Outs, scope: Scope, way: Way) -> Outs:
        left = list(outs.exits)
        found = [replace(outs, exits=())] if outs.goes else []
        is_thrown = False
        for handler in region.handlers:
            taken = [each for each in left if each.verb == "raise" and catches(handler, each)]
            left = [each for each in left if each not in taken]
            is_evident = not outs.goes and any(each.is_sure for each in taken)
            if is_evident or (not taken and self.is_evident(handler.kid)):
                is_thrown = True
                found.append(self.walk(handler.kid, scope, way))
            elif taken or (outs.goes and of_code(handler) and self.unfinished):
                on = way.lowered("maybe", f"only {first_lower(handler.label)}")
                caught = self.walk(handler.kid, scope.copied(), on)
                found.append(replace(caught, exits=unsure(caught.exits)))
            else:
                self.not_needed(handler.kid, f"only {first_lower(handler.label)}")
        if not found:
            return replace(outs, exits=tuple(left))
        exits = (*left, *(exit_ for each in found for exit_ in each.exits))
        if is_thrown:
            return replace(found[-1], exits=exits)
        all_go = all(each.goes for each in found)
        raised = any(each.verb in {"raise", "return"} for each in exits)
        is_sure = all_go and not raised and all(
            each.is_sure for each in found[1:]) and (outs.is_sure or bool(outs.exits))  # fmt: skip
        why = next((each.why for each in exits if each.why), outs.why)
        if self._races:
            is_sure = is_sure and outs.is_sure
        return Outs(any(each.goes for each in found), is_sure, why, exits)


def _unless(act: Act, kind: Kind) -> str:
    if issubclass(kind, Overdue):
        return f"unless nobody answers: {act.label}"
    return f"unless it fails: {act.label}"


def _many(each: Each) -> str:
    """What there is one for each of, in words."""
    return each.label.removeprefix("For each of ").removeprefix("For each ")
