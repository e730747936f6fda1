"""A run's journal as people read it: one entry per key, its attempts by round, and a timeline.

Made from the leaves alone, so nothing personal is in it but references; payloads stay sealed.
What is open now comes from the open acts and wins over what the journal says of that key.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from newel.engine.by_hand import step_of_task
from newel.people.facts import OpenFact
from newel.store.database import Row

__all__ = ["Attempt", "Entry", "KeyStory", "Story", "references_in", "story_of", "told"]

_OUTCOMES: Final[dict[str, str]] = {
    "step.succeeded": "done",
    "step.failed": "failed",
    "step.skipped": "skipped",
    "step.completed_by_hand": "by-hand",
    "step.cancelled": "cancelled",
    "task.decided": "done",
    "wait.closed": "done",
}
_KIND_OF_WAIT: Final = {"task": "approval", "timer": "timer", "event": "event"}
Json = Mapping[str, Any]  # Any: the values JSON can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event: its place, its leaf as read, and the first digits of its leaf's hash."""

    seq: int
    type: str
    key: str | None
    at: datetime
    leaf: Json
    digest: str = ""

    @property
    def data(self) -> Json:
        """The facts of the event."""
        data: Json = self.leaf["data"]
        return data

    @property
    def actor(self) -> Json:
        """Who did it."""
        actor: Json = self.leaf["actor"]
        return actor


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One call of a step's code. failure: its class, None if it succeeded or is in flight."""

    number: int
    round: int
    began_at: datetime
    ended_at: datetime | None = None
    failure: str | None = None
    code: str = ""
    status: int | None = None
    is_lost: bool = False

    @property
    def duration(self) -> timedelta | None:
        """How long it took; None while it is in flight."""
        return None if self.ended_at is None else self.ended_at - self.began_at


@dataclass(slots=True, kw_only=True)
class KeyStory:
    """All that happened to one key.

    ended: the event of its outcome. times: how often a loop has come to it.
    """

    key: str
    kind: str = "step"
    state: str = "running"
    system: str | None = None
    system_title: str | None = None
    began_at: datetime
    due_at: datetime | None = None
    ended: Entry | None = None
    attempts: list[Attempt] = field(default_factory=list)
    failed_rounds: int = 0
    times: int = 1
    open: OpenFact | None = None
    detail: Json = field(default_factory=dict)

    @property
    def ended_at(self) -> datetime | None:
        """When it got its outcome."""
        return None if self.ended is None else self.ended.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A run's journal: its keys in the order they were reached, and all its events."""

    keys: tuple[KeyStory, ...]
    entries: tuple[Entry, ...]

    @property
    def started(self) -> Entry | None:
        """The first event."""
        return next((each for each in self.entries if each.type == "run.started"), None)


def told(rows: Iterable[Row]) -> tuple[Entry, ...]:
    """Read rows of the journal."""
    return tuple(
        Entry(
            seq=row["seq"],
            type=row["type"],
            key=row["key"],
            at=row["occurred_at"],
            leaf=orjson.loads(row["entry"]),
        )
        for row in rows
    )


def story_of(
    entries: Sequence[Entry],
    acts: Sequence[tuple[OpenFact, Json]] = (),
    *,
    is_over: bool = False,
) -> Story:
    """Put a run's events and its open acts together.

    acts: what is open, each with the detail of its trouble. is_over: whether the run has ended;
    a key without an outcome was then given up with it.
    """
    keys: dict[str, KeyStory] = {}
    for entry in entries:
        if entry.key is not None and step_of_task(entry.key) is None:  # that is the step's story
            _take(keys, entry)
    opened = {act.key: (act, detail) for act, detail in acts}
    for key, (act, detail) in opened.items():
        known = keys.setdefault(key, KeyStory(key=key, began_at=act.since))
        _settle_open(known, act, detail)
    keys = _folded(keys)
    for known in keys.values():
        if known.ended is None and known.key not in opened and is_over:
            known.state = "cancelled"
    return Story(keys=tuple(keys.values()), entries=tuple(entries))


