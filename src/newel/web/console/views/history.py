"""The history of a run in plain words: one line per event that people want to read.

Attempts and the engine's own bookkeeping stand with the keys; an event of a newer version that
is not known here is shown by its type, never left out silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from newel.engine.by_hand import step_of_task
from newel.people.words import team_name
from newel.web.console import copy
from newel.web.console.story import Entry
from newel.web.console.views.model import View
from newel.web.console.views.titles import Titled

__all__ = ["EventView", "event_view", "is_told"]


class EventView(View):
    """One event of the history in plain words; seq: its place in the run's stream."""

    seq: int
    type: str
    key: str | None
    at: datetime
    icon: str
    tone: str
    title: str
    detail: str
    actor: str
    run: str | None = None


_LEFT_OUT: Final = frozenset(
    {
        "step.started", "step.attempt_failed", "step.looked", "wait.opened", "run.taken_over",
        "run.unparked", "access.requested", "access.approved", "access.pending",
        "access.granted", "access.verified", "act.recorded", "task.withdrawn", "run.parked",
    }
)  # fmt: skip


def is_told(entry: Entry) -> bool:
    """Tell whether an event has a line of its own."""
    if entry.type == "wait.closed":
        return bool(entry.data["by"] in {"timer", "event"})
    return entry.type not in _LEFT_OUT


def event_view(
    entry: Entry,
    names: Mapping[str, str],
    systems: Mapping[str, str | None],
    titled: Titled,
    *,
    run: str | None = None,
) -> EventView:
    """Say an event in plain words; run: where it happened, on pages that show several runs."""
    icon, tone, title, detail = _said(entry, names, systems, titled)
    return EventView(
        seq=entry.seq,
        type=entry.type,
        key=entry.key,
        at=entry.at,
        icon=icon,
        tone=tone,
        title=title,
        detail=detail,
        actor=copy.actor_name(entry.actor, names),
        run=run,
    )


def _said(
    entry: Entry, names: Mapping[str, str], systems: Mapping[str, str | None], titled: Titled
) -> tuple[str, str, str, str]:
    key = step_of_task(entry.key or "") or entry.key or ""
    system = entry.leaf.get("system")
    title = titled(key, system, systems.get(system or "")) if key else ""
    data = entry.data
    match entry.type:
        case "run.started":
            return "play", "run", "Started", ""
        case "run.completed":
            return "tick", "done", "Completed", ""
        case "run.failed":
            return "cross", "park", "Ended without success", str(data.get("error", ""))
        case "run.cancelled":
            return "slash", "pend", "Cancelled", ""
        case "run.cancel_requested":
            return "slash", "retry", "Cancelling was asked for", ""
        case "step.succeeded":
            detail = "found to be done already" if data.get("adopted") else ""
            if "would" in data:
                first = data["would"]
                would = f"would have asked for {first}" if first else "would have done nothing"
                return "search", "pend", title, f"{would}; the system is in shadow"
            return "tick", "done", title, detail
        case "step.failed":
            return "cross", "park", f"{title}: gave up", str(data.get("error", ""))
        case "step.round_failed":
            return "again", "retry", f"{title}: a round failed", copy.failures(data["attempts"])
        case "step.parked":
            ticket = "" if data.get("incident") is None else "an incident is open"
            return "triangle", "park", f"{title}: parked, {team_name(data['owner'])} has it", ticket
        case "step.retried":
            return "again", "retry", f"{title}: retry", copy.RETRIED_BY.get(data["by"], "")
        case "step.in_doubt":
            return "question", "retry", f"{title}: checking whether it happened", ""
        case "step.resolved":
            how = copy.RESOLVED_HOW.get(data["how"], "")
            return "tick", "done", f"{title}: settled", how
        case "step.skipped":
            return "slash", "pend", f"{title}: skipped", ""
        case "step.completed_by_hand":
            return "hand", "done", f"{title}: done by hand", ""
        case "step.cancelled":
            return "slash", "pend", f"{title}: cancelled", ""
        case "task.opened":
            asked = [names.get(each, "somebody") for each in data["assignees"]]
            who = ", ".join(asked) or team_name(str(data.get("role") or ""))
            return "person", "task", f"{title}: asked", who
        case "task.decided":
            if data["decision"] == "approve":
                return "tick", "done", f"{title}: approved", ""
            if data["decision"] == "submit":
                return "tick", "done", f"{title}: said to be done", ""
            return "cross", "park", f"{title}: rejected", ""
        case "wait.closed":
            return "hourglass", "wait", title, copy.CLOSED_BY.get(data["by"], "")
        case "incident.attached":
            return "triangle", "park", "Held up by an incident", ""
        case other:
            return "dots", "pend", other.replace(".", " ").replace("_", " "), title
