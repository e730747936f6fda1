"""Open acts as cards and lines: why something is not done yet, what is next, what can be done."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any, Final

from newel.base.ids import reference
from newel.people.facts import OpenFact
from newel.people.snapshot import open_fact
from newel.store.database import Row
from newel.web.console import copy
from newel.web.console.views.model import Chip, View, chip
from newel.web.console.views.titles import Titled

__all__ = ["ActCard", "ActionView", "NextItem", "act_card", "actions_of", "coming", "opened"]

Detail = dict[str, Any]  # Any: the JSON of an open act's trouble
Opened = tuple[OpenFact, Detail]


_ON_TROUBLE: Final = (
    ("retry", "Retry"),
    ("complete-by-hand", "Complete by hand…"),
    ("skip", "Skip…"),
)
_ON_DRIFT: Final = (("keep", "Keep the result…"), ("retry", "Run again"))


class ActionView(View):
    """Something a person can do: its verb, its label, where its form is."""

    verb: str
    label: str
    href: str
    is_primary: bool = False
    asks: bool = True


class ActCard(View):
    """One open act that needs a person: why, what helps, who has it, what can be done."""

    key: str
    chip: Chip
    title: str
    cause: str
    remedy: str
    owner: str
    since: datetime
    due_at: datetime | None
    ticket: str | None
    ticket_url: str | None
    actions: tuple[ActionView, ...]


class NextItem(View):
    """One thing that happens next, by itself or by a person."""

    icon: str
    tone: str
    title: str
    at: datetime
    who: str = ""


def opened(rows: Iterable[Row]) -> list[Opened]:
    """Make facts of open acts, each with the detail of its trouble."""
    return [(open_fact(row), dict(row["detail"] or {})) for row in rows]


def act_card(
    run: str, act: OpenFact, detail: Detail, zone: tzinfo, now: datetime, titled: Titled
) -> ActCard:
    """Make the card of an act that needs a person; run: its reference."""
    if act.is_task:
        return _task_card(act, now)
    text = copy.parked_text(act, detail, zone, now)
    return ActCard(
        key=act.key,
        chip=chip("parked"),
        title=titled(act.key, act.system, act.system_title),
        cause=text.cause,
        remedy=text.remedy,
        owner=copy.owner_text(act),
        since=act.incident_since or act.since,
        due_at=None,
        ticket=act.ticket,
        ticket_url=act.ticket_url,
        actions=actions_of(run, act, primary=text.primary),
    )


def _task_card(act: OpenFact, now: datetime) -> ActCard:
    assert act.task is not None, "a person is asked by a task"
    is_overdue = act.due_at is not None and act.due_at < now
    task = reference("tsk", act.task)
    return ActCard(
        key=act.key,
        chip=chip("overdue" if is_overdue else "task"),
        title=copy.task_title(act.task_title, act.key),
        cause=f"{act.assignee} is asked.",
        remedy="The run goes on with the answer.",
        owner="",
        since=act.since,
        due_at=act.due_at,
        ticket=None,
        ticket_url=None,
        actions=(
            ActionView(
                verb="decide" if act.kind == "approval" else "fill",
                label="Decide…" if act.kind == "approval" else "Fill in…",
                href=f"/tasks/{task}",
                is_primary=True,
                asks=True,
            ),
        ),
    )


def actions_of(run: str, act: OpenFact, *, primary: str = "retry") -> tuple[ActionView, ...]:
    """List what can be done with an open step, the one that helps most first."""
    if act.kind != "step":
        href = f"/runs/{run}/reschedule?key={copy.quoted(act.key)}"
        is_movable = act.due_at is not None
        return (
            (ActionView(verb="reschedule", label="Reschedule…", href=href),) if is_movable else ()
        )
    if act.state not in {"parked", "retrying"}:
        return ()
    verbs = _ON_DRIFT if act.reason == "drifted" else _ON_TROUBLE
    if primary not in {verb for verb, _ in verbs}:
        primary = verbs[0][0]
    found = [
        ActionView(
            verb=verb,
            label=label,
            href=f"/runs/{run}/{verb}?key={copy.quoted(act.key)}",
            is_primary=verb == primary,
            asks=verb != "retry",
        )
        for verb, label in verbs
    ]
    return tuple(sorted(found, key=lambda each: not each.is_primary))


def coming(acts: Iterable[Opened], how_many: int = 7) -> tuple[NextItem, ...]:
    """List what happens next: attempts, due tasks, timers, the soonest first."""
    found: list[NextItem] = []
    for act, _ in acts:
        if act.state == "parked" and act.probe_at is not None:
            title = f"See whether {act.name} answers"
            found.append(NextItem(icon="search", tone="pend", title=title, at=act.probe_at))
        elif act.kind == "step" and act.state == "retrying" and act.next_at is not None:
            found.append(
                NextItem(icon="again", tone="retry", title=f"Retry {act.name}", at=act.next_at)
            )
        elif act.is_task and act.due_at is not None:
            title = copy.task_title(act.task_title, act.key)
            who = act.assignee or ""
            found.append(NextItem(icon="person", tone="task", title=title, at=act.due_at, who=who))
        elif act.due_at is not None:
            title = copy.step_title(act.key, None, None)
            found.append(NextItem(icon="hourglass", tone="wait", title=title, at=act.due_at))
    once = {(each.title, each.who): each for each in sorted(found, key=lambda each: each.at)}
    return tuple(once.values())[:how_many]