def _folded(keys: Mapping[str, KeyStory]) -> dict[str, KeyStory]:
    """Keep of a loop's repetitions (`poll`, `poll#2`, …) the latest, where the first one stood."""
    latest: dict[str, KeyStory] = {}
    for key, known in keys.items():
        name = key.partition("#")[0]
        known.times = 1 if name not in latest else latest[name].times + 1
        latest[name] = known
    return latest


def references_in(entries: Iterable[Entry]) -> set[str]:
    """Collect the references of people that the events name (`per_…`)."""
    found: set[str] = set()
    for entry in entries:
        candidates = [entry.actor.get("id"), entry.actor.get("on_behalf_of")]
        candidates += [entry.data.get("requested_by"), *entry.data.get("assignees", ())]
        found.update(each for each in candidates if each and each.startswith("per_"))
    return found


def _take(keys: dict[str, KeyStory], entry: Entry) -> None:
    assert entry.key is not None, "called for events of keys"
    known = keys.setdefault(entry.key, KeyStory(key=entry.key, began_at=entry.at))
    known.system = entry.leaf.get("system") or known.system
    match entry.type:
        case "step.started":
            step = entry.leaf["step"]
            _lose(known, entry.at)
            known.attempts.append(
                Attempt(
                    number=step.get("attempt", len(known.attempts) + 1),
                    round=step.get("round", 1),
                    began_at=entry.at,
                )
            )
            known.state, known.ended = "running", None
        case "step.attempt_failed":
            _fail(known, entry)
        case "step.looked" if known.attempts and known.attempts[-1].ended_at is None:
            known.attempts[-1].ended_at = entry.at
        case "step.round_failed":
            known.failed_rounds += 1
        case "step.parked":
            known.state = "parked"
        case "step.in_doubt":
            known.state = "in-doubt"
            _lose(known, entry.at)
        case "step.retried":
            known.failed_rounds = 0
        case "wait.opened":
            wait = str(entry.data["kind"])
            known.kind = _KIND_OF_WAIT.get(wait, wait)
            known.state = "task" if known.kind == "approval" else "waiting"
            due = entry.data.get("due_at")
            known.due_at = None if due is None else datetime.fromisoformat(due)
        case "task.opened":
            known.kind, known.state = str(entry.data["kind"]), "task"
        case _ if entry.type in _OUTCOMES:
            _end(known, entry)
        case _:
            pass


def _lose(known: KeyStory, at: datetime) -> None:
    """Close an attempt of which nothing more was heard."""
    if known.attempts and known.attempts[-1].ended_at is None:
        known.attempts[-1].ended_at = at
        known.attempts[-1].is_lost = True


def _fail(known: KeyStory, entry: Entry) -> None:
    known.state = "retrying"
    if not known.attempts:
        return
    last = known.attempts[-1]
    last.ended_at = entry.at
    last.failure = entry.data["class"]
    last.code = entry.data["code"]
    last.status = (entry.data.get("http") or {}).get("status")


def _end(known: KeyStory, entry: Entry) -> None:
    if entry.type == "wait.closed" and known.ended is not None:
        return  # the decision that closed it says more
    known.ended = entry
    known.state = _OUTCOMES[entry.type]
    if entry.type == "wait.closed" and entry.data["by"] == "cancel":
        known.state = "cancelled"
    if known.attempts and known.attempts[-1].ended_at is None:
        known.attempts[-1].ended_at = entry.at


def _settle_open(known: KeyStory, act: OpenFact, detail: Json) -> None:
    known.open, known.detail, known.kind = act, detail, act.kind
    known.system = act.system or known.system
    known.system_title = act.system_title
    known.due_at = act.due_at or known.due_at
    known.failed_rounds = act.failed_rounds
    known.ended = None
    match act.kind, act.state:
        case "step", "parked":
            known.state = "parked"
        case _ if act.is_task:
            known.state = "task"
        case "step", "retrying":
            known.state = "in-doubt" if detail.get("doubt") else "retrying"
        case "step", _:
            known.state = "retrying" if act.attempt > 1 else "running"
        case _:
            known.state = "waiting"
