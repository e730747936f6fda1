"""The graph as BPMN can nest it: what undoes a block stands apart from it, as an event sub-process.

In BPMN no flow crosses the border of a sub-process, and cancelling one comes from outside. The
promises of a `compensation` become a sub-process of their own inside it: it begins when the block
fails or is cancelled, and goes from the newest promise to the oldest. And a join of BPMN waits for
one token on each of its flows, so what ends a branch well or badly is merged before it. Many of one
kind that a race counts need no join: they are enough when as many have ended. Nothing else is
changed, and no id. Source: BPMN 2.0.2, §13.5.4; drawing document, §12.3.
"""

from __future__ import annotations

from dataclasses import replace

from newel.drawing.graph import Edge, Graph, Node
from newel.drawing.regions import Race

__all__ = ["UNDO", "nested"]

UNDO = "undo"
"""The `act` of a container that holds the promises of the one around it."""


def nested(graph: Graph) -> Graph:
    """The same graph, with the promises of each block apart, and one flow for each branch."""
    for node in list(graph.nodes.values()):
        if node.kind == "and_join" and node.id.removesuffix(":join") in graph.nodes:
            graph = _gathered(graph, node, node.id.removesuffix(":join"))
        elif node.kind == "n_join":
            graph = _counted(graph, node)
    for node in list(graph.nodes.values()):
        if node.kind == "boundary" and node.host and node.parent == node.host:
            graph = _apart(graph, node)
    return graph


def _gathered(graph: Graph, join: Node, fork: str) -> Graph:
    """Merge the ends of each branch before its join."""
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for branch in graph.out_of(fork):
        inside = _behind(graph, branch.dst, join.id)
        ends = [edge for edge in graph.into(join.id) if edge.src in inside]
        if len(ends) > 1:
            id_ = f"{join.id}:{branch.dst}"
            nodes[id_] = replace(join, id=id_, kind="xor_merge")
            edges = [replace(each, dst=id_) if each in ends else each for each in edges]
            edges.append(Edge(src=id_, dst=join.id))
    return Graph(nodes, tuple(edges))


def _counted(graph: Graph, join: Node) -> Graph:
    """Let many of one kind count themselves, where the rest of them is withdrawn."""
    ways, race = graph.into(join.id), join.region
    is_many = len(ways) == 1 and graph.nodes[ways[0].src].multi == "par"
    fails = join.id.removesuffix(":join") + ":lost" in graph.nodes
    if not is_many or fails or not isinstance(race, Race) or race.losers == "finish":
        return graph
    many = ways[0].src
    nodes = {id_: each for id_, each in graph.nodes.items() if id_ != join.id}
    nodes[many] = replace(nodes[many], need=join.need)
    behind = graph.out_of(join.id)[0]
    edges = [replace(ways[0], dst=behind.dst) if each == ways[0] else each
             for each in graph.edges if each != behind]  # fmt: skip
    return Graph(nodes, tuple(edges))


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


def _behind(graph: Graph, first: str, until: str = "") -> set[str]:
    """A node and all that it leads to, also when it fails; not what is from a node on."""
    found: set[str] = set()
    todo: list[str] = [first]
    while todo:
        node = todo.pop()
        if node not in found and node != until:
            found.add(node)
            todo += [edge.dst for edge in graph.out_of(node)]
            todo += [boundary.id for boundary in graph.boundaries(node)]
    return found
