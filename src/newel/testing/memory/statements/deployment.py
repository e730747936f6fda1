"""The statements of `deployment.sql` that a test needs, and of the migrations."""

from __future__ import annotations

from datetime import timedelta

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction

_OPEN = frozenset({"watching", "escalated", "healing"})


@statement("migrate.newest")
def newest(at: Transaction) -> list[Row]:
    """The newest migration that was applied."""
    row = max(at.rows("migration"), key=lambda row: row["number"])
    return [{"name": row["name"]}]


def _only(at: Transaction) -> Row:
    return next(at.rows("deployment"))


@statement("deployment.read")
def read(at: Transaction) -> list[Row]:
    """What this database is for, and what time it has."""
    row = _only(at)
    return [
        {
            "kind": row["kind"],
            "clock_offset": row["clock_offset"],
            "as_of": at.now(),
            "is_used": any(True for _ in at.rows("run")),
        }
    ]


@statement("deployment.move_clock")
def move_clock(at: Transaction, by: timedelta) -> list[Row]:
    """Moves the clock; answers with the new time."""
    row = _only(at)
    moved = at.update("deployment", row["only_row"], clock_offset=row["clock_offset"] + by)
    return [{"as_of": at.server_now() + moved["clock_offset"]}]


@statement("deployment.calm")
def calm(at: Transaction) -> list[Row]:
    """Whether nobody works on anything, nothing is due, and what comes next."""
    now = at.now()
    runs = list(at.rows("run"))
    resting = [
        row["wake_at"] for row in runs if row["worker_id"] is None and row["wake_at"] is not None
    ]
    incidents = list(at.rows("incident"))
    is_calm = (
        all(row["worker_id"] is None for row in runs)
        and all(moment > now for moment in resting)
        and all(row["state"] not in {"healing", "healed"} for row in incidents)
    )
    probes = [
        row["probe_at"]
        for row in incidents
        if row["state"] in _OPEN and row["probe_at"] is not None
    ]
    return [
        {
            "as_of": now,
            "is_calm": is_calm,
            "next_run": min((moment for moment in resting if moment > now), default=None),
            "next_probe": min(probes, default=None),
        }
    ]


@statement("deployment.set_second_person")
def set_second_person(at: Transaction, mode: str) -> list[Row]:
    """Notes which rule for second persons holds; the one before, where it was another."""
    row = _only(at)
    before = row["second_person"]
    if before == mode:
        return []
    at.update("deployment", row["only_row"], second_person=mode)
    return [{"before": before}]
