"""One run: its head, its keys with state, attempts and why they wait, and its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from newel.base.errors import NotFound
from newel.base.ids import parse_reference, reference
from newel.people.words import process_title, system_name, team_name
from newel.store import journal, open_acts, people, runs
from newel.store.database import Database, Row
from newel.web.console import copy
from newel.web.console.bar import bar_of
from newel.web.console.story import (
    Attempt,
    Entry,
    KeyStory,
    Story,
    references_in,
    story_of,
    told,
)
from newel.web.console.views.acts import ActCard, ActionView, act_card, actions_of, opened
from newel.web.console.views.history import EventView, event_view, is_told
from newel.web.console.views.model import (
    BarView,
    Chip,
    PersonLink,
    View,
    bar_view,
    chip,
    person_link,
)
from newel.web.console.views.runs import due_of, is_late, standing_chip
from newel.web.console.views.titles import Titled, titled_by
from newel.web.site import Reader

__all__ = ["KeyView", "RunView", "names_of", "read_entries", "run_view"]

UNDO: Final = "undo"
_PAGE: Final = 500
_MOST_EVENTS: Final = 5_000
_SHOWN: Final = 200


class AttemptView(View):
    """One attempt in plain words. duration: absent while it is in flight."""

    number: int
    round: int
    began_at: datetime
    duration_ms: int | None
    result: str
    code: str
    status: int | None
    failed: bool


class RoundView(View):
    """The attempts of one round."""

    number: int
    attempts: tuple[AttemptView, ...]


class KeyView(View):
    """One key of a run: what it is, how it stands, why, what is next, what can be done."""

    key: str
    anchor: str
    kind: str
    title: str
    system: str | None
    chip: Chip
    state: str
    why: str
    next: str
    began_at: datetime
    ended_at: datetime | None
    duration_ms: int | None
    due_at: datetime | None
    task: str | None
    ticket: str | None
    ticket_url: str | None
    rounds: tuple[RoundView, ...]
    attempts: int
    times: int
    actions: tuple[ActionView, ...]


class RunView(View):
    """One run as its page shows it. line: why it is parked as a whole, empty otherwise.

    back: what has been put back so far, of a run that is being cancelled. due_at: by when its
    process means it to have ended; is_late: it has not, or had not.
    """

    run: str
    title: str
    process: str
    process_title: str
    person: PersonLink | None
    state: str
    standing: str
    chip: Chip
    version: int
    owner: str
    started_at: datetime
    started_by: str
    due_at: datetime | None
    is_late: bool
    ended_at: datetime | None
    cancelling: bool
    back: tuple[str, ...]
    paused: str
    line: str
    attention: tuple[ActCard, ...]
    bar: BarView
    keys: tuple[KeyView, ...]
    events: tuple[EventView, ...]
    events_left_out: int
    actions: tuple[ActionView, ...]
    as_of: datetime


async def run_view(read: Reader, run: UUID) -> RunView:
    """Read one run; at most six statements for up to 500 events. Raises NotFound."""
    row = await runs.read(read.database, run)
    if row is None:
        raise NotFound(kind="run", reference=reference("run", run))
    entries = await read_entries(read.database, run)
    acts = opened(await open_acts.of_runs(read.database, [run]))
    names = await names_of(read.database, entries)
    story = story_of(entries, acts, is_over=row["finished_at"] is not None)
    systems = {act.system: act.system_title for act, _ in acts if act.system}
    return _view(read, row, story, names, systems)


async def read_entries(database: Database, run: UUID) -> tuple[Entry, ...]:
    """Read a run's events, in pages; a very long run is cut at 5,000."""
    found: list[Row] = []
    while len(found) < _MOST_EVENTS:
        after = found[-1]["seq"] if found else 0
        page = await journal.events(database, run, after=after, how_many=_PAGE)
        found.extend(page)
        if len(page) < _PAGE:
            break
    return told(found)


