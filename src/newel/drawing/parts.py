"""Nodes, edges and loose ends: what the rules of the graph are made with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from newel.drawing.graph import Edge, EdgeKind, Node, NodeKind
from newel.drawing.regions import Raise, Region, Seq, Where
from newel.drawing.surroundings import Bounds, Loose, Surrounding, Way

__all__ = ["Parts"]


class Parts:
    """A graph while it is built. parent: the container or frame that new nodes stand in."""

    def __init__(self, where: Where) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.around: list[Surrounding] = []
        self.parent = ""
        self.where = where

    def free(self, wanted: str) -> str:
        """An id that no node has."""
        found, count = wanted, 1
        while found in self.nodes:
            count += 1
            found = f"{wanted}~{count}"
        return found

    def node(self, id_: str, kind: NodeKind, label: str, region: Region, **more: object) -> str:
        """Add a node; gives its id."""
        parent = cast("str", more.pop("parent", self.parent))
        self.nodes[id_] = Node(
            id=id_,
            kind=kind,
            label=label,
            where=region.where,
            parent=parent,
            region=region,
            **more,  # type: ignore[arg-type]  # fields of a node, by name
        )
        return id_

    def connect(self, ends: Iterable[Loose], target: str, *, kind: EdgeKind | None = None) -> None:
        """Lead loose ends to a node."""
        for end in ends:
            self.edges.append(
                Edge(
                    src=end.src,
                    dst=target,
                    kind=kind or end.kind,
                    label=end.label,
                    cond=end.cond,
                    default=end.default,
                    tag=end.tag,
                )
            )

    def merged(self, ends: list[Loose], id_: str, region: Region) -> list[Loose]:
        """Lead several ends together; a single one needs no merge."""
        if len(ends) < 2:
            return ends
        merge = self.node(self.free(id_), "xor_merge", "", region)
        self.connect(ends, merge)
        return [Loose(merge)]

    def leave(self, way: Way, ends: list[Loose]) -> None:
        """Let control go outwards, to whoever takes it; at the top it ends the run."""
        rest: Way | None = way
        for index in reversed(range(len(self.around))):
            if not ends or rest is None:
                return
            surrounding = self.around[index]
            if isinstance(surrounding, Bounds):
                ends = self.crossed(surrounding, rest, ends)
            else:
                rest = surrounding.taken(rest, ends)
        if ends and rest is not None:
            self.ended(rest, ends)

    def crossed(self, border: Bounds, way: Way, ends: list[Loose]) -> list[Loose]:
        """End inside a container, and go on from a boundary of it."""
        id_, region = border.id, border.region
        stop, boundary = f"{id_}:stop:{way.name}", f"{id_}:on:{way.name}"
        if stop not in self.nodes:
            is_failure = way.verb == "raise"
            kind: NodeKind = "error_end" if is_failure else "stop_end"
            self.node(stop, kind, way.label, region, parent=id_)
            parent = self.nodes[id_].parent
            self.node(boundary, "boundary", way.label, region, parent=parent, host=id_)
            self.connect(ends, stop)
            return [Loose(boundary, kind="fail" if is_failure else "jump")]
        self.connect(ends, stop)
        return []

    def ended(self, way: Way, ends: list[Loose]) -> None:
        """End the run: well, or with a failure."""
        outer, self.parent = self.parent, ""
        region = way.region
        if way.verb == "return" and region is not None:
            if region.id not in self.nodes:
                self.node(region.id, "end", region.label, region)
            self.connect(ends, region.id)
        elif way.verb == "raise":
            id_ = f"raise:{way.name}"
            id_ = region.id if isinstance(region, Raise) else id_
            if id_ not in self.nodes:
                at = region or Seq(id="", where=self.where)
                self.node(id_, "error_end", region.label if region else way.label, at)
            self.connect(ends, id_)
        self.parent = outer
