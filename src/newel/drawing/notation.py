"""Which sign of BPMN stands for what: elements, the events that they wait for, and notes.

Where BPMN has a construct with the same meaning it is taken; where it has none, the nearest one
with a note. Source: BPMN 2.0.2, §10.5 and §10.6; drawing document, §12.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from newel.drawing.graph import Graph, Node
from newel.drawing.regions import Act, Race, Raise, Scope

__all__ = ["definitions_of", "note_of", "sign_of"]

_TAGS: Final = {
    "start": "startEvent",
    "end": "endEvent",
    "error_end": "endEvent",
    "stop_end": "endEvent",
    "xor_split": "exclusiveGateway",
    "xor_merge": "exclusiveGateway",
    "and_split": "parallelGateway",
    "and_join": "parallelGateway",
    "n_join": "complexGateway",
    "event_split": "eventBasedGateway",
    "container": "subProcess",
    "boundary": "boundaryEvent",
    "undo": "serviceTask",
    "again": "callActivity",
}
_ACTS: Final = {
    "step": "serviceTask",
    "approval": "userTask",
    "form": "userTask",
    "timer": "intermediateCatchEvent",
    "event": "intermediateCatchEvent",
    "child": "callActivity",
    "spawn": "intermediateThrowEvent",
}


def sign_of(graph: Graph, node: Node) -> str:
    """The name of the element that stands for a node."""
    if node.kind == "and_join" and node.id.endswith(":lost"):
        return "complexGateway"
    if node.kind != "act":
        return _TAGS.get(node.kind, "group")
    is_raced = any(graph.nodes[edge.src].kind == "event_split" for edge in graph.into(node.id))
    if is_raced and node.act in {"approval", "form"}:
        return "receiveTask"  # the only task that BPMN allows behind a gateway of events
    if node.multi and node.act in {"timer", "event", "spawn"}:
        return {"timer": "task", "event": "receiveTask", "spawn": "sendTask"}[node.act]
    if _is_cancelling(graph, node):
        return "intermediateThrowEvent"
    return _ACTS.get(node.act, "task")


def _is_cancelling(graph: Graph, node: Node) -> bool:
    """Whether an act cancels a scope of its process."""
    region = node.region
    if not isinstance(region, Act) or region.verb != "cancel":
        return False
    scopes = {each.region.name for each in graph.nodes.values() if isinstance(each.region, Scope)}
    return str(region.pattern).removesuffix(".cancel") in scopes


def definitions_of(graph: Graph, node: Node) -> Iterator[tuple[str, str]]:
    """What an event waits for or tells: kinds and names."""
    region, name = node.region, node.id.rpartition(":")[2]
    match node.kind:
        case "boundary":
            yield _attached(graph, node)
        case "start" if name == "cancelled":
            yield "signal", node.id.removesuffix(":on:cancelled")
            if any(each.id.endswith(":fails") and each.parent == graph.nodes[node.parent].parent
                   for each in graph.nodes.values()):  # fmt: skip
                yield "error", ""
        case "error_end":
            yield "error", region.name if isinstance(region, Raise) else _failure(node)
        case "stop_end" if isinstance(region, Race) and ":stop:" not in node.id:
            yield "terminate", ""
        case "stop_end" if name != "cancelled" and ":stop:" in node.id:
            yield "escalation", node.id.replace(":stop:", ":on:")
        case "act" if isinstance(region, Act):
            yield _awaited(node, region)
        case _:
            pass


def _failure(node: Node) -> str:
    """The exception with which a part ends, as the id of its node tells it; "" for any."""
    return "" if node.id.endswith(":fails") else node.id.rpartition(":")[2].partition("~")[0]


def _attached(graph: Graph, node: Node) -> tuple[str, str]:
    host, name = graph.nodes[node.host], node.id.rpartition(":on:")[2]
    if isinstance(host.region, Scope) and name == "cancelled":
        return "signal", host.region.name
    if host.within and name == "Overdue":
        return "timer", host.within
    stop = graph.nodes.get(f"{host.id}:stop:{name}")
    if stop is not None and stop.kind == "stop_end":
        return "escalation", node.id
    return "error", name


def _awaited(node: Node, act: Act) -> tuple[str, str]:
    match act.act:
        case "timer":
            return "timer", act.at or act.after or str(act.live or act.call)
        case "event":
            return ("message" if act.is_buffered else "signal"), act.name
        case "spawn":
            return "message", f"start {node.process}"
        case _:
            return "signal", str(act.pattern).removesuffix(".cancel")


def note_of(node: Node) -> str | None:
    """What BPMN has no sign for."""
    match node.kind, node.act:
        case "container", "lock":
            return f"One at a time: {node.label}"
        case "container", "group":
            return "Grows while it runs"
        case "container", "compensation":
            return "Each promise is made before what it undoes"
        case _:
            return None
