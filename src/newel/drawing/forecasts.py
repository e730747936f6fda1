"""How a plan is made: the region tree is walked as the body would go, as far as that is known.

Each region takes the way on which control comes to it, and says how it comes out (`ways`). Claims
of keys are counted as the runtime counts them, so that what the journal holds is met where it
belongs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import FunctionType
from typing import Any, Final, cast

from newel.base.errors import Cancelled, Overdue
from newel.domain.patterns import ANY
from newel.drawing.binding import bound, defaults, fits, joined
from newel.drawing.branching import Branching
from newel.drawing.drawing import Drawing
from newel.drawing.labels import first_lower
from newel.drawing.names import UNKNOWN, Names
from newel.drawing.placing import as_part
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
    walk,
)
from newel.drawing.regions import (
    Scope as ScopeRegion,
)
from newel.drawing.repeating import Repeating
from newel.drawing.values import Scope, truth, value_of
from newel.drawing.ways import (
    ON,
    Exit,
    Outs,
    Way,
    catches,
    either,
    of_code,
    unsure,
)

__all__ = ["Forecaster"]

_PASSES: Final = 10_000
_DEEP: Final = 60


class Forecaster(Branching, Repeating):
    """Makes the plan of one run."""

    def __init__(self, drawing: Drawing, past: Past) -> None:
        super().__init__(drawing, past)
        self._frames: dict[str, Call] = {}
        self._depth = 0
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
                return self.loop(region, scope, way)
            case Each():
                return self.each(region, scope, way)
            case Par(branches=branches):
                return self.par(region, branches, scope, way)
            case Race():
                return self.race(region, scope, way)
            case Guarded():
                return self._guarded(region, scope, way)
            case Call():
                return self._call(region, scope, way)
            case Again():
                return self._again(region, scope, way)
            case Section():
                return self._section(region, scope, way)
            case Lock():
                return self.lock(region, scope, way)
            case Group():
                return self.group(region, scope, way)
            case ScopeRegion():
                return self.scope(region, scope, way)
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
        if self.races:
            return Outs(
                is_sure=False, why=f"unless {self.races[-1]} is decided before", exits=exits
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

    # --- choices --------------------------------------------------------------------

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
        if self.races:
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
        if self.races:
            is_sure = is_sure and outs.is_sure
        return Outs(any(each.goes for each in found), is_sure, why, exits)


def _unless(act: Act, kind: Kind) -> str:
    if issubclass(kind, Overdue):
        return f"unless nobody answers: {act.label}"
    return f"unless it fails: {act.label}"
