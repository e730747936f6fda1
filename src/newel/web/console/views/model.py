"""What all views share: the frozen base, chips, parts of a sentence, references.

A view is plain data that the page renders and the API returns as JSON, so the two cannot
disagree; templates format and never compute.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from newel.base.ids import reference
from newel.people.facts import SystemState
from newel.people.parts import Part
from newel.people.status import Status
from newel.web.console.bar import Bar
from newel.web.console.copy import CHIPS, chip_word

__all__ = [
    "BarView",
    "Chip",
    "PartView",
    "PersonLink",
    "StatusView",
    "View",
    "bar_view",
    "chip",
    "person_link",
    "status_view",
]


class View(BaseModel):
    """Base of all views: frozen, and no member that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Chip(View):
    """One state as a page shows it: always an icon and a word."""

    state: str
    tone: str
    icon: str
    word: str


class PersonLink(View):
    """A person by name, with the page's address."""

    ref: str
    name: str
    href: str


class PartView(View):
    """A piece of the status sentence."""

    text: str
    tone: str
    href: str | None = None


class SegmentView(View):
    """One rectangle of a segment bar."""

    x: float
    y: int
    width: float
    height: int
    tone: str


class LegendView(View):
    """One state of a bar's legend."""

    count: int
    word: str
    tone: str
    icon: str


class BarView(View):
    """A segment bar with its legend; text: the legend in words."""

    segments: tuple[SegmentView, ...]
    legend: tuple[LegendView, ...]
    text: str


class SystemView(View):
    """One system of the run a status speaks of."""

    system: str
    title: str
    state: SystemState
    since: datetime | None
    ticket: str | None
    ticket_url: str | None


class TaskFact(View):
    """An open task of the run a status speaks of."""

    task: str | None
    title: str
    assignee: str | None
    due_at: datetime | None


class NextFact(View):
    """What happens next by itself."""

    phrase: str
    at: datetime


class StepsFact(View):
    """Steps of a plan: done, and in all; perhaps: others that only may come."""

    done: int
    total: int
    perhaps: int


class StatusView(View):
    """Where a person stands: one sentence, its parts, and what they were made from.

    steps: of the run, while it is under way and the code that runs here knows its process.
    """

    person: str
    name: str
    sentence: str
    parts: tuple[PartView, ...]
    process: str | None
    run: str | None
    state: str | None
    attention: bool
    systems: tuple[SystemView, ...]
    tasks: tuple[TaskFact, ...]
    next: NextFact | None
    steps: StepsFact | None
    zone: str
    as_of: datetime


def chip(state: str, *, detail: str = "") -> Chip:
    """Make the chip of a state."""
    tone, icon, _ = CHIPS[state]
    return Chip(state=state, tone=tone, icon=icon, word=chip_word(state, detail=detail))


def person_link(ref: UUID | None, name: str | None) -> PersonLink | None:
    """Name a person with a link; None for nobody."""
    if ref is None:
        return None
    text = reference("per", ref)
    return PersonLink(ref=text, name=name or "Erased person", href=f"/people/{text}")


def bar_view(bar: Bar) -> BarView:
    """Give a bar as data."""
    return BarView.model_validate(bar, from_attributes=True)


def status_view(found: Status, name: str, zone: str) -> StatusView:
    """Give a status as data."""
    return StatusView(
        person=reference("per", found.person),
        name=name,
        sentence=found.sentence,
        parts=tuple(_part(each) for each in found.parts),
        process=found.process,
        run=None if found.run is None else reference("run", found.run),
        state=found.state,
        attention=found.attention,
        systems=tuple(
            SystemView.model_validate(each, from_attributes=True) for each in found.systems
        ),
        tasks=tuple(
            TaskFact(
                task=None if each.task is None else reference("tsk", each.task),
                title=each.task_title or each.key,
                assignee=each.assignee,
                due_at=each.due_at,
            )
            for each in found.tasks
        ),
        next=None if found.next is None else NextFact(phrase=found.next.phrase, at=found.next.at),
        steps=_steps(found),
        zone=zone,
        as_of=found.as_of,
    )


def _steps(found: Status) -> StepsFact | None:
    ahead = found.steps
    if ahead is None:
        return None
    return StepsFact(done=ahead.done, total=ahead.total, perhaps=ahead.perhaps)


def _part(part: Part) -> PartView:
    return PartView(text=part.text, tone=part.tone, href=part.href)
