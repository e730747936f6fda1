"""The graph: derived from the region tree by fixed rules, and whole for every process."""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from newel import Process
from newel.drawing.drawing import Drawing, drawing_of
from newel.drawing.graph import Graph
from newel.drawing.regions import acts_of
from newel.flow.ahead import source_of
from tests.unit.drawing.shipped import MISTAKEN, name_of, shipped

SHIPPED = pytest.mark.parametrize("process", shipped(), ids=name_of)


def reached(graph: Graph) -> set[str]:
    """The nodes that a token can come to."""
    found: set[str] = set()
    todo = [":start"]
    while todo:
        node = todo.pop()
        if node in found:
            continue
        found.add(node)
        todo += [edge.dst for edge in graph.out_of(node)]
        todo += [boundary.id for boundary in graph.boundaries(node)]
        if graph.nodes[node].kind == "container":
            todo.append(f"{node}:start")
    return found


@SHIPPED
def test_a_shipped_process_reads_without_a_finding(process: Process[..., Any]) -> None:
    """Every example and every pattern can be drawn, and nothing is to be said about it."""
    if process.name not in MISTAKEN:
        assert drawing_of(process).findings == ()


def not_whole(drawing: Drawing) -> list[str]:
    """What is wrong with a graph: nodes that nobody reaches or leaves, edges across borders."""
    graph = drawing.graph
    flowing = {node.id for node in graph.nodes.values() if node.kind != "frame"}
    found = [f"{each} is not reached" for each in sorted(flowing - reached(graph))]
    if [each.id for each in graph.inside("") if each.kind == "start"] != [":start"]:
        found.append("it has not one start")
    ends = {"end", "error_end", "stop_end", "frame", "container", "n_join", "boundary"}
    for node in graph.nodes.values():
        if not graph.out_of(node.id) and node.kind not in ends:
            found.append(f"{node.id} leads nowhere")
        if node.kind == "xor_split" and sum(each.default for each in graph.out_of(node.id)) != 1:
            found.append(f"{node.id} has not one default")
    return found + [
        f"{edge} crosses a border"
        for edge in graph.edges
        if graph.container_of(edge.src) != graph.container_of(edge.dst)
    ]


@SHIPPED
def test_the_graph_is_whole(process: Process[..., Any]) -> None:
    """One start, every node reached and none a dead end; no edge crosses a container."""
    assert not_whole(drawing_of(process)) == []


@SHIPPED
def test_each_act_is_one_node(process: Process[..., Any]) -> None:
    """Every key pattern has one node, whose id it is."""
    drawing = drawing_of(process)
    patterns = [act.pattern for act in acts_of(drawing.tree)]
    nodes = [node for node in drawing.graph.nodes.values() if node.pattern is not None]
    assert sorted(map(str, patterns)) == sorted(str(node.pattern) for node in nodes)
    assert all(node.id == str(node.pattern) for node in nodes)


_STEPS = """from newel import step

@step(in_doubt="repeat", system="files", runbook="files.md")
async def zipped_step(name: str) -> str:
    return name
"""
_ZIPPED = """from newel import process
from zipped_steps import zipped_step

async def helped(name: str) -> str:
    return await zipped_step(name)

@process(subject=None, owner="it")
async def zipped(name: str) -> str:
    return await helped(name)
"""


def test_a_process_in_an_archive_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that is deployed as one file has its source there, for the drawing and the version."""
    with zipfile.ZipFile(tmp_path / "company.zip", "w") as archive:
        archive.writestr("zipped.py", _ZIPPED)
        archive.writestr("zipped_steps.py", _STEPS)
    monkeypatch.syspath_prepend(str(tmp_path / "company.zip"))
    process = importlib.import_module("zipped").zipped
    assert source_of(process).split("\n# --- zipped_steps\n") == [_ZIPPED, _STEPS]
    drawing = drawing_of(process)
    assert drawing.findings == ()
    assert len(list(acts_of(drawing.tree))) == 1
