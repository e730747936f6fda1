"""An engine of other people's executes the BPMN that newel writes, and does what a run has done.

What an act waits for is outside of BPMN, so every act begins when the engine comes to it, and ends
when the run says so; the way out of a gate, and how many items there are, are told, too. All the
rest is the engine's: forks and joins, gates of events, sub-processes, boundaries, many instances,
ends that stop what is beside them. The variant that is executed differs from the export in what is
told so: times and failures of acts become messages, and conditions the names of their flows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, ClassVar

from lxml import etree
from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnParser
from SpiffWorkflow.bpmn.parser.task_parsers import GatewayParser
from SpiffWorkflow.bpmn.parser.TaskParser import TaskParser
from SpiffWorkflow.bpmn.parser.util import full_tag
from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine
from SpiffWorkflow.bpmn.specs.defaults import EventBasedGateway, ManualTask
from SpiffWorkflow.bpmn.specs.event_definitions.message import MessageEventDefinition
from SpiffWorkflow.bpmn.util.event import BpmnEvent
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.task import Task
from SpiffWorkflow.util.task import TaskState

from newel.drawing.bpmn import bpmn
from newel.drawing.drawing import Drawing
from newel.drawing.mermaid import identifier
from tests.unit.drawing.happenings import Happened
from tests.unit.drawing.joining import Join
from tests.unit.drawing.tokens import Choice

MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"
ACTS = ("serviceTask", "userTask", "task", "sendTask", "receiveTask", "callActivity")


class _Parser(BpmnParser):  # type: ignore[misc]  # it has no types
    """Each act is begun by the engine, and ended from outside."""

    OVERRIDE_PARSER_CLASSES: ClassVar = {
        full_tag("parallelGateway"): (GatewayParser, Join),
        **{full_tag(each): (TaskParser, ManualTask) for each in ACTS},
    }


class Execution:
    """A process in the engine. told: what it has done otherwise than the run, in words."""

    def __init__(self, drawing: Drawing, trace: Sequence[Happened], ways: Iterable[Choice]) -> None:
        self.told: list[str] = []
        self._drawing, self._graph = drawing, drawing.graph
        self._key: dict[Any, str] = {}  # the engine's tasks, by id
        self._ways: dict[str, list[str]] = defaultdict(list)
        self._asked: dict[Any, str] = {}
        self._many: dict[str, list[int]] = defaultdict(list)
        self._exits: dict[str, list[str]] = defaultdict(list)
        root = etree.fromstring(bpmn(drawing).encode())
        flows: dict[str, list[str]] = defaultdict(list)
        for flow in root.iter(_tag("sequenceFlow")):
            flows[flow.get("sourceRef")].append(flow.get("id"))
        for node, way, boundary in ways:
            if self._graph.nodes[node].multi and not boundary:
                self._many[node].append(way)
            elif boundary:
                self._exits[node].append(boundary)
            elif self._graph.nodes[node].kind == "xor_split":
                self._ways[identifier(node)].append(flows[identifier(node)][way])
        self._prepare(root, Counter(self._node(each.key) for each in trace if each.what == "begin"))
        parser = _Parser()
        parser.add_bpmn_xml(root.getroottree())
        name = identifier(":process")
        self._engine = BpmnWorkflow(
            parser.get_spec(name), parser.get_subprocess_specs(name), script_engine=_Told(self)
        )
        self._engine.do_engine_steps()

    def _node(self, key: str) -> str:
        return str(self._drawing.patterns.of(key))

    # --- the variant that is executed -------------------------------------------------------------

    def _prepare(self, root: Any, begun: Counter[str]) -> None:
        next(root.iter(_tag("process"))).set("isExecutable", "true")
        named = {each.get("id"): each for each in root.iter() if each.get("id")}
        for flow in root.iter(_tag("sequenceFlow")):
            for condition in flow.iter(_tag("conditionExpression")):
                condition.text = flow.get("id")
        for node in self._graph.nodes.values():
            found = named.get(identifier(node.id))
            if found is None:
                continue
            if node.multi in {"seq", "par"}:
                inside = [each for each in self._graph.nodes.values() if each.pattern is not None
                          and node.id in {each.id, *self._above(each.id)}]  # fmt: skip
                many = found.find(_tag("multiInstanceLoopCharacteristics"))
                count = etree.Element(_tag("loopCardinality"))
                count.text = f"many {node.id}"
                if not self._many[node.id]:  # it was never left, so all of them are of one passing
                    most = max((begun[each.id] for each in inside), default=0)
                    self._many[node.id].append(most)
                many.insert(0, count)
                for enough in many.iter(_tag("completionCondition")):
                    enough.text = f"enough {enough.text.partition(' ')[0]}"
            if self._is_raced(node.id):
                found.tag = _tag("intermediateCatchEvent")
            is_boundary = node.kind == "boundary" and self._graph.nodes[node.host].kind == "act"
            if is_boundary or (node.kind == "act" and found.tag == _tag("intermediateCatchEvent")):
                _told_by_message(found)
            elif found.tag == _tag("intermediateThrowEvent"):
                found.tag = _tag("sendTask")
                for each in found.findall("*"):
                    if each.tag.endswith("EventDefinition"):
                        found.remove(each)

    def _is_raced(self, node: str) -> bool:
        """Whether a node stands behind a gate of events."""
        into = self._graph.into(node)
        return any(self._graph.nodes[edge.src].kind == "event_split" for edge in into)

    def _above(self, node: str) -> Iterator[str]:
        parent = self._graph.nodes[node].parent
        while parent:
            yield parent
            parent = self._graph.nodes[parent].parent

    # --- what is told to the engine ---------------------------------------------------------------

    def way(self, task: Task, said: str) -> object:
        """Answer what a condition or a number of items comes to."""
        if said.startswith("enough "):
            return len(task.parent.internal_data["merged"]) >= int(said.removeprefix("enough "))
        if said.startswith("many "):
            counts = self._many[said.removeprefix("many ")]
            return counts.pop(0) if len(counts) > 1 else counts[0]
        if task.id not in self._asked:
            left = self._ways.get(task.task_spec.bpmn_id)
            if not left:
                self.told.append(f"nobody knows which way {task.task_spec.bpmn_id} leads")
            self._asked[task.id] = left.pop(0) if left else ""
        return self._asked[task.id] == said

    def play(self, trace: Sequence[Happened], rests: Collection[int] = ()) -> list[str]:
        """Do what has happened, and say in which way the engine has done otherwise.

        rests: how much had happened whenever the run came to rest; then nothing more is begun.
        """
        for number, happened in enumerate(trace):
            if number in rests:
                self.told += [f"{act} is begun too early" for mark, act in self._open()
                              if mark not in self._key]  # fmt: skip
            node = self._node(happened.key) if happened.key else ""
            what = self._graph.nodes.get(node)
            if what is None or what.kind not in {"act", "undo"}:
                continue
            if happened.what in {"begin", "record"} and happened.key not in self._key.values():
                self._begin(happened.key, node)
            is_mark = happened.what == "record" and what.act != "child"
            if is_mark or happened.what in {"ok", "failed"}:
                self._end(happened.key, node, happened.what)
        return self.told

    def ended(self) -> list[str]:
        """What a completed run has left undone in the engine."""
        left = [f"{self._key.get(mark, act)} is open" for mark, act in self._open()]
        left += [f"{gate} is not asked again" for gate, ways in self._ways.items() if ways]
        if not self._engine.completed:
            left.append("it goes on")
        return left

    def _open(self) -> list[tuple[Any, str]]:
        """What the engine has begun, in its order: a mark of its own, and the id of the act."""
        ready = self._engine.get_tasks(state=TaskState.READY, manual=True)
        found = [(each.id, each.task_spec.bpmn_id) for each in ready]
        acts = {identifier(each.id) for each in self._graph.nodes.values() if each.kind == "act"}
        for task in self._engine.get_tasks(state=TaskState.WAITING):
            if isinstance(task.task_spec, EventBasedGateway):
                raced = [each.bpmn_id for each in task.task_spec.outputs]
                found += [((task.id, each), each) for each in raced]
            elif task.task_spec.bpmn_id in acts and hasattr(task.task_spec, "event_definition"):
                found.append((task.id, task.task_spec.bpmn_id))
        return found

    def _begin(self, key: str, node: str) -> None:
        for mark, act in self._open():
            if act == identifier(node) and mark not in self._key:
                self._key[mark] = key
                return
        self.told.append(f"{key} is not begun")

    def _end(self, key: str, node: str, what: str) -> None:
        mark = next((each for each, _ in self._open() if self._key.get(each) == key), None)
        if mark is None:
            return  # it was withdrawn, and has ended late
        boundary = self._exits[node].pop(0) if self._exits[node] and what == "failed" else ""
        task = None if isinstance(mark, tuple) else self._engine.get_task_from_id(mark)
        if boundary or task is None or hasattr(task.task_spec, "event_definition"):
            named = identifier(boundary or node)
            self._engine.catch(BpmnEvent(MessageEventDefinition(f"told {named}"), {}))
        else:
            task.run()
        self._engine.do_engine_steps()


class _Told(PythonScriptEngine):  # type: ignore[misc]  # it has no types
    """Evaluates nothing: it asks."""

    def __init__(self, execution: Execution) -> None:
        super().__init__()
        self._execution = execution

    def evaluate(self, task: Task, expression: str, external_context: object = None) -> object:
        """Say what an expression comes to in the run."""
        return self._execution.way(task, expression)


def _told_by_message(event: Any) -> None:
    """Let an event happen when a message says so, which is named after it."""
    for each in list(event):
        if each.tag.endswith("EventDefinition"):
            event.remove(each)
    name = f"told {event.get('id')}"
    root = event.getroottree().getroot()
    if not root.findall(f"{{{MODEL}}}message[@id='m_{event.get('id')}']"):
        root.insert(0, etree.Element(_tag("message"), {"id": f"m_{event.get('id')}", "name": name}))
    made = etree.SubElement(event, _tag("messageEventDefinition"))
    made.set("messageRef", f"m_{event.get('id')}")


def _tag(name: str) -> str:
    return f"{{{MODEL}}}{name}"
