"""Atlassian's documents: the form in which Jira takes and gives texts.

Source: Atlassian Document Format, version 1.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["document_of", "text_of"]

_URL: Final = re.compile(r"https?://\S+")


def document_of(text: str) -> dict[str, object]:
    """Write text as an Atlassian document: a paragraph per block, links made clickable.

    Source: Atlassian Document Format, version 1.
    """
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return {
        "type": "doc",
        "version": 1,
        "content": [
            {"type": "paragraph", "content": _lines(block.strip("\n").split("\n"))}
            for block in blocks
        ],
    }


def _lines(lines: list[str]) -> list[dict[str, object]]:
    nodes: list[dict[str, object]] = []
    for index, line in enumerate(lines):
        if index:
            nodes.append({"type": "hardBreak"})
        nodes += _linked(line)
    return nodes


def _linked(line: str) -> list[dict[str, object]]:
    nodes: list[dict[str, object]] = []
    rest = 0
    for found in _URL.finditer(line):
        if found.start() > rest:
            nodes.append({"type": "text", "text": line[rest : found.start()]})
        mark = {"type": "link", "attrs": {"href": found[0]}}
        nodes.append({"type": "text", "text": found[0], "marks": [mark]})
        rest = found.end()
    if line[rest:]:
        nodes.append({"type": "text", "text": line[rest:]})
    return nodes


def text_of(node: Any) -> str:  # Any: an Atlassian document, as others may have written it
    """Read the text of an Atlassian document; blocks and breaks become line ends."""
    if isinstance(node, list):
        return "".join(text_of(each) for each in node)
    if not isinstance(node, dict):
        return ""
    if node.get("type") == "hardBreak":
        return "\n"
    inner = str(node.get("text") or "") + text_of(node.get("content") or [])
    return f"{inner}\n" if node.get("type") in {"paragraph", "heading", "listItem"} else inner
