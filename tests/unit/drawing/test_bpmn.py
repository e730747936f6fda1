"""BPMN: valid by OMG's schema, every reference resolves, and the diagram is whole and legible.

The schema (`tests/vectors/bpmn-2.0.2`) says what stands where. It does not say what BPMN demands
in words: which ends a flow has, that it crosses no border, what follows a gateway of events. These
rules are written here from the standard (BPMN 2.0.2, §8.3.13, §10.4.6, §10.5 and §10.6.6).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import xmlschema

from newel import Process, compensation, lock, parallel, process, step
from newel.base.errors import ProcessError
from newel.drawing.bpmn import bpmn
from newel.drawing.drawing import drawing_of
from newel.drawing.mermaid import identifier
from newel.drawing.regions import acts_of
from tests.typing.processes.offboarding import offboarding
from tests.unit.drawing.shipped import name_of, shipped

SCHEMA = Path(__file__).parents[2] / "vectors" / "bpmn-2.0.2" / "BPMN20.xsd"
MODEL = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
DIAGRAM = "{http://www.omg.org/spec/BPMN/20100524/DI}"
REFERENCES = ("sourceRef", "targetRef", "attachedToRef", "default", "bpmnElement", "errorRef",
              "signalRef", "messageRef", "escalationRef", "categoryValueRef")  # fmt: skip
CAUGHT = {"intermediateCatchEvent", "receiveTask"}

desk = lock("desk")


class NoSeat(ProcessError):
    """There is no seat left."""


@step(in_doubt="repeat", raises=NoSeat)
async def seat(name: str) -> str:
    """Take O'Hara's <seat> & "table" 🪑 ]]> -- and `go`."""
    return name


@step(in_doubt="repeat")
async def free(name: str) -> None:
    """Free a seat."""


@process(subject=None, owner="it", raises=NoSeat)
async def crowded(names: list[str]) -> str:
    """Every way out of every block: back, out of the loop, out of the process, with failures."""
    for name in names:
        async with desk:
            if name == "":
                continue
            if name == "<&'\"🪑":
                break
            if name == "none":
                return await seat["first"](name)
            await parallel(seat["left"](name), seat["right"](name))
    try:
        async with compensation() as undo:
            undo(free["one"], "one")
            await seat["one"]("one")
            if len(names) > 3:
                raise NoSeat  # noqa: TRY301 - what is drawn
            undo(free["two"], "two")
            await seat["two"]("two")
    except NoSeat:
        await free["late"]("late")
    finally:
        await free["always"]("always")
    return "seated"


EVERY = pytest.mark.parametrize("process", [*shipped(), offboarding, crowded], ids=name_of)
Box = tuple[float, float, float, float]


@lru_cache(maxsize=1)
def schema() -> xmlschema.XMLSchema:
    """OMG's schema."""
    return xmlschema.XMLSchema(SCHEMA)


def named(root: ET.Element) -> dict[str, ET.Element]:
    """All elements with an id; no id is there twice."""
    found = [each for each in root.iter() if "id" in each.attrib]
    ids = {each.attrib["id"]: each for each in found}
    assert len(ids) == len(found)
    return ids


