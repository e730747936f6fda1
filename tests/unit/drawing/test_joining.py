"""Where our judge and SpiffWorkflow disagree on a join in a loop, SpiffWorkflow is wrong.

The smallest process that shows it: two acts at once, joined, and back to the fork three times.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product
from typing import Any, ClassVar

import pytest
from lxml import etree
from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnParser
from SpiffWorkflow.bpmn.parser.task_parsers import GatewayParser
from SpiffWorkflow.bpmn.parser.TaskParser import TaskParser
from SpiffWorkflow.bpmn.parser.util import full_tag
from SpiffWorkflow.bpmn.specs.defaults import ManualTask, ParallelGateway
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.util.task import TaskState

from tests.unit.drawing.joining import Join

TWICE_AT_ONCE = b"""
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="urn:test">
  <process id="p" isExecutable="true">
    <startEvent id="start"/>
    <exclusiveGateway id="head"/>
    <parallelGateway id="fork"/>
    <task id="a" name="a"/>
    <task id="b" name="b"/>
    <parallelGateway id="join"/>
    <exclusiveGateway id="gate" default="done"/>
    <endEvent id="end"/>
    <sequenceFlow id="f1" sourceRef="start" targetRef="head"/>
    <sequenceFlow id="f2" sourceRef="head" targetRef="fork"/>
    <sequenceFlow id="f3" sourceRef="fork" targetRef="a"/>
    <sequenceFlow id="f4" sourceRef="fork" targetRef="b"/>
    <sequenceFlow id="f5" sourceRef="a" targetRef="join"/>
    <sequenceFlow id="f6" sourceRef="b" targetRef="join"/>
    <sequenceFlow id="f7" sourceRef="join" targetRef="gate"/>
    <sequenceFlow id="again" sourceRef="gate" targetRef="head">
      <conditionExpression>again</conditionExpression>
    </sequenceFlow>
    <sequenceFlow id="done" sourceRef="gate" targetRef="end"/>
  </process>
</definitions>
"""


def begun(join: type[ParallelGateway], passes: Sequence[Sequence[str]]) -> list[list[str]]:
    """Which acts are open after each act, if in each pass they end in the order that is given."""

    class Parser(BpmnParser):  # type: ignore[misc]  # it has no types
        OVERRIDE_PARSER_CLASSES: ClassVar = {
            full_tag("task"): (TaskParser, ManualTask),
            full_tag("parallelGateway"): (GatewayParser, join),
        }

    parser = Parser()
    parser.add_bpmn_xml(etree.fromstring(TWICE_AT_ONCE).getroottree())
    engine = BpmnWorkflow(parser.get_spec("p"), {})
    engine.do_engine_steps()
    found = []
    for number, order in enumerate(passes, start=1):
        for act in order:
            ready: list[Any] = engine.get_tasks(state=TaskState.READY, manual=True)
            task = next(each for each in ready if each.task_spec.bpmn_id == act)
            task.data["again"] = number < len(passes)
            task.run()
            engine.do_engine_steps()
            left = engine.get_tasks(state=TaskState.READY, manual=True)
            found.append(sorted(each.task_spec.bpmn_id for each in left))
    return found


def test_their_join_goes_on_before_all_have_come() -> None:
    """SpiffWorkflow begins both acts of a third pass while one of the second is still open.

    Once this fails, `Join` can go.
    """
    opened = begun(ParallelGateway, [("a", "b"), ("b", "a"), ("a", "b")])
    assert opened[2] == ["a", "a", "b"]  # only `b` of the second pass has ended


@pytest.mark.parametrize("passes", [*product(permutations("ab"), repeat=3)])
def test_a_join_waits_for_all_in_each_pass(passes: tuple[tuple[str, str], ...]) -> None:
    """Whatever ends first in each pass, the next one begins when both have ended."""
    expected = [each for _, late in passes for each in ([late], ["a", "b"])]
    assert begun(Join, passes) == [*expected[:-1], []]