async def names_of(database: Database, entries: Sequence[Entry]) -> dict[str, str]:
    """Look up the names of all people that events speak of, by reference."""
    references = references_in(entries)
    ids = {parse_reference(each)[1] for each in references}
    found = await people.names(database, ids)
    return {reference("per", ref): name for ref, name in found.items()}


def _view(
    read: Reader,
    row: Row,
    story: Story,
    names: Mapping[str, str],
    systems: Mapping[str, str | None],
) -> RunView:
    run = reference("run", row["id"])
    titled = titled_by(read.processes.get(row["process"]))
    acts = [(key.open, dict(key.detail)) for key in story.keys if key.open is not None]
    needing = [(act, detail) for act, detail in acts if act.state == "parked" or act.is_task]
    title = process_title(row["process"], row["title"])
    is_parked_itself = row["state"] == "parked" and not any(a.state == "parked" for a, _ in acts)
    keys = tuple(_key(read, run, key, names, systems, titled) for key in story.keys)
    is_cancelling = row["cancelling"] and row["finished_at"] is None
    told_events = [entry for entry in story.entries if is_told(entry)]
    return RunView(
        run=run,
        title=f"{title}: {row['display_name']}" if row["display_name"] else title,
        process=row["process"],
        process_title=title,
        person=person_link(row["subject"], row["display_name"]),
        state=row["state"],
        standing=row["standing"],
        chip=standing_chip(row["standing"], [act for act, _ in acts]),
        version=row["version"],
        owner=team_name(row["owner"] or "it"),
        started_at=row["started_at"],
        started_by="" if story.started is None else copy.actor_name(story.started.actor, names),
        due_at=due_of(read, row),
        is_late=is_late(read, row),
        ended_at=row["finished_at"],
        cancelling=is_cancelling,
        back=tuple(key.title for key in keys if _is_back(key)) if is_cancelling else (),
        paused=_paused(row, names, read),
        line=copy.run_parked_text(row["parked_reason"], row["parked_with"])
        if is_parked_itself
        else "",
        attention=tuple(
            act_card(run, act, detail, read.zone, read.now, titled) for act, detail in needing
        ),
        bar=bar_view(bar_of([key.state for key in story.keys])),
        keys=keys,
        events=tuple(
            event_view(entry, names, systems, titled) for entry in reversed(told_events[-200:])
        ),
        events_left_out=max(len(told_events) - _SHOWN, 0),
        actions=_actions(run, row, is_parked_itself=is_parked_itself),
        as_of=read.now,
    )


def _is_back(key: KeyView) -> bool:
    """Whether a key is a promise that was kept."""
    return UNDO in key.key.split("/") and key.state in {"done", "by-hand"}


def _paused(row: Row, names: Mapping[str, str], read: Reader) -> str:
    if row["paused_at"] is None or row["finished_at"] is not None:
        return ""
    by = names.get(row["paused_by"], "an operator")
    at = f"{row['paused_at'].astimezone(read.zone):%d %b, %H:%M}"
    return f"Paused by {by} since {at}. Nothing new is begun; due dates count on."


def _actions(run: str, row: Row, *, is_parked_itself: bool) -> tuple[ActionView, ...]:
    def action(verb: str, label: str, **more: bool) -> ActionView:
        return ActionView(verb=verb, label=label, href=f"/runs/{run}/{verb}", **more)

    if row["finished_at"] is not None:
        is_seen = row["state"] != "failed" or row["acknowledged_at"] is not None
        return () if is_seen else (action("acknowledge", "Acknowledge", is_primary=True),)
    if row["cancelling"]:
        return ()
    found: list[ActionView] = []
    if row["paused_at"] is not None:
        found.append(action("resume", "Resume", is_primary=True, asks=False))
    if is_parked_itself:
        found.append(
            ActionView(
                verb="retry", label="Retry", href=f"/runs/{run}/retry", is_primary=True, asks=False
            )
        )
    found.append(action("amend", "Change input…"))
    if row["paused_at"] is None:
        found.append(action("pause", "Pause…"))
    found.append(action("cancel", "Cancel…"))
    return tuple(found)