def kind(element: ET.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def boxes(root: ET.Element) -> dict[str, Box]:
    """The bounds of what is drawn: left, top, right, low."""
    found: dict[str, Box] = {}
    for shape in root.iter(f"{DIAGRAM}BPMNShape"):
        x, y, wide, high = (float(shape[0].attrib[key]) for key in ("x", "y", "width", "height"))
        assert wide > 0
        assert high > 0
        assert shape.attrib["bpmnElement"] not in found
        found[shape.attrib["bpmnElement"]] = (x, y, x + wide, y + high)
    return found


def lines(root: ET.Element) -> dict[str, list[tuple[float, float]]]:
    """The waypoints of what connects."""
    return {
        edge.attrib["bpmnElement"]: [(float(at.attrib["x"]), float(at.attrib["y"])) for at in edge]
        for edge in root.iter(f"{DIAGRAM}BPMNEdge")
    }


def flows_of(scope: ET.Element) -> list[ET.Element]:
    """The flows right inside a process or sub-process."""
    return scope.findall(f"{MODEL}sequenceFlow")


def scopes(root: ET.Element) -> list[ET.Element]:
    """The process and its sub-processes."""
    return [each for each in root.iter() if kind(each) in {"process", "subProcess"}]


@EVERY
def test_it_is_valid_and_every_reference_resolves(process: Process[..., Any]) -> None:
    """By OMG's schema; a second writing has the same bytes; each act is there once, by its id."""
    drawing = drawing_of(process)
    assert drawing.errors == ()
    text = bpmn(drawing)
    schema().validate(text)
    assert text == bpmn(drawing)
    root = ET.fromstring(text)
    ids = named(root)
    for element in root.iter():
        for name in REFERENCES:
            if name in element.attrib:
                assert element.attrib[name] in ids, (element.attrib, name)
        if kind(element) in {"incoming", "outgoing"}:
            assert (element.text or "") in ids
    for act in acts_of(drawing.tree):
        element = ids[identifier(act.id)]
        assert element[0][0].attrib["pattern"] == str(act.pattern)


@EVERY
def test_flows_have_their_ends_where_the_standard_allows(process: Process[..., Any]) -> None:
    """Both in one scope; starts are not entered and ends not left; boundaries stand on something.

    Nothing else lacks a way in or out, but what lies beside the flow: an event sub-process. A join
    waits for as many as were forked. What has a default is a gateway, and each other way out of a
    choice has a condition.
    """
    root = ET.fromstring(bpmn(drawing_of(process)))
    for scope in scopes(root):
        nodes = {each.attrib["id"]: each for each in scope if each.find(f"{MODEL}extensionElements")
                 is not None}  # fmt: skip
        starts = [each for each in nodes.values() if kind(each) == "startEvent"]
        assert len(starts) == 1
        is_triggered = any(kind(each).endswith("EventDefinition") for each in starts[0])
        assert is_triggered == ("triggeredByEvent" in scope.attrib)
        for flow in flows_of(scope):
            source, target = nodes[flow.attrib["sourceRef"]], nodes[flow.attrib["targetRef"]]
            if kind(source) == "eventBasedGateway":
                assert kind(target) in CAUGHT
            is_choice = kind(source) == "exclusiveGateway" and "default" in source.attrib
            is_other = is_choice and source.attrib["default"] != flow.attrib["id"]
            assert (flow.find(f"{MODEL}conditionExpression") is not None) == is_other, flow.attrib
        for id_, node in nodes.items():
            into = [each.text for each in node.findall(f"{MODEL}incoming")]
            out = [each.text for each in node.findall(f"{MODEL}outgoing")]
            flows = flows_of(scope)
            assert into == [each.get("id") for each in flows if each.get("targetRef") == id_]
            assert out == [each.get("id") for each in flows if each.get("sourceRef") == id_]
            if kind(node) == "parallelGateway" and id_.endswith("_3ajoin"):
                fork = nodes[id_.removesuffix("_3ajoin")]
                assert len(into) == len(fork.findall(f"{MODEL}outgoing")), id_
            is_beside = "triggeredByEvent" in node.attrib
            assert bool(into) != (kind(node) in {"startEvent", "boundaryEvent"} or is_beside), id_
            if kind(node) == "boundaryEvent":
                assert node.attrib["attachedToRef"] in nodes
            if kind(node) == "endEvent" or is_beside:
                assert out == []
            elif kind(node) not in {"subProcess", "complexGateway"}:
                assert out, id_


@EVERY
def test_the_diagram_is_whole_and_nothing_overlaps(process: Process[..., Any]) -> None:
    """A shape for every node and a line for every flow, from border to border, square.

    Nodes of one scope stand apart and in it, boundary events on the low border of their host, and
    a line crosses no node.
    """
    root = ET.fromstring(bpmn(drawing_of(process)))
    shapes, ways = boxes(root), lines(root)
    for scope in scopes(root):
        outer = shapes.get(scope.attrib["id"], (0.0, 0.0, 1e9, 1e9))
        nodes = [each for each in scope if each.find(f"{MODEL}extensionElements") is not None]
        solid = {each.attrib["id"]: shapes[each.attrib["id"]] for each in nodes
                 if kind(each) != "boundaryEvent"}  # fmt: skip
        for one, two in combinations(solid.values(), 2):
            assert not _overlap(one, two), (one, two)
        for each in solid.values():
            assert outer[0] < each[0] < each[2] < outer[2]
            assert outer[1] < each[1] < each[3] < outer[3]
        for node in nodes:
            if kind(node) == "boundaryEvent":
                host, own = shapes[node.attrib["attachedToRef"]], shapes[node.attrib["id"]]
                assert host[0] <= own[0] < own[2] <= host[2]
                assert host[3] == pytest.approx((own[1] + own[3]) / 2, abs=0.11)
        for flow in flows_of(scope):
            points = ways[flow.attrib["id"]]
            assert len(points) > 1
            assert _touches(shapes[flow.attrib["sourceRef"]], points[0])
            assert _touches(shapes[flow.attrib["targetRef"]], points[-1])
            for (x, y), (to_x, to_y) in pairwise(points):
                assert x == to_x or y == to_y
                line = (min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y))
                crossed = [id_ for id_, each in solid.items() if _overlap(each, line)]
                assert crossed == [], (flow.attrib["id"], crossed)
    expected = {each.attrib["id"] for each in root.iter() if kind(each) in
                {"sequenceFlow", "association"}}  # fmt: skip
    assert set(ways) == expected


