"""By whose decision a process gives access, pays, or does what cannot be taken back.

The region tree is walked as control goes, with what holds on *every* way to each place: whether
somebody has said yes, and whether anybody was asked at all. A yes is an arm that is taken because
a decision was `approved`, here or in a helper that answers for it. Where one way comes to a grant
without it, that way is named. Source: drawing document, §5, F601 to F603.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from newel.base.errors import ChildFailed, Overdue, Rejected, StepFailed
from newel.base.findings import Finding
from newel.drawing.asking import Askers
from newel.drawing.consent import (
    DECISION,
    DECISIONS,
    GRANTED,
    NOTHING,
    REACHED,
    WON,
    Said,
    said_of,
)
from newel.drawing.duties import is_irreversible, step_of, writes_mail
from newel.drawing.regions import (
    Act,
    Call,
    Choice,
    Each,
    Guarded,
    Handler,
    Jump,
    Kind,
    Loop,
    Member,
    Par,
    Pure,
    Race,
    Raise,
    Region,
    Return,
    Scope,
    Seq,
    kids_of,
)
from newel.drawing.rules import Level, found
from newel.drawing.sources import Source
from newel.flow.declarations import is_read
from newel.flow.process import Process
from newel.flow.step import Step

__all__ = ["Authority", "authority_of"]

_OF_ACTS: Final = (Overdue, StepFailed, ChildFailed, Rejected)
_MOST_PASSES: Final = 8
_SHOWN: Final = 3


@dataclass(frozen=True)
class Authority:
    """What is wrong, and which processes are only begun after somebody has said yes."""

    findings: tuple[Finding, ...]
    entrusted: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Way:
    """What holds on every way to a place.

    path: choices on a way on which nobody has said yes. told: acts on some way that write or last,
    before anybody was asked. said: what names tell of a decision, and calls that were awaited.
    """

    is_granted: bool = False
    is_asked: bool = False
    path: tuple[str, ...] = ()
    told: frozenset[str] = frozenset()
    said: Mapping[str, Said] = field(default_factory=dict[str, Said])

    def after(self, told: Said, *, is_true: bool) -> _Way:
        """The way on which something is true, or false."""
        return replace(self, is_granted=True) if ("yes" if is_true else "no") in told else self

    def by(self, choice: str) -> _Way:
        """The same, one choice further."""
        return self if self.is_granted else replace(self, path=(*self.path, choice))

    def with_said(self, name: str, said: Said) -> _Way:
        """The same, where a name is bound."""
        return replace(self, said={**self.said, name: said})

    def told_by(self, name: str) -> Said:
        """What a name tells here."""
        return self.said.get(name, NOTHING) | (GRANTED if self.is_granted else NOTHING)


@dataclass(frozen=True, slots=True)
class _Exit:
    """How control leaves early: verb, what a `return` gives, what a `raise` raises."""

    verb: str
    way: _Way
    said: Said = NOTHING
    kinds: tuple[Kind, ...] = ()


@dataclass(frozen=True, slots=True)
class _Outs:
    """What comes of a region. way: behind it, None where it does not come to its end."""

    way: _Way | None
    said: Said = NOTHING
    exits: tuple[_Exit, ...] = ()
    parts: tuple[Said, ...] = ()


def authority_of(tree: Seq, process: Process[..., Any], source: Source) -> Authority:
    """Look at a process; raises nothing."""  # Any: each has its own result
    walk = _Walk(Askers.of(process, source))
    walk.region(tree, _Way())
    given = sorted(walk.found, key=lambda each: each.line)
    return Authority(tuple(given), frozenset(walk.entrusted - walk.begun))


class _Walk:
    """One walk. entrusted, begun: children begun after a yes, and without one."""

    def __init__(self, askers: Askers) -> None:
        self._askers = askers
        self._early: dict[str, tuple[Act, str]] = {}
        self._ungranted: set[str] = set()
        self.found: list[Finding] = []
        self.entrusted: set[str] = set()
        self.begun: set[str] = set()

    def region(self, region: Region, way: _Way) -> _Outs:
        """Go through a region on a way."""
        match region:
            case Seq(kids=kids):
                return self._seq(kids, way)
            case Act():
                return self._act(region, way)
            case Pure(targets=targets, value=value):
                return _Outs(_bound(way, targets, said_of(value, way.said) if value else NOTHING))
            case Choice():
                return self._choice(region, way)
            case Loop():
                return self._loop(region, way)
            case Each():
                return self._each(region, way)
            case Par():
                return self._par(region, way)
            case Race():
                return self._race(region, way)
            case Guarded():
                return self._guarded(region, way)
            case Call():
                return self._call(region, way)
            case Return(value=value):
                told = said_of(value or "None", way.said)
                return _Outs(None, exits=(_Exit("return", way, told),))
            case Raise(type=kind):
                return _Outs(None, exits=(_Exit("raise", way, kinds=(kind or Exception,)),))
            case Jump(verb=verb):
                return _Outs(None, exits=(_Exit(verb, way),))
            case Member(kid=kid):
                return _Outs(way, exits=self.region(kid, way).exits)
            case Scope(body=body):
                outs = self.region(body, way)
                return replace(outs, way=_met([way, outs.way]))
            case _:
                return self._seq(kids_of(region), way)

    def _seq(self, kids: Sequence[Region], way: _Way) -> _Outs:
        exits: list[_Exit] = []
        outs = _Outs(way)
        for kid in kids:
            outs = self.region(kid, way)
            exits += outs.exits
            if outs.way is None:
                break
            way = outs.way
        return replace(outs, exits=tuple(exits))

    # --- acts ---------------------------------------------------------------------------------

    def _act(self, act: Act, way: _Way) -> _Outs:
        said = NOTHING
        if act.act == "approval":
            self.found.extend(self._askers.same(act))
            for each in way.told:
                self._asked_late(each)
            way, said = replace(way, is_asked=True, told=frozenset()), DECISION
        elif act.act in ("child", "spawn"):
            (self.entrusted if way.is_granted else self.begun).add(act.name)
        step = step_of(act)
        if step is not None and not is_read(step):
            way = self._step(act, step, way)
        failed = tuple(_Exit("raise", way, kinds=(kind,)) for kind in act.raises)
        way = _bound(way, _names(act.target), said)
        return _Outs(way.with_said(act.call, said), said, failed)

    def _step(self, act: Act, step: Step[..., Any], way: _Way) -> _Way:  # Any: any signature
        facts, options = step.options.facts, step.options
        is_strict = bool(facts.get("approval") or facts.get("moves_money"))
        if (is_strict or options.grants) and not way.is_granted:
            self._without_yes(act, way, "error" if is_strict else "warning")
        word = "writes to somebody" if writes_mail(step) else ""
        word = "cannot be taken back" if is_irreversible(step) else word
        if not word or way.is_asked:
            return way
        self._early[act.id] = (act, word)
        return replace(way, told=way.told | {act.id})

    def _without_yes(self, act: Act, way: _Way, level: Level) -> None:
        if act.id in self._ungranted:
            return
        self._ungranted.add(act.id)
        shown = way.path[-_SHOWN:]
        by = f" ({' → '.join(shown)})" if shown else ""
        what = f"`{act.pattern}` can be reached without a decision{by}."
        fix = "approval first, and only where it is `approved`."
        self.found.append(found("F601", act.where, what, fix, level=level))

    def _asked_late(self, id_: str) -> None:
        known = self._early.pop(id_, None)
        if known is not None:
            act, word = known
            what = f"`{act.pattern}` {word}, and comes before anybody is asked."
            self.found.append(found("F602", act.where, what, "ask first."))

    # --- ways beside each other, and round again ----------------------------------------------

    def _choice(self, choice: Choice, way: _Way) -> _Outs:
        found: list[_Outs] = []
        subject = said_of(choice.subject, way.said) if choice.subject else NOTHING
        before = way
        for arm in choice.arms:
            told = _told(arm.condition, choice.subject, subject, before)
            begun = before.after(told, is_true=True) if arm.condition is not None else before
            line = f"line {choice.where.line}: {choice.label} {arm.label}"
            found.append(self.region(arm.kid, begun.by(line)))
            before = before.after(told, is_true=False)
        return _either(found)

    def _loop(self, loop: Loop, way: _Way) -> _Outs:
        head = way
        tested, body = self._pass(loop, head)
        for _ in range(_MOST_PASSES):
            backs = (each.way for each in body.exits if each.verb == "continue")
            again = _met([way, body.way, *backs])
            if again is None or again == head:
                break
            head = again
            tested, body = self._pass(loop, head)
        exits = [each for each in body.exits if each.verb in ("return", "raise")]
        ends: list[_Way | None] = [each.way for each in body.exits if each.verb == "break"]
        if loop.condition is not None:
            over = self.region(loop.orelse, tested)
            exits += over.exits
            ends.append(over.way)
        return _Outs(_met(ends), exits=tuple(exits))

    def _pass(self, loop: Loop, head: _Way) -> tuple[_Way, _Outs]:
        """One pass: the way on which the test fails, and what comes of test and body."""
        test = self.region(loop.test, head)
        tested = test.way or head
        told = NOTHING if loop.over else said_of(loop.condition or "True", tested.said)
        begun = _bound(tested, _names(loop.target), NOTHING)
        body = self.region(loop.body, begun.after(told, is_true=True))
        return tested.after(told, is_true=False), replace(body, exits=(*test.exits, *body.exits))

    def _each(self, each: Each, way: _Way) -> _Outs:
        outs = self.region(each.body, _bound(way, _names(each.target), NOTHING))
        said = DECISIONS if "decision" in outs.said else NOTHING
        exits = tuple(one for one in outs.exits if one.verb in ("return", "raise"))
        return _Outs(_met([way, outs.way]), said, exits)

    def _par(self, par: Par, way: _Way) -> _Outs:
        """All branches are gone to their ends: one yes is a yes behind them, not beside them."""
        found = [self.region(each, way) for each in par.branches]
        ends = [each.way for each in found if each.way is not None]
        exits = tuple(exit_ for each in found for exit_ in each.exits)
        if len(ends) < len(found):
            return _Outs(None, exits=exits)
        granted = [each for each in ends if each.is_granted]
        behind = replace(
            (granted or ends or [way])[0],
            is_asked=way.is_asked or any(each.is_asked for each in ends),
            told=frozenset().union(*(each.told for each in ends)),
            said=way.said,
        )
        parts = tuple(each.said for each in found)
        return _Outs(_gathered(behind, par.target, parts), _as_one(parts), exits)

    def _race(self, race: Race, way: _Way) -> _Outs:
        found = [self.region(each.kid, way) for each in race.branches]
        asked = [each.said for each in found if each.said]
        are_decisions = bool(asked) and all(
            each & (DECISION | DECISIONS) for each in (asked if not race.need else
                                                       [each.said for each in found])
        )  # fmt: skip
        said = (REACHED if race.need else WON) if are_decisions else NOTHING
        outs = _either(found)
        behind = None if outs.way is None else replace(outs.way, said=way.said)
        bound = None if behind is None else _bound(behind, _names(race.target), said)
        return _Outs(bound, said, outs.exits)

    # --- helpers and failures -----------------------------------------------------------------

    def _call(self, call: Call, way: _Way) -> _Outs:
        given = {name: said_of(source, way.said) for name, source in call.arguments}
        with self._askers.called(call.arguments):
            outs = self.region(call.kid, replace(way, said=given))
        ends = [each for each in outs.exits if each.verb == "return"]
        if outs.way is not None:
            ends.append(_Exit("return", outs.way, said_of("None", {})))
        behind = _met(each.way for each in ends)
        exits = tuple(
            replace(each, way=replace(each.way, said=way.said))
            for each in outs.exits
            if each.verb == "raise"
        )
        if behind is None:
            return _Outs(None, exits=exits)
        said = _common([each.said | each.way.told_by("") for each in ends])
        back = _bound(replace(behind, said=way.said), _names(call.target), said)
        return _Outs(back.with_said(call.call, said), said, exits)

    def _guarded(self, region: Guarded, way: _Way) -> _Outs:
        body = self.region(region.body, way)
        left = list(body.exits)
        found: list[_Outs] = []
        if body.way is not None:
            found.append(self.region(region.orelse, body.way))
        for handler in region.handlers:
            taken = [each for each in left if each.verb == "raise" and _catches(handler, each)]
            left = [each for each in left if each not in taken]
            begun = _met([*(each.way for each in taken), *_unforeseen(handler, taken, way)])
            if begun is not None:
                found.append(self.region(handler.kid, begun))
        outs = _either(found)
        exits = (*left, *outs.exits)
        if not region.final.kids:
            return replace(outs, exits=exits)
        for each in exits:
            self.region(region.final, each.way)
        if outs.way is None:
            return replace(outs, exits=exits)
        final = self.region(region.final, outs.way)
        return replace(final, exits=(*exits, *final.exits))


def _told(condition: str | None, subject: str, of_subject: Said, way: _Way) -> Said:
    """What it tells that an arm is taken."""
    if condition is None:
        return NOTHING
    if not subject:
        return said_of(condition, way.said)
    case = condition.partition(" if ")[0]
    if case in ("True", "False"):
        known = {"subject": of_subject}
        return said_of(f"subject is {case}", known)
    is_yes = "decision" in of_subject and "approved=True" in case
    return said_of("subject", {"subject": frozenset({"yes"})}) if is_yes else NOTHING


def _unforeseen(handler: Handler, taken: list[_Exit], way: _Way) -> Iterator[_Way]:
    """What code between acts raises may come from the beginning of the block."""
    if not taken and not all(issubclass(each, _OF_ACTS) for each in handler.types):
        yield way


def _catches(handler: Handler, exit_: _Exit) -> bool:
    return any(issubclass(kind, handler.types) for kind in exit_.kinds)


def _names(target: str) -> tuple[str, ...]:
    return tuple(each.strip(" ()*") for each in target.split(",") if each.strip(" ()*"))


def _bound(way: _Way, names: Iterable[str], said: Said) -> _Way:
    targets = tuple(names)
    told = said if len(targets) == 1 else NOTHING
    return replace(way, said={**way.said, **dict.fromkeys(targets, told)}) if targets else way


def _gathered(way: _Way, target: str, parts: tuple[Said, ...]) -> _Way:
    """Bind what `parallel` gives: one name for all, or a name for each."""
    names = _names(target)
    if len(names) != len(parts) or not target.startswith("("):
        return _bound(way, names, _as_one(parts))
    return replace(way, said={**way.said, **dict(zip(names, parts, strict=True))})


def _as_one(parts: tuple[Said, ...]) -> Said:
    are_decisions = bool(parts) and all(each & (DECISION | DECISIONS) for each in parts)
    return DECISIONS if are_decisions else NOTHING


def _either(found: list[_Outs]) -> _Outs:
    """One of several ways is taken."""
    exits = tuple(exit_ for each in found for exit_ in each.exits)
    goes = [each for each in found if each.way is not None]
    said = _common([each.said | each.way.told_by("") for each in goes if each.way is not None])
    return _Outs(_met(each.way for each in goes), said, exits)


def _common(every: list[Said]) -> Said:
    return frozenset.intersection(*every) if every else NOTHING


def _met(ways: Iterable[_Way | None]) -> _Way | None:
    """What holds wherever several ways come together; None where none of them does."""
    every = [each for each in ways if each is not None]
    if len(every) < 2:
        return every[0] if every else None
    names = {name for each in every for name in each.said}
    open_ = [each for each in every if not each.is_granted]
    return _Way(
        is_granted=not open_,
        is_asked=all(each.is_asked for each in every),
        path=_path(every, open_),
        told=frozenset().union(*(each.told for each in every)),
        said={name: _common([each.told_by(name) for each in every]) for name in names},
    )


def _path(every: list[_Way], open_: list[_Way]) -> tuple[str, ...]:
    """How one comes here without a yes: by the choice that mattered, or just by what all share."""
    if not open_:
        return ()
    if len(open_) < len(every):
        return open_[0].path
    shared: list[str] = []
    for steps in zip(*(each.path for each in open_), strict=False):
        if len(set(steps)) > 1:
            break
        shared.append(steps[0])
    return tuple(shared)
