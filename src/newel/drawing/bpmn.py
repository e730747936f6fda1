"""The graph as BPMN 2.0 XML with coordinates: for readers and modellers of other makers.

It is for exchange and documentation, not to be executed: conditions are Python source. The same
graph always gives the same bytes, and every id is made from the id of the node, so it survives
edits elsewhere. What BPMN has no equal for (locks, groups that grow) carries a note.
Source: BPMN 2.0.2 (formal/2013-12-09); drawing document, §12.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree import ElementTree as ET

from newel.drawing.drawing import Drawing
from newel.drawing.graph import Edge, Node
from newel.drawing.grid import NOTE, Arrangement, Bounds, arranged
from newel.drawing.lettering import legible
from newel.drawing.mermaid import CLASSES, COLOURS, identifier
from newel.drawing.notation import definitions_of, note_of, sign_of
from newel.drawing.regions import Act
from newel.drawing.subprocesses import UNDO, nested

__all__ = ["bpmn"]

_SPACES: Final = {
    "": "http://www.omg.org/spec/BPMN/20100524/MODEL",
    "bpmndi": "http://www.omg.org/spec/BPMN/20100524/DI",
    "dc": "http://www.omg.org/spec/DD/20100524/DC",
    "di": "http://www.omg.org/spec/DD/20100524/DI",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "color": "http://www.omg.org/spec/BPMN/non-normative/color/1.0",
    "bioc": "http://bpmn.io/schema/bpmn/biocolor/1.0",
    "newel": "urn:newel:bpmn:1",
}
_PYTHON: Final = "urn:newel:python"
_UNNAMED: Final = {
    "start": "Begins",
    "end": "Ends",
    "stop_end": "Ends",
    "xor_split": "Which way?",
    "boundary": "Leaves early",
}
_MAIN: Final = ":process"


def bpmn(drawing: Drawing, states: Mapping[str, str] | None = None) -> str:
    """Write a process as BPMN 2.0 XML, coloured by states, by node, if there are any."""
    return _Writer(drawing, states or {}).written()


class _Writer:
    """Writes one document; root elements that others name are made when they are named first."""

    def __init__(self, drawing: Drawing, states: Mapping[str, str]) -> None:
        self.drawing, self.graph, self.states = drawing, nested(drawing.graph), states
        graph = self.graph
        self.tags = {node.id: sign_of(graph, node) for node in graph.nodes.values()}
        self.notes = {
            node.id: note for node in graph.nodes.values() if (note := note_of(node)) is not None
        }
        events = [id_ for id_, tag in self.tags.items() if tag.startswith("intermediate")]
        self.places: Arrangement = arranged(graph, events, self.notes)
        self.flows = list(zip(graph.edges, _flow_ids(graph.edges), strict=True))
        self.named: dict[str, ET.Element] = {}

    def written(self) -> str:
        """The document."""
        process = self.drawing.process
        root = ET.Element("definitions", {
            **{f"xmlns:{key}" if key else "xmlns": value for key, value in _SPACES.items()},
            "id": f"definitions_{identifier(process.name)}",
            "targetNamespace": f"{_SPACES['newel']}:{identifier(process.name)}",
            "expressionLanguage": _PYTHON,
            "exporter": "newel",
        })  # fmt: skip
        main = ET.Element("process", {
            "id": identifier(_MAIN), "name": legible(process.title), "isExecutable": "false",
        })  # fmt: skip
        self._inside(main, "")
        root.extend([*self.named.values(), main])
        diagram = _put(root, "bpmndi:BPMNDiagram", id="diagram")
        plane = _put(diagram, "bpmndi:BPMNPlane", id="plane", bpmnElement=identifier(_MAIN))
        self._shapes(plane)
        ET.indent(root)
        head = '<?xml version="1.0" encoding="UTF-8"?>\n'
        return head + ET.tostring(root, encoding="unicode") + "\n"

    # --- what there is --------------------------------------------------------------------------

    def _inside(self, into: ET.Element, container: str) -> None:
        """The nodes and flows of a container, then what only explains them."""
        graph = self.graph
        here = [each for each in graph.nodes.values() if graph.container_of(each.id) == container]
        for node in here:
            if node.kind != "frame":
                self._node(into, node)
        for edge, id_ in self.flows:
            if graph.container_of(edge.src) == container:
                self._flow(into, edge, id_)
        for node in here:
            if node.kind == "frame" and self._frame(node) is not None:
                value = self._category(node)
                _put(into, "group", id=identifier(node.id), categoryValueRef=value)
            elif node.id in self.notes:
                note = f"note_{identifier(node.id)}"
                said = _put(into, "textAnnotation", id=note)
                _put(said, "text").text = legible(self.notes[node.id])
                _put(into, "association", id=f"to_{note}", sourceRef=identifier(node.id),
                     targetRef=note)  # fmt: skip

    def _node(self, into: ET.Element, node: Node) -> None:
        tag = self.tags[node.id]
        found = _put(into, tag, id=identifier(node.id))
        name = node.label or _UNNAMED.get(node.kind, "")
        if name:
            found.set("name", _title(name))
        if node.host:
            found.set("attachedToRef", identifier(node.host))
        if node.act == UNDO and node.kind == "container":
            found.set("triggeredByEvent", "true")
        ways = [(edge, id_) for edge, id_ in self.flows if node.id in {edge.src, edge.dst}]
        for edge, id_ in ways:
            if edge.default and edge.src == node.id:
                found.set("default", id_)
        _put(_put(found, "extensionElements"), "newel:act",
             **_facts(node, self.states.get(node.id, "")))  # fmt: skip
        for way, end in (("incoming", "dst"), ("outgoing", "src")):
            for edge, id_ in ways:
                if getattr(edge, end) == node.id:
                    _put(found, way).text = id_
        self._detail(found, node, tag)

    def _detail(self, found: ET.Element, node: Node, tag: str) -> None:
        """What a kind of node holds besides, in the order of the schema."""
        if tag == "userTask" and node.by:
            owner = _put(found, "potentialOwner", id=f"owner_{identifier(node.id)}")
            by = _put(_put(owner, "resourceAssignmentExpression"), "formalExpression")
            by.text, by.attrib["language"] = legible(node.by), _PYTHON
        if node.multi in {"seq", "par"}:
            many = _put(found, "multiInstanceLoopCharacteristics",
                        isSequential="true" if node.multi == "seq" else "false")  # fmt: skip
            if node.need:
                self._python(many, "completionCondition", f"{node.need} have ended well")
        if node.kind == "container":
            self._inside(found, node.id)
        if tag == "complexGateway":
            said = f"{node.need} have ended well" if node.need else "too many have failed"
            self._python(found, "activationCondition", said)
        if tag.endswith("Event"):
            self._definitions(found, node)

    def _definitions(self, found: ET.Element, node: Node) -> None:
        for kind, name in definitions_of(self.graph, node):
            id_ = f"when_{kind}_{identifier(node.id)}"
            defined = _put(found, f"{kind}EventDefinition", id=id_)
            if kind == "timer":
                tag = "timeDate" if isinstance(node.region, Act) and node.region.at \
                    else "timeDuration"  # fmt: skip
                self._python(defined, tag, name)
            elif name:
                defined.set(f"{kind}Ref", self._root(kind, name))

    def _flow(self, into: ET.Element, edge: Edge, id_: str) -> None:
        flow = _put(into, "sequenceFlow", id=id_)
        if edge.label and not self.graph.nodes[edge.src].host:  # a boundary says it itself
            flow.set("name", _title(edge.label))
        flow.set("sourceRef", identifier(edge.src))
        flow.set("targetRef", identifier(edge.dst))
        is_choice = self.graph.nodes[edge.src].kind == "xor_split"
        if is_choice and not edge.default and len(self.graph.out_of(edge.src)) > 1:
            self._python(flow, "conditionExpression", edge.cond or edge.label or edge.tag)

    @staticmethod
    def _python(into: ET.Element, tag: str, source: str) -> None:
        """An expression, as source."""
        kind = {"xsi:type": "tFormalExpression", "language": _PYTHON}
        _put(into, tag, **kind).text = legible(source)

    def _root(self, kind: str, name: str) -> str:
        """The id of an error, a signal, a message or an escalation."""
        id_ = f"{kind}_{identifier(name)}"
        if id_ not in self.named:
            found = self.named[id_] = ET.Element(kind, {"id": id_, "name": legible(name)})
            if kind in {"error", "escalation"}:
                found.set(f"{kind}Code", legible(name))
        return id_

    def _category(self, node: Node) -> str:
        value = f"value_{identifier(node.id)}"
        category = self.named[value] = ET.Element("category", {
            "id": f"category_{identifier(node.id)}", "name": _title(node.label),
        })  # fmt: skip
        _put(category, "categoryValue", id=value, value=_title(node.label))
        return value

    # --- where it stands ------------------------------------------------------------------------

    def _shapes(self, plane: ET.Element) -> None:
        for node in sorted(self.graph.nodes.values(), key=self._depth):
            bounds = self._frame(node) if node.kind == "frame" else self.places.shapes[node.id]
            if bounds is None:
                continue
            more = {"isExpanded": "true"} if node.kind == "container" else {}
            if self.tags[node.id] == "exclusiveGateway":
                more = {"isMarkerVisible": "true"}
            more |= _colours(self.states.get(node.id, ""))
            shape = _shape(plane, identifier(node.id), bounds, more)
            if node.kind == "frame":
                caption = Bounds(bounds.x, bounds.y - 16, bounds.width, 14)
                _bounds(_put(shape, "bpmndi:BPMNLabel"), caption)
            if node.id in self.notes:
                self._noted(plane, node.id, bounds)
        for index, (_, id_) in enumerate(self.flows):
            _line(plane, id_, self.places.lines[index])

    def _depth(self, node: Node) -> int:
        """How many containers stand around: what lies upon another comes behind it."""
        depth, container = 0, self.graph.container_of(node.id)
        while container:
            depth, container = depth + 1, self.graph.container_of(container)
        return depth

    @staticmethod
    def _noted(plane: ET.Element, id_: str, bounds: Bounds) -> None:
        note, middle = f"note_{identifier(id_)}", bounds.x + 50
        place = Bounds(bounds.x + 30, bounds.y - NOTE, 180, NOTE - 20)
        _shape(plane, note, place, {})
        _line(plane, f"to_{note}", [(middle, bounds.y), (middle, bounds.y - 20)])

    def _frame(self, frame: Node) -> Bounds | None:
        """The rectangle around all that stands in a frame; None where it holds nothing."""
        kids = [
            self._frame(each) if each.kind == "frame" else self.places.shapes[each.id]
            for each in self.graph.inside(frame.id)
        ]
        shapes = [each for each in kids if each is not None]
        if not shapes:
            return None
        left, top = min(each.x for each in shapes) - 10, min(each.y for each in shapes) - 10
        right = max(each.x + each.width for each in shapes) + 10
        low = max(each.y + each.height for each in shapes) + 10
        return Bounds(left, top, right - left, low - top)


def _facts(node: Node, state: str) -> dict[str, str]:
    """What newel knows of a node, as attributes."""
    region = node.region
    found = {
        "node": node.id,
        "kind": node.act or node.kind,
        "pattern": "" if node.pattern is None else str(node.pattern),
        "module": node.where.module,
        "line": str(node.where.line),
        "process": node.process,
        "by": node.by,
        "within": node.within,
        "system": region.system if isinstance(region, Act) else "",
        "state": state,
    }
    return {key: legible(value) for key, value in found.items() if value}


def _colours(state: str) -> dict[str, str]:
    """What colours a shape, in the two ways that readers know."""
    fill, border, _ = COLOURS.get(CLASSES.get(state, ""), ("", "", ""))
    if not fill:
        return {}
    return {"bioc:stroke": border, "bioc:fill": fill,
            "color:background-color": fill, "color:border-color": border}  # fmt: skip


def _flow_ids(edges: tuple[Edge, ...]) -> Iterator[str]:
    """An id for each edge, made of those of its ends."""
    seen: Counter[str] = Counter()
    for edge in edges:
        id_ = f"f{identifier(edge.src)[1:]}__{identifier(edge.dst)[2:]}"
        seen[id_] += 1
        yield id_ if seen[id_] == 1 else f"{id_}__{seen[id_]}"


def _title(label: str) -> str:
    """A label without the marks of code, on one line."""
    return " ".join(legible(label.replace("`", "")).split())


def _put(into: ET.Element, tag: str, **attributes: str) -> ET.Element:
    return ET.SubElement(into, tag, attributes)


def _shape(plane: ET.Element, of: str, bounds: Bounds, more: Mapping[str, str]) -> ET.Element:
    shape = _put(plane, "bpmndi:BPMNShape", id=f"shape_{of}", bpmnElement=of, **more)
    _bounds(shape, bounds)
    return shape


def _bounds(into: ET.Element, bounds: Bounds) -> None:
    _put(into, "dc:Bounds", x=_number(bounds.x), y=_number(bounds.y),
         width=_number(bounds.width), height=_number(bounds.height))  # fmt: skip


def _line(plane: ET.Element, of: str, points: list[tuple[float, float]]) -> None:
    line = _put(plane, "bpmndi:BPMNEdge", id=f"line_{of}", bpmnElement=of)
    for x, y in points:
        _put(line, "di:waypoint", x=_number(x), y=_number(y))


def _number(value: float) -> str:
    return f"{round(value, 1):g}" if abs(value) < 100_000 else f"{value:.1f}"