def _key(
    read: Reader,
    run: str,
    key: KeyStory,
    names: Mapping[str, str],
    systems: Mapping[str, str | None],
    titled: Titled,
) -> KeyView:
    title = key.system_title or systems.get(key.system or "")
    act = key.open
    ended_at = key.ended_at
    return KeyView(
        key=key.key,
        anchor=key.key,
        kind=key.kind,
        title=_title(key, title, titled),
        system=None if key.system is None else system_name(key.system, title),
        chip=_chip(key, names),
        state=key.state,
        why="" if act is None else copy.why(act, key.detail, read.zone, read.now),
        next="" if act is None else copy.next_line(act, read.zone, read.now),
        began_at=key.began_at,
        ended_at=ended_at,
        duration_ms=None if ended_at is None else _milliseconds(ended_at - key.began_at),
        due_at=key.due_at if act is not None else None,
        task=None if act is None or act.task is None else reference("tsk", act.task),
        ticket=None if act is None else act.ticket,
        ticket_url=None if act is None else act.ticket_url,
        rounds=_rounds(key, title),
        attempts=len(key.attempts),
        times=key.times,
        actions=() if act is None else actions_of(run, act),
    )


def _title(key: KeyStory, system_title: str | None, titled: Titled) -> str:
    if key.open is not None and key.open.task_title:
        return copy.task_title(key.open.task_title, key.key)
    return titled(key.key, key.system, system_title)


def _chip(key: KeyStory, names: Mapping[str, str]) -> Chip:
    match key.state:
        case "retrying":
            return chip("retrying", detail=copy.round_text(key.failed_rounds))
        case "skipped" | "by-hand" if key.ended is not None:
            word = copy.chip_word(key.state)
            by = copy.actor_name(key.ended.actor, names)
            return chip(key.state).model_copy(update={"word": f"{word} by {by}"})
        case "done" if key.ended is not None and key.ended.type == "task.decided":
            approved = key.ended.data["decision"] == "approve"
            return chip("approved" if approved else "rejected")
        case "done" if key.ended is not None and key.ended.type == "wait.closed":
            is_late = key.ended.data["by"] == "timer" and key.kind != "timer"
            return chip("expired") if is_late else chip("done")
        case state:
            return chip(state)


def _rounds(key: KeyStory, system_title: str | None) -> tuple[RoundView, ...]:
    system = system_name(key.system, system_title) if key.system else "The step"
    grouped: list[tuple[int, list[AttemptView]]] = []
    for attempt in key.attempts:
        if not grouped or grouped[-1][0] != attempt.round:
            grouped.append((attempt.round, []))
        grouped[-1][1].append(_attempt(attempt, system, key))
    return tuple(RoundView(number=number, attempts=tuple(each)) for number, each in grouped)


def _attempt(attempt: Attempt, system: str, key: KeyStory) -> AttemptView:
    is_last = key.attempts[-1] is attempt
    if attempt.failure is not None:
        result = copy.failure_text(attempt.failure, system)
    elif attempt.is_lost:
        result = "Its worker was lost in the middle"
    elif attempt.ended_at is None:
        result = "In flight"
    elif is_last and key.state in {"done", "failed"}:
        result = "Succeeded" if key.state == "done" else "Gave its answer"
    else:
        result = "Ended"
    return AttemptView(
        number=attempt.number,
        round=attempt.round,
        began_at=attempt.began_at,
        duration_ms=None if attempt.duration is None else _milliseconds(attempt.duration),
        result=result,
        code=attempt.code,
        status=attempt.status,
        failed=attempt.failure is not None or attempt.is_lost,
    )


def _milliseconds(length: timedelta) -> int:
    return max(length // timedelta(milliseconds=1), 0)
