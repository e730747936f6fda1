"""What whoever answers for a process must know of its steps, and what cannot be taken back.

A step says on what it works, which page helps when it is parked, and how a lost answer is looked
for; what nobody can take back comes last where everything before it would be put back. Source:
drawing document, §5, F504 to F507.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from newel.base.findings import Finding
from newel.drawing.regions import (
    Act,
    Choice,
    Compensation,
    Guarded,
    Handler,
    Kind,
    Loop,
    Par,
    Promise,
    Race,
    Raise,
    Region,
    Seq,
    kids_of,
    walk,
)
from newel.drawing.rules import found
from newel.flow.declarations import is_read
from newel.flow.step import Step

__all__ = ["is_irreversible", "of_duties", "step_of", "writes_mail"]

_Acts = dict[str, Act]


def step_of(region: Region) -> Step[..., Any] | None:  # Any: whatever it takes and gives
    """The step of an act, or of what is put back; None for waits and all else."""
    live = region.live if isinstance(region, Act | Promise) else None
    return cast("Step[..., Any]", live) if isinstance(live, Step) else None


def is_irreversible(step: Step[..., Any]) -> bool:  # Any: as above
    """Whether it is declared that nothing takes it back."""
    return step.options.facts.get("reversible") == "no" or step.options.reversible is False


def writes_mail(step: Step[..., Any]) -> bool:  # Any: as above
    """Whether it is declared that somebody is written to."""
    return step.options.facts.get("sends_email", "none") != "none" or step.options.sends_email


def of_duties(tree: Seq) -> Iterator[Finding]:
    """What is not said of the steps of a process, once for each; and what comes too early."""
    seen: set[str] = set()
    for region in walk(tree):
        step = step_of(region)
        if step is not None and step.name not in seen:
            seen.add(step.name)
            yield from _of_step(region, step)
        if isinstance(region, Compensation):
            yield from _Lasting(region).findings()


def _of_step(region: Region, step: Step[..., Any]) -> Iterator[Finding]:  # Any: as above
    """F504, F505 and F507; what rides in newel's own transaction has no system and no doubt."""
    if step.options.transactional:
        return
    if not step.options.system:
        what = f"`{step.name}` says neither on which system it works nor with which permission."
        fix = '`@step(system="…")`, or an operation of a connector.'
        yield found("F504", region.where, what, fix)
        return  # without a system there is no page of it, and nothing outside that could be lost
    if step.options.exhausted == "park" and not _runbook(step):
        what = f"`{step.name}` can be parked, and no page says what to do then."
        fix = '`runbook="…"` on the step, or on its connector.'
        yield found("F505", region.where, what, fix)
    if step.options.in_doubt == "ask" and step.verify is None and not is_read(step):
        what = f"After a lost answer nobody can tell whether `{step.name}` has happened."
        fix = '`verify=`, or `in_doubt="repeat"` where repeating does no harm.'
        yield found("F507", region.where, what, fix)


def _runbook(step: Step[..., Any]) -> str:  # Any: as above
    return str(step.options.runbook or getattr(step.owner, "runbook", None) or "")


class _Lasting:
    """F506: in one compensation block, what cannot be taken back before what can fail.

    Walked as control goes: *done* is what may have been done for good before a region.
    """

    def __init__(self, block: Compensation) -> None:
        self._block = block
        self._found: dict[str, tuple[Act, Region]] = {}

    def findings(self) -> Iterator[Finding]:
        """Each act that lasts, with the first that may fail behind it."""
        self._after(self._block.body, {}, ())
        for act, failing in self._found.values():
            name = failing.pattern if isinstance(failing, Act) else failing.label
            what = f"`{act.pattern}` cannot be taken back, and `{name}` (line {failing.where.line})"
            what += " can fail behind it: all else would be put back."
            yield found("F506", act.where, what, "order it last in the block.")

    def _after(self, region: Region, done: _Acts, around: tuple[Handler, ...]) -> _Acts:
        match region:
            case Act():
                return self._act(region, done, around)
            case Raise(type=kind):
                self._fails(region, (kind,) if kind is not None else (), done, around)
                return done
            case Par() | Race():
                return self._beside(kids_of(region), done, around)
            case Choice(arms=arms):
                return _united(self._after(each.kid, done, around) for each in arms)
            case Loop():
                return self._again(region, done, around)
            case Guarded():
                return self._guarded(region, done, around)
            case _:
                for kid in kids_of(region):
                    done = self._after(kid, done, around)
                return done

    def _act(self, act: Act, done: _Acts, around: tuple[Handler, ...]) -> _Acts:
        self._fails(act, act.raises, done, around)
        step = step_of(act)
        return {**done, act.id: act} if step is not None and is_irreversible(step) else done

    def _fails(
        self, region: Region, kinds: tuple[Kind, ...], done: _Acts, around: tuple[Handler, ...]
    ) -> None:
        types = tuple(kind for each in around for kind in each.types)
        if all(issubclass(kind, types) for kind in kinds) and (kinds or isinstance(region, Act)):
            return
        for id_, act in done.items():
            if id_ != region.id:
                self._found.setdefault(id_, (act, region))

    def _beside(self, kids: Sequence[Region], done: _Acts, around: tuple[Handler, ...]) -> _Acts:
        """What another branch has done for good may be done before anything in this one fails."""
        ends = [self._after(kid, done, around) for kid in kids]
        for index, kid in enumerate(kids):
            others = _united(end for number, end in enumerate(ends) if number != index)
            self._after(kid, {**done, **others}, around)
        return _united(ends)

    def _again(self, loop: Loop, done: _Acts, around: tuple[Handler, ...]) -> _Acts:
        for _ in range(2):  # what a pass does for good stands before the next one
            done = self._after(loop.test, done, around)
            done = self._after(loop.body, done, around)
        return self._after(loop.orelse, done, around)

    def _guarded(self, region: Guarded, done: _Acts, around: tuple[Handler, ...]) -> _Acts:
        body = self._after(region.body, done, (*region.handlers, *around))
        ends = [self._after(region.orelse, body, around)]
        ends += [self._after(each.kid, body, around) for each in region.handlers]
        return self._after(region.final, _united(ends), around)


def _united(found: Iterable[_Acts]) -> _Acts:
    every: _Acts = {}
    for each in found:
        every |= each
    return every
