"""Human work: the inbox in groups by urgency, and one task with all it takes to decide it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import orjson

from newel.base.errors import NotFound
from newel.base.ids import parse_reference, reference
from newel.engine.by_hand import step_of_task
from newel.engine.commands import Proposal
from newel.people.words import process_title, team_name
from newel.store import people, tasks
from newel.store.database import Row
from newel.web.console import copy
from newel.web.console.views.model import Chip, PersonLink, View, chip, person_link
from newel.web.site import Reader

__all__ = [
    "AttachedFile",
    "Proposed",
    "TaskLine",
    "TaskView",
    "TasksView",
    "task_view",
    "tasks_view",
]

Tab = Literal["open", "done"]
Schema = dict[str, Any]  # Any: JSON Schema
_GROUPS: Final = ("Overdue", "Today", "This week", "Later", "No date")


class TaskLine(View):
    """One task in the inbox."""

    task: str
    href: str
    title: str
    kind: str
    person: PersonLink | None
    process: str
    assignee: str
    run: str
    state: str
    chip: Chip
    opened_at: datetime
    due_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    reminders: int
    reminded_at: datetime | None


class TaskGroup(View):
    """Tasks of one urgency."""

    name: str
    tasks: tuple[TaskLine, ...]


class TasksView(View):
    """The inbox."""

    tab: Tab
    total: int
    groups: tuple[TaskGroup, ...]
    as_of: datetime


class AttachedFile(View):
    """A file that was attached as evidence. href: None once its time is over. size: bytes."""

    href: str | None
    size: int
    sha256: str


class Proposed(View):
    """What a second person is asked to confirm, and by whom it was ordered."""

    verb: str
    key: str
    by: str
    reason: str
    evidence: str
    value: Any  # Any: JSON


class TaskView(View):
    """One task: the question, why it is asked of whom, and what follows. suggested: the
    address of the one person who is asked, where it is one. about: the work address of whom the
    task is about, for work by hand in another system. form: the JSON Schema of what is
    asked for; None for an approval, and for work that is done by hand.
    """

    task: TaskLine
    question: str
    instructions: str
    about: str | None
    because: str
    consequence: str
    asked_by: str
    suggested: str | None
    form: Schema | None
    evidence: str
    file: AttachedFile | None
    outcome: str
    proposal: Proposed | None
    version: int
    as_of: datetime


async def tasks_view(read: Reader, tab: Tab = "open") -> TasksView:
    """Read the inbox; one statement."""
    rows = await tasks.listed(read.database, is_open=tab == "open")
    grouped: dict[str, list[TaskLine]] = {name: [] for name in _GROUPS}
    if tab == "open":
        for row in rows:
            grouped[_group(read, row["due_at"])].append(_line(read, row))
    else:
        grouped = {"Over": [_line(read, row) for row in rows]}
    return TasksView(
        tab=tab,
        total=len(rows),
        groups=tuple(
            TaskGroup(name=name, tasks=tuple(lines)) for name, lines in grouped.items() if lines
        ),
        as_of=read.now,
    )


async def task_view(read: Reader, task: UUID) -> TaskView:
    """Read one task; two statements. Raises NotFound."""
    row = await tasks.read(read.database, task)
    if row is None:
        raise NotFound(kind="task", reference=reference("tsk", task))
    leaf = orjson.loads(row["first_entry"])
    proposal = None if row["verb"] is None else await read.proposal_of(task)
    asking = leaf["actor"].get("on_behalf_of")
    wanted = [asking, None if proposal is None else proposal.by]
    refs = {parse_reference(each)[1] for each in wanted if each is not None}
    found = await people.names(read.database, refs)
    names = {reference("per", ref): name for ref, name in found.items()}
    line = _line(read, row)
    is_in_place = step_of_task(row["key"]) is not None  # asked for a step of the run
    return TaskView(
        task=line,
        question=copy.question(line.title, row["subject_name"], row["kind"]),
        instructions=row["instructions"] or "",
        about=row["subject_address"],
        because=copy.because(row["assignee_name"], team_name(row["owner"]), row["kind"]),
        consequence=copy.consequence(
            row["kind"],
            has_fields=row["form"] is not None,
            is_order=row["verb"] is not None,
            is_looked_at=is_in_place and row["evidence"] == "none",
            is_whose=is_in_place and row["kind"] == "approval",
        ),
        asked_by=copy.actor_name(leaf["actor"], names),
        suggested=row["assignee_address"],
        form=None if row["form"] is None else orjson.loads(row["form"]),
        evidence=row["evidence"] or "none",
        file=_file(row),
        outcome=copy.outcome(row["state"], row["decision"], row["decided_by_name"]),
        proposal=_proposed(proposal, names),
        version=row["version"],
        as_of=read.now,
    )


def _proposed(proposal: Proposal | None, names: Mapping[str, str]) -> Proposed | None:
    if proposal is None:
        return None
    return Proposed(
        verb=proposal.verb,
        key=proposal.key,
        by=names.get(proposal.by, "Somebody"),
        reason=proposal.reason,
        evidence=proposal.evidence,
        value=proposal.value,
    )


def _file(row: Row) -> AttachedFile | None:
    if row["file_size"] is None:
        return None
    href = f"/tasks/{reference('tsk', row['id'])}/file" if row["has_file"] else None
    return AttachedFile(href=href, size=row["file_size"], sha256=row["file_sha256"])


def _line(read: Reader, row: Row) -> TaskLine:
    task = reference("tsk", row["id"])
    return TaskLine(
        task=task,
        href=f"/tasks/{task}",
        title=copy.task_title(row["title"], row["key"]),
        kind=row["kind"],
        person=person_link(row["subject"], row["subject_name"]),
        process=process_title(row["process"], row["process_title"]),
        assignee=row["assignee_name"] or team_name(row["owner"]),
        run=f"/runs/{reference('run', row['run_id'])}",
        state=row["state"],
        chip=chip(_state(read, row)),
        opened_at=row["opened_at"],
        due_at=row["due_at"],
        decided_at=row["decided_at"],
        decided_by=row["decided_by_name"],
        reminders=row["reminders"] or 0,
        reminded_at=row["reminded_at"],
    )


def _state(read: Reader, row: Row) -> str:
    match row["state"]:
        case "decided":
            return {"approve": "approved", "reject": "rejected"}.get(row["decision"], "done")
        case "open":
            due = row["due_at"]
            return "overdue" if due is not None and due < read.now else "task"
        case other:
            return str(other)


def _group(read: Reader, due: datetime | None) -> str:
    if due is None:
        return "No date"
    if due < read.now:
        return "Overdue"
    today = read.now.astimezone(read.zone).date()
    day = due.astimezone(read.zone).date()
    if day == today:
        return "Today"
    return "This week" if day <= today + timedelta(days=6 - today.weekday()) else "Later"
