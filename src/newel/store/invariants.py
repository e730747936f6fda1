"""What must hold of the rows at any moment, asked of the database (engine document, §2).

Shared by `newel doctor` and by tests that break things: one place says what is broken. A run that
is being written to is judged as it was at the statement's moment, so nothing is a false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from newel.store.database import Database
from newel.store.queries import queries

__all__ = ["EVER", "INVARIANTS", "Broken", "broken"]

_SQL: Final = queries("invariants")

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""As `since`: the history of every run is read."""

INVARIANTS: Final = {
    "stuck": "I1",
    "abandoned": "I1",
    "forgotten_intents": "I1",
    "unintended": "I2",
    "doubled": "I3",
    "gaps": "I4",
    "misstated": "I4",
    "orphans": "I4",
    "orphaned_tasks": "I4",
    "doubled_tickets": "I8",
}
"""The questions, and the invariant that each is about."""

_SINCE: Final = frozenset({"unintended", "doubled", "gaps", "misstated"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One breach; question: of `INVARIANTS`. what: a key, a process, or a type of event."""

    invariant: str
    question: str
    run: UUID
    what: str


async def broken(
    database: Database, *, since: datetime = EVER, patience: timedelta = timedelta(seconds=60)
) -> list[Broken]:
    """Find what breaks an invariant, at most a thousand for each question.

    since: histories are read of runs that are open or have ended since. patience: how long after
    its lease a dead worker may still own runs.
    """
    found: list[Broken] = []
    for question, invariant in INVARIANTS.items():
        values: tuple[object, ...] = ()
        if question in _SINCE:
            values = (since,)
        elif question == "abandoned":
            values = (patience,)
        found += [
            Broken(invariant=invariant, question=question, run=row["run_id"], what=row["what"])
            for row in await database.fetch(getattr(_SQL, question), *values)
        ]
    return found
