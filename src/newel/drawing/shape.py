"""What the shape of a process gets wrong though each part of it can be drawn.

Handlers that can never catch, deadlines whose silence nobody handles, people who are asked without
a name: told from the region tree. Source: drawing document, §5, F405 to F410 and F501 to F503.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from newel.base.errors import ChildFailed, Overdue, StepFailed
from newel.base.findings import Finding
from newel.drawing.regions import (
    Act,
    Again,
    Call,
    Choice,
    Compensation,
    Group,
    Guarded,
    Handler,
    Kind,
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
from newel.flow.process import Process
from newel.flow.step import Step

__all__ = ["of_shape"]

_OF_ACTS: Final = (Overdue, StepFailed, ChildFailed)
"""Exceptions that only acts raise: a handler for them needs one in its block."""
_WAITS: Final = frozenset({"timer", "event", "approval", "form", "child"})


@dataclass(frozen=True, slots=True)
class _Around:
    """A handler around a region. is_beyond: whether a group of failures comes to it."""

    handler: Handler
    is_beyond: bool = False

    def catches(self, kind: Kind) -> bool:
        """Whether an exception ends here; a group is opened by `except*` alone."""
        if self.is_beyond and not self.handler.is_star:
            return any(issubclass(ExceptionGroup, each) for each in self.handler.types)
        return any(issubclass(kind, each) for each in self.handler.types)


def of_shape(tree: Seq, process: Process[..., Any]) -> Iterator[Finding]:  # Any: its own result
    """What is wrong with the shape of a process."""
    if process.owner is None:
        what = f"Nobody answers for `{process.name}`."
        yield found("F503", tree.where, what, '`@process(owner="…")` with a team.')
    yield from _unhandled(tree, (), process.raises)
    for region in walk(tree):
        match region:
            case Guarded():
                yield from _groups(region)
                yield from _unreached(region)
            case Act(act="approval" | "form"):
                yield from _asked(region)
            case Call():
                yield from _endless(region)
            case Compensation():
                yield from _too_late(region)
            case _:
                pass


def _unhandled(
    region: Region, around: tuple[_Around, ...], raises: tuple[Kind, ...]
) -> Iterator[Finding]:
    """F407: a deadline whose passing nobody handles."""
    if isinstance(region, Act) and region.within:
        is_declared = any(issubclass(Overdue, each) for each in raises)
        if not is_declared and not any(each.catches(Overdue) for each in around):
            what = f"`{region.pattern}` has a deadline, and nobody handles that it passes."
            fix = "`except Overdue`, or `@process(raises=Overdue)` if it may end the run."
            yield found("F407", region.where, what, fix)
    if isinstance(region, Par | Group) or (isinstance(region, Race) and region.need):
        around = tuple(_Around(each.handler, is_beyond=True) for each in around)
    if not isinstance(region, Guarded):
        for kid in kids_of(region):
            yield from _unhandled(kid, around, raises)
        return
    inner = (*(_Around(each) for each in region.handlers), *around)
    yield from _unhandled(region.body, inner, raises)
    outside = (region.orelse, region.final, *(each.kid for each in region.handlers))
    for part in outside:
        yield from _unhandled(part, around, raises)


def _groups(region: Guarded) -> Iterator[Finding]:
    """F405: `except` around what raises a group."""
    joints = [each for each in walk(region.body) if _is_joint(each)]
    for handler in region.handlers:
        if handler.is_star or any(issubclass(ExceptionGroup, each) for each in handler.types):
            continue
        for joint in joints:
            if any(issubclass(kind, handler.types) for kind in _raised_in(joint)):
                word = {"par": "parallel", "race": "n_of"}.get(joint.kind, joint.kind)
                what = f"`except {handler.name}` never catches here: `{word}` raises a group."
                yield found("F405", handler.kid.where, what, f"`except* {handler.name}`.")
                break


def _is_joint(region: Region) -> bool:
    return isinstance(region, Par | Group) or (isinstance(region, Race) and bool(region.need))


def _raised_in(region: Region) -> Iterator[Kind]:
    """What can leave a region: what its acts declare and its code raises, inner handlers aside."""
    if isinstance(region, Act):
        yield from region.raises
    elif isinstance(region, Raise) and region.type is not None:
        yield region.type
    for kid in kids_of(region):
        inside = list(_raised_in(kid))
        if isinstance(region, Guarded) and kid is region.body:
            around = [_Around(each) for each in region.handlers]
            inside = [kind for kind in inside if not any(each.catches(kind) for each in around)]
        yield from inside


def _unreached(region: Guarded) -> Iterator[Finding]:
    """F406: a handler for what no act of its block can end with."""
    raised = set(_raised_in(region.body))
    for handler in region.handlers:
        if not all(issubclass(each, _OF_ACTS) for each in handler.types):
            continue
        if not any(issubclass(kind, handler.types) for kind in raised):
            what = f"Nothing in this block can end with `{handler.name}`."
            fix = '`within=` at a wait, `exhausted="fail"` at a step, or no handler.'
            yield found("F406", handler.kid.where, what, fix)


def _asked(act: Act) -> Iterator[Finding]:
    """F501 and F502: people who are asked."""
    if not act.by:
        what = f"Nobody is named who does `{act.pattern}`."
        yield found("F501", act.where, what, '`by=team("…")`, or a person.')
    elif (
        not act.by.startswith(("team(", "owner_of(", "[", "("))
        and not act.within
        and not act.remind
    ):
        what = f"One person alone is asked `{act.pattern}`, without deadline or reminder."
        yield found("F502", act.where, what, "`within=`, `remind=`, or a team.")


def _too_late(block: Compensation) -> Iterator[Finding]:
    """F408: a promise after the act that it undoes, as the connector declares it."""
    undone: set[str] = set()
    for region in walk(block.body):
        if isinstance(region, Act) and isinstance(region.live, Step):
            step = cast("Step[..., Any]", region.live)
            undo = step.options.facts.get("undo")
            if isinstance(undo, str) and undo:
                undone.add(f"{step.name.rpartition('.')[0]}.{undo}")
        elif isinstance(region, Promise) and region.name in undone:
            what = f"The promise `{region.name}` comes after what it undoes: a lost answer"
            what += " would not be covered."
            yield found("F408", region.where, what, "promise first, then act.")


def _endless(call: Call) -> Iterator[Finding]:
    """F410: a helper that calls itself, whatever happens, and rests at nothing."""
    again = next((each for each in _certain(call.kid) if isinstance(each, Again)), None)
    if again is None or again.frame != call.id:
        return
    if any(isinstance(each, Act) and each.act in _WAITS for each in walk(call.kid)):
        return
    what = f"`{call.name}` calls itself without a bound and without a wait."
    yield found("F410", again.where, what, "a condition that ends it, or a loop with a wait.")


def _certain(region: Region) -> Iterator[Region]:
    """The regions that control comes to whatever is decided, up to the first choice."""
    for kid in kids_of(region) if isinstance(region, Seq) else ():
        if isinstance(kid, Choice):
            return
        yield kid
