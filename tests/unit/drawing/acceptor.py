"""Whether a trace is a path of the drawing: nothing begins before what must have ended.

Judged on the graph alone. An act is *before* another if every way from the start to the other leads
through it: then it must have an outcome before the other begins. Where branches meet, every act
that has begun in one of them must have ended before anything behind the join begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from newel.drawing.drawing import Drawing
from newel.drawing.graph import Graph
from newel.drawing.regions import Race
from tests.unit.drawing.happenings import Happened

_ENDS: Final = frozenset({"ok", "failed", "cancelled", "record"})


class Paths:
    """The graph of a drawing as far as order goes."""

    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing
        graph = drawing.graph
        self._next = {node: _behind(graph, node) for node in graph.nodes}
        self.before = _dominators(self._next)
        self._joins = {
            node.id: self._inside(node.id)
            for node in graph.nodes.values()
            if node.kind == "and_join"
        }

    def _inside(self, join: str) -> set[str]:
        """The nodes between a join and the fork that belongs to it."""
        fork = join.removesuffix(":join")
        return {
            node
            for node, before in self.before.items()
            if fork in before and join not in before and node != fork
        }

    def node_of(self, key: str) -> str | None:
        """The node of a key."""
        pattern = self._drawing.patterns.of(key)
        return None if pattern is None else str(pattern)

    def acts_before(self, node: str) -> set[str]:
        """The acts that every way to a node leads through; of many there may be none."""
        nodes = self._drawing.graph.nodes
        return {
            each
            for each in self.before[node]
            if each != node and nodes[each].kind == "act" and not nodes[each].multi
        }

    def wrong(self, trace: Sequence[Happened]) -> str:
        """What in a trace is no path of the drawing; empty if it is one."""
        ended: set[str] = set()
        open_: dict[str, str] = {}
        for what, key in trace:
            if not key:
                continue
            node = self.node_of(key)
            if node is None or node not in self.before:
                return f"{key} has no node"
            if what in {"begin", "record"}:
                if said := self._early(key, node, ended, open_):
                    return said
                open_[key] = node
            if what in _ENDS:
                ended.add(node)
                open_.pop(key, None)
        return ""

    def _early(self, key: str, node: str, ended: set[str], open_: dict[str, str]) -> str:
        """Why an act begins too early."""
        missing = {
            each
            for each in self.acts_before(node)
            if each not in ended and self._drawing.graph.nodes[each].pattern is not None
        }
        if missing:
            return f"{key} begins before {sorted(missing)}"
        for join in self.before[node] & self._joins.keys():
            busy = [
                each
                for each, at in open_.items()
                if at in self._joins[join] and not self._may_finish(at)
            ]
            if busy:
                return f"{key} begins while {busy} are in branches before it"
        return ""

    def _may_finish(self, node: str) -> bool:
        """Whether an act is in a race whose losers finish: nothing waits for them."""
        nodes = self._drawing.graph.nodes
        parent = nodes[node].parent
        while parent:
            race = nodes[parent].region
            if isinstance(race, Race) and race.losers == "finish":
                return True
            parent = nodes[parent].parent
        return False

    def damaged(self, trace: Sequence[Happened]) -> list[Happened] | None:
        """The same with one act beginning before one that must have ended; None without such."""
        for index, happened in enumerate(trace):
            node = self.node_of(happened.key) if happened.what == "begin" else None
            if node is None:
                continue
            needed = self.acts_before(node)
            for earlier, (what, other) in enumerate(trace[:index]):
                if what not in _ENDS or self.node_of(other) not in needed:
                    continue
                seen = [self.node_of(each.key) for each in trace[:earlier] if each.what in _ENDS]
                if self.node_of(other) not in seen:
                    moved = [*trace[:earlier], happened, *trace[earlier:index]]
                    return [*moved, *trace[index + 1 :]]
        return None


def _behind(graph: Graph, node: str) -> set[str]:
    found = {edge.dst for edge in graph.out_of(node)}
    found |= {boundary.id for boundary in graph.boundaries(node)}
    kind = graph.nodes[node].kind
    if kind == "container":
        inside = f"{node}:start"
        ends = [each.id for each in graph.nodes.values() if each.parent == node
                and each.kind in {"end", "stop_end", "n_join"}]  # fmt: skip
        if not ends or graph.nodes[node].multi in {"seq", "par"}:
            return found | {inside}
        return {inside, *(each for each in found if each.endswith(":on:cancelled"))}
    parent = graph.container_of(node)
    if kind in {"end", "stop_end", "n_join", "error_end"} and parent:
        found |= {edge.dst for edge in graph.out_of(parent)}
        found |= {boundary.id for boundary in graph.boundaries(parent)}
    return found


def _dominators(behind: dict[str, set[str]]) -> dict[str, set[str]]:
    into: dict[str, set[str]] = {}
    for node, followers in behind.items():
        for each in followers:
            into.setdefault(each, set()).add(node)
    reached: list[str] = []
    todo = [":start"]
    while todo:
        node = todo.pop()
        if node not in reached:
            reached.append(node)
            todo += behind[node]
    every = set(reached)
    found = {node: every.copy() for node in reached} | {":start": {":start"}}
    is_moving = True
    while is_moving:
        is_moving = False
        for node in reached[1:]:
            ways = [found[each] for each in into.get(node, ()) if each in every]
            new = {node} | (set.intersection(*ways) if ways else set())
            if new != found[node]:
                found[node], is_moving = new, True
    return found
