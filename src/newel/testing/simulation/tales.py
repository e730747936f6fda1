"""Processes whose bodies are drawn: a tale is told by a tree that is the run's own input.

A leaf does something that can be waited for; a node puts its parts one after another, beside each
other, into a section, a loop, or in front of a `finally`. What the body sees at each place is
noted, so that every replay can be held to it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Final, Literal

from newel.base.errors import ChildFailed, Overdue, Rejected
from newel.domain.people import team
from newel.domain.values import Absent, Found
from newel.flow.ambient import new_id, now, this_attempt, this_run
from newel.flow.compensation import compensation
from newel.flow.groups import group
from newel.flow.locks import lock
from newel.flow.milestones import milestone
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.races import Won, first_of
from newel.flow.regions import section
from newel.flow.scopes import scope
from newel.flow.step import step
from newel.flow.waits import Event, approval, timer
from newel.testing.simulation.outside import Answered, Outside

__all__ = ["NEWS", "OUTSIDE", "SIGHT", "Node", "drawn", "tale"]

OUTSIDE: ContextVar[Outside] = ContextVar("newel_simulated_outside")
SIGHT: ContextVar[Callable[[str, str, object], None]] = ContextVar("newel_simulated_sight")
NEWS: Final = Event("news", str)

LEAVES: Final = (
    "work", "work", "work", "repeated", "answer", "timer", "approval", "deadline", "event",
    "late-event",
)  # fmt: skip
WIDE_LEAVES: Final = (*LEAVES, "clear", "reach", "ask", "refusal")
NODES: Final = (
    "sequence", "parallel", "parallel", "parallel", "section", "loop", "finally", "race", "race",
    "stragglers", "guarded", "guarded", "promise", "promise",
)  # fmt: skip
WIDE_NODES: Final = (*NODES, "child", "child", "group", "scope")
DESK: Final = lock("desk")
REGION: Final = scope("region")
OPEN: Final = milestone("open")


@dataclass(frozen=True)
class Node:
    """A part of a body: what it does, and what stands inside."""

    kind: str
    parts: tuple[Node, ...] = ()

    @property
    def size(self) -> int:
        """How many parts there are."""
        return 1 + sum(part.size for part in self.parts)


def drawn(chance: Random, *, leaves: int, is_wide: bool = False, holds: bool = False) -> Node:
    """Draw a tree of at most so many leaves.

    is_wide: with child runs, groups, scopes, milestones and refusals. holds: it stands inside a
    lock, which is no other.
    """
    if leaves <= 1 or chance.random() < 0.15:
        return Node(chance.choice(WIDE_LEAVES if is_wide else LEAVES))
    width = min(leaves, chance.choice([1, 2, 2, 3]))
    shares = [leaves // width] * width
    kind = chance.choice(WIDE_NODES if is_wide else NODES)
    if kind == "guarded" and holds:
        kind = "sequence"  # whoever waits for what he holds himself waits for ever
    holds = (holds or kind == "guarded") and kind != "child"
    parts = (drawn(chance, leaves=share, is_wide=is_wide, holds=holds) for share in shares)
    return Node(kind, tuple(parts))


async def _look(place: str) -> Found[str] | Absent:
    there = await OUTSIDE.get().look(f"{this_attempt().run}/{place}")
    return Found(place) if there else Absent()


@step(verify=_look, raises=Answered, system="outside")
async def work(place: str) -> str:
    """Have an effect exactly once."""
    await OUTSIDE.get().call(f"{this_attempt().run}/{place}", answers=place.endswith("!"))
    return place


@step(in_doubt="repeat", system="outside")
async def repeated(place: str) -> str:
    """Have an effect that is harmless twice."""
    await OUTSIDE.get().call(f"{this_attempt().run}/{place}", answers=False)
    return place


@process(subject=None, owner="it")
async def tale(plan: Node) -> str:
    """Do what a tree says."""
    return await _told(plan, "b")


def _note(place: str, value: object) -> str:
    SIGHT.get()(this_run().id, place, (repr(value), now(), new_id("sight")))
    return repr(value)


async def _told(node: Node, at: str) -> str:
    match node.kind:
        case "work":
            return _note(at, await work[at](at))
        case "repeated":
            return _note(at, await repeated[at](at))
        case "answer":
            try:
                return _note(at, await work[at](f"{at}!"))
            except Answered as answer:
                return _note(at, (str(answer), answer.what))
        case "timer":
            await timer(f"pause[{at}]", after=timedelta(minutes=90))
            return _note(at, None)
        case "approval":
            decision = await approval(f"yes[{at}]", by=team("hr"))
            return _note(at, decision.approved)
        case "deadline":
            return await _deadline(at)
        case "event":
            return _note(at, await NEWS[at].wait(match=at))
        case "late-event":
            try:
                return _note(at, await NEWS[at].wait(match=at, within=timedelta(hours=2)))
            except Overdue as late:
                return _note(at, (late.key, late.due))
        case "refusal":
            decision = await approval(f"must[{at}]", by=team("hr"))
            if not decision.approved:
                raise Rejected(decision)
            return _note(at, decision.approved)
        case "clear" | "reach" | "ask":
            with section(at):
                return await _marked(node.kind, at)
        case "child":
            try:
                return _note(at, await tale[at](Node("sequence", node.parts)))
            except ChildFailed as failed:
                return _note(at, str(failed.cause))
        case "group":
            return await _grouped(node, at)
        case "parallel":
            parts = enumerate(node.parts)
            return str(await parallel(*[_told(part, f"{at}.{number}") for number, part in parts]))
        case "race" | "stragglers":
            return await _raced(node, at)
        case _:
            return await _framed(node, at)


async def _deadline(at: str) -> str:
    try:
        decision = await approval(f"late[{at}]", by=team("hr"), within=timedelta(hours=3))
        return _note(at, decision.approved)
    except Overdue as late:
        return _note(at, (late.key, late.due))


async def _marked(kind: str, at: str) -> str:
    match kind:
        case "clear":
            await REGION.cancel()
        case "reach":
            await OPEN.reach()
        case _:
            return _note(at, await OPEN.holds("asked"))
    return _note(at, kind)


async def _grouped(node: Node, at: str) -> str:
    """Members that join one after another, an effect in between; then all, the rest, or one."""
    async with group(f"group[{at}]", str) as members:
        for number, part in enumerate(node.parts):
            members.add(_told(part, f"{at}.{number}"))
            if number == 0:
                _note(f"{at}.first", await work[f"{at}.first"](f"{at}.first"))
        if len(at) % 3 == 0:
            _note(f"{at}.one", await members.join(need=1))
            await members.complete()
        return _note(at, await members.join())


async def _raced(node: Node, at: str) -> str:
    branches = {
        f"b{number}": _told(part, f"{at}.{number}") for number, part in enumerate(node.parts)
    }
    losers: Literal["cancel", "finish"] = "finish" if node.kind == "stragglers" else "cancel"
    won: Won[str] = await first_of(f"race[{at}]", losers=losers, formerly=(), **branches)
    said = _note(at, (won.name, won.value))
    if node.kind == "stragglers":
        await won.rest()
    return said


async def _promised(node: Node, at: str) -> str:
    try:
        async with compensation() as undo:
            undo(work[f"{at}.undo"], f"{at}.undo")
            await _in_turn(node, at)
            return await work[f"{at}.no"](f"{at}.no!")
    except Answered as answer:
        return _note(at, answer.what)


async def _framed(node: Node, at: str) -> str:
    match node.kind:
        case "section":
            with section(at):
                return await _in_turn(node, at)
        case "guarded":
            async with DESK[at]:
                return await _in_turn(node, at)
        case "scope":
            done = "cut"
            async with REGION:
                done = await _in_turn(node, at)
            return _note(f"{at}.cut", (REGION.cancelled, done))
        case "promise":
            return await _promised(node, at)
        case "loop":
            return str([await _in_turn(node, f"{at}/{turn}") for turn in range(2)])
        case "finally":
            try:
                return await _in_turn(node, at)
            finally:
                await work[f"{at}.last"](f"{at}.last")
        case _:
            return await _in_turn(node, at)


async def _in_turn(node: Node, at: str) -> str:
    return str([await _told(part, f"{at}.{number}") for number, part in enumerate(node.parts)])