def test_what_has_no_equal_is_mapped_by_the_standard() -> None:
    """Leaving a block early is an escalation, undoing a sub-process; labels come as they are."""
    root = ET.fromstring(bpmn(drawing_of(crowded)))
    ids = named(root)
    undone = next(each for each in scopes(root) if "triggeredByEvent" in each.attrib)
    flows = [(each.attrib["sourceRef"], each.attrib["targetRef"]) for each in flows_of(undone)]
    newest, oldest = identifier("undo/free[two]"), identifier("undo/free[one]")
    assert (newest, oldest) in flows
    begun = next(each for each in undone if kind(each) == "startEvent")
    assert [kind(each) for each in begun if "EventDefinition" in kind(each)] == [
        "signalEventDefinition",
        "errorEventDefinition",
    ]
    left = [each for each in ids.values() if each.find(f"{MODEL}escalationEventDefinition")
            is not None]  # fmt: skip
    assert {kind(each) for each in left} == {"endEvent", "boundaryEvent"}
    name = ids[identifier("seat[one]")].attrib["name"]
    assert name == "Take O'Hara's <seat> & \"table\" 🪑 ]]> -- and go"


def test_a_run_colours_it_and_changes_nothing_else() -> None:
    """The state of an act is told and shown; the file stays valid."""
    text = bpmn(drawing_of(crowded), {"seat[one]": "parked"})
    schema().validate(text)
    root = ET.fromstring(text)
    assert named(root)[identifier("seat[one]")][0][0].attrib["state"] == "parked"
    plain = bpmn(drawing_of(crowded))
    assert text.count('bioc:fill="#fee2e2"') == 1
    assert boxes(root) == boxes(ET.fromstring(plain))


def _overlap(one: Box, two: Box) -> bool:
    return (
        one[0] < two[2] - 0.2
        and two[0] < one[2] - 0.2
        and one[1] < two[3] - 0.2
        and two[1] < one[3] - 0.2
    ) or _crosses(one, two)


def _crosses(box: Box, line: Box) -> bool:
    """Whether a line, a box without width or height, goes through a box."""
    if line[0] != line[2] and line[1] != line[3]:
        return False
    return (
        line[0] < box[2] - 0.2
        and box[0] + 0.2 < line[2]
        and line[1] < box[3] - 0.2
        and box[1] + 0.2 < line[3]
    )


def _touches(box: Box, point: tuple[float, float]) -> bool:
    x, y = point
    is_in = box[0] - 0.2 <= x <= box[2] + 0.2 and box[1] - 0.2 <= y <= box[3] + 0.2
    return is_in and min(abs(x - box[0]), abs(x - box[2]), abs(y - box[1]), abs(y - box[3])) < 0.2
