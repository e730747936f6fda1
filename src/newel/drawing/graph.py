"""The graph of a process: nodes and edges, derived from its region tree by fixed rules.

A *container* is a node with a flow of its own inside: it is entered at its `:start`, and left when
nothing moves in it any more. No edge crosses its border; what leaves it early (a failure, a
`return`) ends inside and goes on from a *boundary* of the container. A *frame* groups nodes and
means nothing for the flow. Every other node is passed by one token; `and_split` makes one for each
edge and `and_join` waits for as many, `xor_split` chooses one edge, of which exactly one is the
default. Source: drawing document, §6.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from newel.domain.patterns import Pattern
from newel.drawing.regions import Region, Where

__all__ = ["Edge", "EdgeKind", "Graph", "Node", "NodeKind"]

NodeKind = Literal[
    "start",
    "end",
    "error_end",
    "stop_end",
    "act",
    "xor_split",
    "xor_merge",
    "and_split",
    "and_join",
    "n_join",
    "event_split",
    "container",
    "frame",
    "boundary",
    "undo",
    "again",
]
EdgeKind = Literal["flow", "back", "jump", "fail", "undo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One thing in the picture.

    parent: the container or frame around, "" at the top. pattern: of what has a key. act: what
    kind of act; of a container, frame or split what made it (`race`, `lock`, `call` …). multi:
    whether it stands for many: one after another (`seq`), at once (`par`), or `grows`. host: what
    a boundary stands on. need: how many a join waits for, as source. region: what it is made of.
    """

    id: str
    kind: NodeKind
    label: str
    where: Where
    parent: str = ""
    pattern: Pattern | None = None
    act: str = ""
    process: str = ""
    by: str = ""
    within: str = ""
    multi: Literal["", "seq", "par", "grows"] = ""
    host: str = ""
    need: str = ""
    region: Region | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A way from one node to another.

    kind: `back` to the head of a loop, `jump` leaves a block early, `fail` out of a boundary,
    `undo` between promises. cond: source of the condition. tag: how control came into a `finally`,
    and how it goes on behind it: only edges with one tag belong together.
    """

    src: str
    dst: str
    kind: EdgeKind = "flow"
    label: str = ""
    cond: str = ""
    default: bool = False
    tag: str = ""


@dataclass(frozen=True)
class Graph:
    """Nodes by id, in the order of the source, and edges."""

    nodes: dict[str, Node]
    edges: tuple[Edge, ...]

    @cached_property
    def _out(self) -> dict[str, list[Edge]]:
        found: dict[str, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            found[edge.src].append(edge)
        return found

    @cached_property
    def _into(self) -> dict[str, list[Edge]]:
        found: dict[str, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            found[edge.dst].append(edge)
        return found

    @cached_property
    def _boundaries(self) -> dict[str, list[Node]]:
        found: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes.values():
            if node.host:
                found[node.host].append(node)
        return found

    def out_of(self, node: str) -> list[Edge]:
        """The edges that leave a node, in order."""
        return self._out.get(node, [])

    def into(self, node: str) -> list[Edge]:
        """The edges that lead to a node, in order."""
        return self._into.get(node, [])

    def boundaries(self, node: str) -> list[Node]:
        """The boundaries on a node."""
        return self._boundaries.get(node, [])

    def inside(self, container: str) -> list[Node]:
        """The nodes right inside a container or frame, in order; "" for those at the top."""
        return [each for each in self.nodes.values() if each.parent == container]

    def container_of(self, node: str) -> str:
        """The innermost container around a node, frames left out; "" at the top."""
        parent = self.nodes[node].parent
        while parent and self.nodes[parent].kind != "container":
            parent = self.nodes[parent].parent
        return parent
