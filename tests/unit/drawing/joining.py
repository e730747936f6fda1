"""A join for the engine of other people's that counts tokens, as the standard has it.

SpiffWorkflow 3.2 keeps for each token that comes to a parallel gateway a task, and takes each task
that is no ancestor of the waiting one for a token that has come. In a loop that holds for the
tasks of earlier passes, too, on which control did not go on: such a join goes on before all have
come (`test_joining` shows it with two acts and a loop). BPMN 2.0.2, §10.6.4: the gateway is
activated if there is at least one token on each incoming flow, and consumes exactly one of each.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from SpiffWorkflow.bpmn.specs.defaults import ParallelGateway
from SpiffWorkflow.task import Task

__all__ = ["Join"]


class Join(ParallelGateway):  # type: ignore[misc]  # it has no types
    """A parallel gateway that goes on when a token stands on each of its flows."""

    def __init__(self, *facts: Any, **more: Any) -> None:
        super().__init__(*facts, **more)
        self._seen: set[Any] = set()
        self._standing: Counter[Any] = Counter()  # by sub-process and flow

    def _check_threshold_unstructured(self, my_task: Task) -> bool:
        inside = my_task.workflow.task_tree.id
        if my_task.id not in self._seen:
            self._seen.add(my_task.id)
            before: Any = my_task.parent
            self._standing[inside, before.task_spec] += 1
        flows = [(inside, each) for each in self.inputs]
        if not all(self._standing[each] for each in flows):
            return False
        self._standing.subtract(flows)
        return True
