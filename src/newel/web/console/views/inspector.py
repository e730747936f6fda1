"""What is known of one part of a run's drawing: its state, its keys with their attempts, its facts.

Source: console document, §6.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from newel.drawing.boxes import second_line
from newel.drawing.labels import capital
from newel.drawing.regions import Act
from newel.flow.process import Process
from newel.flow.step import Step
from newel.web.console.views.model import Chip, View
from newel.web.console.views.plan import Drawn
from newel.web.console.views.run import KeyView

__all__ = ["InspectorView", "inspected"]

_FIRST: Final = ("parked", "task", "in-doubt", "retrying", "running", "waiting")
_MOST: Final = 12
_KINDS: Final = {
    "step": "Step",
    "approval": "Decision",
    "form": "Form",
    "timer": "Timer",
    "event": "Event",
    "child": "Run of its own, which this one waits for",
    "spawn": "Run of its own",
    "mark": "Mark",
}


class FactView(View):
    """One fact of the code; is_code: whether it is written as source."""

    name: str
    value: str
    is_code: bool


class InspectorView(View):
    """One part of the drawing. keys: what the run has of it, oldest first; more: left out."""

    node: str
    title: str
    about: str
    chip: Chip | None
    counter: str
    reason: str
    due: datetime | None
    facts: tuple[FactView, ...]
    keys: tuple[KeyView, ...]
    more: int


def inspected(drawn: Drawn, keys: Sequence[KeyView], asked: str | None) -> InspectorView | None:
    """Look at one part: the one asked for by its id or a key of it, else what needs a person.

    None where there is nothing to look at.
    """
    node = asked if asked and drawn.shown(asked) else drawn.node_of(asked) if asked else ""
    node = node or _default(drawn, keys)
    found = drawn.shown(node)
    if found is None:
        return None
    chip, how = found
    own = [each for each in keys if drawn.node_of(each.key) == node]
    planned = drawn.plan.of(node)
    act = drawn.act(node)
    title = act.label if act is not None else planned[0].label if planned else node
    return InspectorView(
        node=node,
        title=title,
        about="" if act is None else second_line(act),
        chip=chip,
        counter=how.counter,
        reason="" if own else capital(how.reason),
        due=planned[0].due if len(planned) == 1 else None,
        facts=() if act is None else tuple(_facts(act)),
        keys=tuple(own[-_MOST:]),
        more=max(len(own) - _MOST, 0),
    )


def _default(drawn: Drawn, keys: Sequence[KeyView]) -> str:
    """The part that needs a person first, else what is at work, else what was done last."""
    for state in _FIRST:
        for key in keys:
            if key.state == state and drawn.node_of(key.key):
                return drawn.node_of(key.key)
    drawn_keys = [node for each in keys if (node := drawn.node_of(each.key))]
    return drawn_keys[-1] if drawn_keys else next((each.node for each in drawn.plan.lines), "")


def _facts(act: Act) -> Iterator[FactView]:
    """What the code says of an act."""
    said = [
        ("Kind", _KINDS.get(act.act, capital(act.act)), False),
        ("Key", str(act.pattern), True),
        ("Asked", act.by, True),
        ("Within", act.within, True),
        ("Reminded", act.remind, True),
        ("At", act.at, True),
        ("After", act.after, True),
        ("Form", act.schema, True),
    ]
    if isinstance(act.live, Step):
        options = act.live.options
        said.append(("Permission", ", ".join(getattr(options, "needs", ()) or ()), False))
    if isinstance(act.live, Process):
        said.append(("Owner", act.live.owner or "", False))
    said.append(("Code", f"{act.where.module}:{act.where.line}", True))
    return (FactView(name=name, value=value, is_code=code) for name, value, code in said if value)
