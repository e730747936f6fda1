"""The drawing of one process: tree, graph, patterns and findings, read once for each version.

It is derived from the code and from nothing else, so nobody can forget to bring it up to date.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final

import orjson

from newel.base.findings import Finding
from newel.domain.patterns import Patterns
from newel.drawing.building import graph_of
from newel.drawing.graph import Graph
from newel.drawing.reader import Reading, read
from newel.drawing.regions import Act, Seq, Where, acts_of, as_document
from newel.drawing.rules import Allowed, allowed_in, sorted_out
from newel.flow.process import Process

__all__ = ["READER", "Drawing", "drawing_of", "errors_of", "findings_of", "unregistered"]

READER: Final = 1
"""The reader's own version: a change of its rules makes new drawings of old code."""
SCHEMA: Final = "newel.drawing/1"


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A process as it is drawn.

    findings: what is wrong with it, sorted, silenced warnings left out. allowed: what was silenced,
    with the reason. tree: empty where nothing could be read; then there are errors. entrusted:
    processes that it begins only after somebody has said yes.
    """

    process: Process[..., Any] = field(repr=False)  # Any: each process has its own result
    tree: Seq = field(repr=False)
    findings: tuple[Finding, ...]
    allowed: tuple[Allowed, ...]
    source_sha256: str
    entrusted: frozenset[str] = frozenset()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep the process from being registered."""
        return tuple(each for each in self.findings if each.level == "error")

    @cached_property
    def graph(self) -> Graph:
        """The same as nodes and edges."""
        return graph_of(self.tree)

    @cached_property
    def patterns(self) -> Patterns:
        """The patterns of all keys that this code can make."""
        return Patterns(act.pattern for act in acts_of(self.tree))

    @cached_property
    def shape_sha256(self) -> str:
        """Hex digest of what is drawn; labels, lines and titles do not count."""
        nodes = sorted((node.id, node.kind) for node in self.graph.nodes.values())
        edges = sorted((edge.src, edge.dst, edge.kind, edge.cond) for edge in self.graph.edges)
        return hashlib.sha256(orjson.dumps([nodes, edges])).hexdigest()

    def document(self) -> dict[str, object]:
        """The stored form, as plain data; `as_json` writes it canonically."""
        nodes = [_plain(node) for node in self.graph.nodes.values()]
        return {
            "schema": SCHEMA,
            "process": self.process.name,
            "title": self.process.title,
            "module": self.process.function.__module__,
            "reader": READER,
            "source_hash": self.source_sha256,
            "shape_hash": self.shape_sha256,
            "tree": as_document(self.tree),
            "nodes": nodes,
            "edges": [_plain(edge) for edge in self.graph.edges],
            "patterns": sorted(str(act.pattern) for act in acts_of(self.tree)),
            "warnings": [str(each) for each in self.findings if each.level == "warning"],
        }

    def as_json(self) -> bytes:
        """Canonical JSON: sorted keys, no white space, UTF-8."""
        return orjson.dumps(self.document(), option=orjson.OPT_SORT_KEYS)


@lru_cache(maxsize=256)
def drawing_of(process: Process[..., Any]) -> Drawing:  # Any: as above
    """Read a process; what is wrong with it stands in its findings. Raises nothing."""
    return _drawn(read(process))


def _drawn(reading: Reading) -> Drawing:
    findings, silenced = sorted_out(reading.findings, _allowed(reading))
    where = findings[0] if reading.tree is None and findings else None
    tree = reading.tree or _nothing(reading, 1 if where is None else where.line)
    return Drawing(
        process=reading.process,
        tree=tree,
        findings=findings,
        allowed=silenced,
        source_sha256=reading.source_sha256,
        entrusted=reading.entrusted,
    )


def _nothing(reading: Reading, line: int) -> Seq:
    return Seq(id="", where=Where(reading.process.function.__module__, line, line))


def _allowed(reading: Reading) -> Iterable[Allowed]:
    for source in reading.sources:
        yield from allowed_in(source.module, source.comments)


def errors_of(processes: Iterable[Process[..., Any]]) -> Iterator[Finding]:  # Any: as above
    """All that keeps processes from being registered, because they cannot be drawn."""
    return (each for each in findings_of(processes) if each.level == "error")


def findings_of(
    processes: Iterable[Process[..., Any]],  # Any: as above; below, too
    *,
    among: Iterable[Process[..., Any]] = (),
) -> Iterator[Finding]:
    """What is wrong with processes, seen together; among: further ones that may begin them.

    What a process does without a decision of its own is decided where another one, which was told
    yes before, begins it: such a process is not asked for a decision (F601).
    """
    own = list(processes)
    drawings = [drawing_of(each) for each in own]
    every = [*drawings, *(drawing_of(each) for each in among)]
    entrusted = frozenset().union(*(each.entrusted for each in every))
    for process, drawing in zip(own, drawings, strict=True):
        is_entrusted = process.name in entrusted
        for each in drawing.findings:
            if each.code != "F601" or not is_entrusted:
                yield each


def unregistered(
    processes: Iterable[Process[..., Any]],  # Any: as above
    known: Container[str],
) -> Iterator[Finding]:
    """Calls of processes as child runs that could not be started, for nobody has registered them.

    known: the names of all that are registered. It is told of the calls that can be seen; a run
    that comes to another one parks.
    """
    for process in processes:
        for act in acts_of(drawing_of(process).tree):
            if not isinstance(act, Act) or act.act not in {"child", "spawn"}:
                continue
            if act.name not in known:
                yield Finding(
                    module=act.where.module,
                    line=act.where.line,
                    column=act.where.column,
                    code="F714",
                    what=f"`{process.name}` starts `{act.name}`, which is not registered: its runs "
                    "would stop here.",
                    fix=f"register `{act.name}` beside `{process.name}`.",
                )


def _plain(part: Any) -> dict[str, object]:  # Any: a node or an edge
    found: dict[str, object] = {}
    for each in dataclasses.fields(part):
        value: object = getattr(part, each.name)
        if each.name != "region" and value not in ("", None, False):
            found[each.name] = as_document(value)
    return found
