"""The graph as a Mermaid flowchart: for pages that are written in Markdown.

The same graph always gives the same bytes. Labels are data: whatever could be syntax is written as
an entity. Source: drawing document, §11.4 and §12.2.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from newel.drawing.graph import Edge, Graph, Node

__all__ = ["CLASSES", "COLOURS", "flowchart", "identifier"]

_SHAPES: Final = {
    "start": ("([", "])"),
    "end": ("([", "])"),
    "error_end": ("([", "])"),
    "stop_end": ("([", "])"),
    "xor_split": ("{", "}"),
    "xor_merge": ("{", "}"),
    "event_split": ("{", "}"),
    "and_split": ("{{", "}}"),
    "and_join": ("{{", "}}"),
    "n_join": ("{{", "}}"),
    "boundary": ("[\\", "\\]"),
    "again": ("[[", "]]"),
}
_ACTS: Final = {
    "approval": ("[/", "/]"),
    "form": ("[/", "/]"),
    "timer": ("((", "))"),
    "event": ("((", "))"),
    "child": ("[[", "]]"),
    "spawn": ("[[", "]]"),
}
_ARROWS: Final = {"flow": "-->", "back": "-->", "jump": "-->", "fail": "-.->", "undo": "-.->"}
COLOURS: Final = {
    "done": ("#dcfce7", "#15803d", "#14532d"),
    "live": ("#dbeafe", "#1d4ed8", "#1e3a8a"),
    "parked": ("#fee2e2", "#b91c1c", "#7f1d1d"),
    "off": ("#f5f5f4", "#a8a29e", "#78716c"),
}
"""Fill, border and text of what is in a state of one of these classes."""
CLASSES: Final = {
    "done": "done",
    "by-hand": "done",
    "skipped": "done",
    "running": "live",
    "retrying": "live",
    "in-doubt": "live",
    "task": "live",
    "waiting": "live",
    "parked": "parked",
    "failed": "parked",
    "cancelled": "off",
    "not-needed": "off",
}
"""The class of each state that has colours."""
_MULTI: Final = {"seq": " ≡", "par": " |||", "grows": " +"}


def identifier(id_: str) -> str:
    """An id that readers of diagrams take: `n_` and the id, every other byte as `_hh`."""
    kept = re.compile(rb"[A-Za-z0-9]")
    parts = (chr(byte) if kept.match(bytes([byte])) else f"_{byte:02x}" for byte in id_.encode())
    return "n_" + "".join(parts)


def flowchart(graph: Graph, states: Mapping[str, str] | None = None) -> str:
    """Write a graph as a flowchart, coloured by states, by node, if there are any."""
    inside: dict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes.values():
        inside[node.parent].append(node)
    lines = ["flowchart TD", *_nodes("", inside, 1)]
    lines += [f"  {_edge(each)}" for each in graph.edges]
    lines += [
        f"  {identifier(node.host)} -.- {identifier(node.id)}"
        for node in graph.nodes.values()
        if node.host
    ]
    return "\n".join([*lines, *_coloured(graph, states or {})]) + "\n"


def _nodes(parent: str, inside: dict[str, list[Node]], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for node in inside[parent]:
        if node.kind in {"container", "frame"}:
            yield f'{indent}subgraph {identifier(node.id)}["{_escaped(node.label) or " "}"]'
            yield from _nodes(node.id, inside, depth + 1)
            yield f"{indent}end"
        else:
            opened, closed = _ACTS.get(node.act) or _SHAPES.get(node.kind, ("[", "]"))
            label = (_escaped(node.label) or _plain(node)) + _MULTI.get(node.multi, "")
            yield f'{indent}{identifier(node.id)}{opened}"{label}"{closed}'


def _plain(node: Node) -> str:
    """What a node without a label shows; an empty one is no Mermaid."""
    return {"and_split": "+", "and_join": "+", "start": "Start", "end": "Done"}.get(node.kind, " ")


def _edge(edge: Edge) -> str:
    label = f'|"{_escaped(edge.label)}"|' if edge.label else ""
    return f"{identifier(edge.src)} {_ARROWS[edge.kind]}{label} {identifier(edge.dst)}"


def _coloured(graph: Graph, states: Mapping[str, str]) -> Iterator[str]:
    classes: dict[str, list[str]] = defaultdict(list)
    for node in graph.nodes.values():
        name = CLASSES.get(states.get(node.id, ""))
        if name is not None:
            classes[name].append(identifier(node.id))
    for name, (fill, border, text) in COLOURS.items():
        if classes[name]:
            yield f"  classDef {name} fill:{fill},stroke:{border},color:{text}"
            yield f"  class {','.join(classes[name])} {name}"


def _escaped(text: str) -> str:
    """A label in quotes: nothing of it can be read as syntax, HTML or Markdown."""
    flat = " ".join(text.split())
    return re.sub(r'[#"<>&`\\*_|\[\]{}()\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]', _entity, flat)


def _entity(found: re.Match[str]) -> str:
    return f"#{ord(found[0])};"
