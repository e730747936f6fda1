"""The graph as BPMN can nest it: what undoes a block stands apart from it, as an event sub-process.

In BPMN no flow crosses the border of a sub-process, and cancelling one comes from outside. The
promises of a `compensation` become a sub-process of their own inside it: it begins when the block
fails or is cancelled, and goes from the newest promise to the oldest. Nothing else is changed, and
no id. Source: BPMN 2.0.2, §13.5.4; drawing document, §12.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from newel.drawing.graph import Edge, Graph, Node

__all__ = ["UNDO", "nested"]

UNDO = "undo"
"""The `act` of a container that holds the promises of the one around it."""


def nested(graph: Graph) -> Graph:
    """The same graph, with the promises of each block in a container of their own."""
    for node in list(graph.nodes.values()):
        if node.kind == "boundary" and node.host and node.parent == node.host:
            graph = _apart(graph, node)
    return graph


def _apart(graph: Graph, begun: Node) -> Graph:
    """Move what follows the boundary `begun`, which stands inside its own container."""
    block = graph.nodes[begun.host]
    latest = graph.out_of(begun.id)[0]
    chain = _behind(graph, latest.dst) | {edge.dst for edge in graph.out_of(begun.id)}
    inner = f"{block.id}:undo"
    nodes = dict(graph.nodes)
    nodes[inner] = replace(block, id=inner, kind="container", act=UNDO, label="Put back",
                           parent=block.id, pattern=None, multi="", need="")  # fmt: skip
    for id_ in chain:
        nodes[id_] = replace(nodes[id_], parent=inner)
    nodes[begun.id] = replace(begun, kind="start", host="", parent=inner)
    edges: list[Edge] = []
    for edge in graph.edges:
        if edge.dst in chain and edge.src not in {*chain, begun.id}:
            end = _early(graph, edge, block)
            nodes[end.id] = end
            edges.append(replace(edge, dst=end.id, kind="fail"))
        elif edge.src != begun.id or edge is latest:
            edges.append(edge)
    return Graph(nodes, tuple(edges))


def _early(graph: Graph, edge: Edge, block: Node) -> Node:
    """Where a failure of the block ends in it, so that its promises can be kept."""
    stop = graph.nodes[edge.dst]
    if stop.kind == "undo":
        stop = replace(stop, kind="error_end", label="Fails", pattern=None, act="")
    return replace(stop, id=f"{edge.src}:fails", parent=block.id)


def _behind(graph: Graph, first: str) -> set[str]:
    """A node and all that it leads to."""
    found: set[str] = set()
    todo: list[str] = [first]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += _targets(graph.out_of(node))
    return found


def _targets(edges: Iterable[Edge]) -> list[str]:
    return [edge.dst for edge in edges]
