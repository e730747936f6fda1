"""What the status sentence is made from: runs about a person, what is open of them, grants.

Plain values, read once by `snapshot` and never written. Moments are aware; the clock of all of
them is the database's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from newel.people.words import in_words, system_name

__all__ = [
    "Ahead",
    "GrantFact",
    "Kind",
    "OpenFact",
    "RunFact",
    "Snapshot",
    "SystemState",
    "kind_of",
]

Kind = Literal["joiner", "mover", "leaver", "other"]
SystemState = Literal["ready", "parked", "retrying", "running", "pending", "planned", "removed"]

_KIND_OF_WORD: dict[str, Kind] = {
    "onboarding": "joiner",
    "offboarding": "leaver",
    "mover": "mover",
    "joiner": "joiner",
    "leaver": "leaver",
}


def kind_of(process: str, recorded: str | None = None) -> Kind:
    """Say which kind of process it is: as recorded at the start, else by its name."""
    if recorded in {"joiner", "mover", "leaver"}:
        return _KIND_OF_WORD[recorded]
    words = process.rpartition(".")[2].replace("_", "-").split("-")
    if "role" in words and "change" in words:
        return "mover"
    for word in words:
        if word in _KIND_OF_WORD:
            return _KIND_OF_WORD[word]
    return "other"


_NOTHING_FAILED: Final = frozenset({"place", "by-hand"})
"""Why a step rests that waits for its turn, or for a person to do it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFact:
    """One open act: a step that is attempted, retried or parked; a timer, approval, form or event.

    since: when it was opened. next_at: of the next attempt. failed_rounds: counted ones.
    assignee: a person's name or a team's. task: that is asked of them, for a step as well.
    reason, owner: of a parked step. probe_at: when newel looks next whether the incident is over.
    parked_at: since when a parked step is parked.
    """

    key: str
    kind: Literal["step", "timer", "approval", "form", "event"]
    state: Literal["attempting", "retrying", "parked", "open"]
    since: datetime
    attempt: int = 0
    next_at: datetime | None = None
    due_at: datetime | None = None
    system: str | None = None
    system_title: str | None = None
    failed_rounds: int = 0
    reason: str | None = None
    owner: str | None = None
    task: UUID | None = None
    task_title: str | None = None
    assignee: str | None = None
    incident: UUID | None = None
    incident_since: datetime | None = None
    probe_at: datetime | None = None
    ticket: str | None = None
    ticket_url: str | None = None
    parked_at: datetime | None = None

    @property
    def name(self) -> str:
        """What people call it: the system, else the key in words."""
        if self.system is None:
            return f"“{in_words(self.key)}”"
        return system_name(self.system, self.system_title)

    @property
    def is_task(self) -> bool:
        """Whether a person is asked, be it to do a step by hand."""
        return self.kind in {"approval", "form"} or (
            self.state == "retrying" and self.task is not None
        )

    @property
    def is_retrying(self) -> bool:
        """Whether it is a step that failed and is tried again by itself."""
        if self.reason in _NOTHING_FAILED or self.task is not None:
            return False
        return self.state == "retrying" or (self.state == "attempting" and self.attempt > 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantFact:
    """One grant, as far as the sentence counts it."""

    system: str
    entitlement: str
    state: str
    made_run: UUID
    system_title: str | None = None
    ended_run: UUID | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What the plan of a run counts.

    done, total: steps; perhaps: others that only may come. systems: those in which it will still
    give access, unless it ends early, with their titles.
    """

    done: int
    total: int
    perhaps: int = 0
    systems: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFact:
    """One run about the person.

    done: steps and tasks of an open run that have an outcome. skipped: steps of one that has ended,
    where it is the one to speak of. effective_at: the first or last day, where the start recorded
    it. failure: the class of a business end. parked_reason, parked_with: of the run itself, where
    it is parked without a parked step. ahead: what its plan counts; None where nobody knows, for
    the code that is asked has no such process.
    """

    id: UUID
    process: str
    state: str
    started_at: datetime
    kind: Kind = "other"
    finished_at: datetime | None = None
    owner: str | None = None
    done: int = 0
    skipped: int = 0
    failure: str | None = None
    effective_at: datetime | None = None
    parked_reason: str | None = None
    parked_with: str | None = None
    is_cancelling: bool = False
    acts: tuple[OpenFact, ...] = ()
    ahead: Ahead | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.finished_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that is known of where a person stands, at one moment."""

    person: UUID
    name: str
    runs: tuple[RunFact, ...] = ()
    grants: tuple[GrantFact, ...] = ()
