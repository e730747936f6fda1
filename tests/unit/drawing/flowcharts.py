"""A reader of the Mermaid that newel writes: it refuses what could be read otherwise."""

from __future__ import annotations

import re

_ID = r"n_(?:[A-Za-z0-9]|_[0-9a-f]{2})*"
_LABEL = r'"(?:[^"#<>&`\\*_|\[\]{}()]|#\d+;)*(?: \|\|\|)?"'
_SHAPE = (
    rf"(?:\(\[{_LABEL}\]\)|\(\({_LABEL}\)\)|\{{\{{{_LABEL}\}}\}}|\{{{_LABEL}\}}|\[\[{_LABEL}\]\]"
    rf"|\[/{_LABEL}/\]|\[\\{_LABEL}\\\]|\[{_LABEL}\])"
)
_NODE = re.compile(rf"({_ID}){_SHAPE}")
_OPENED = re.compile(rf"subgraph ({_ID})\[{_LABEL}\]")
_EDGE = re.compile(rf"({_ID}) (?:-->|-\.->|-\.-)(?:\|{_LABEL}\|)? ({_ID})")
_LOOK = re.compile(rf"classDef \w+ [\w#:,]+|class {_ID}(?:,{_ID})* \w+")


def parse(text: str) -> tuple[set[str], list[tuple[str, str]]]:
    """Read a flowchart; gives its nodes and edges, each end of which is a node."""
    first, *lines = text.splitlines()
    assert first == "flowchart TD"
    nodes: set[str] = set()
    edges: list[tuple[str, str]] = []
    depth = 0
    for line in map(str.strip, lines):
        if line == "end":
            depth -= 1
        elif (found := _OPENED.fullmatch(line) or _NODE.fullmatch(line)) is not None:
            depth += line.startswith("subgraph")
            assert found[1] not in nodes, f"{found[1]} twice"
            nodes.add(found[1])
        elif (found := _EDGE.fullmatch(line)) is not None:
            edges.append((found[1], found[2]))
        else:
            assert _LOOK.fullmatch(line) is not None, line
    assert depth == 0
    assert all(end in nodes for edge in edges for end in edge)
    return nodes, edges
