"""The statements of `schedules.sql`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction

_KNOWN = ("name", "process", "cron", "zone", "missed", "next_at", "paused_at", "retired_at")
_DECLARED = ("name", "process", "cron", "zone", "missed")
_DECIDED = ("planned_at", "run_id", "left_out", "refused")


@statement("schedules.known")
def known(at: Transaction, name: str) -> list[Row]:
    """One schedule under its row lock."""
    row = at.get("schedule", name)
    if row is None:
        return []
    at.lock("schedule", name)
    return [{column: row[column] for column in _KNOWN}]


@statement("schedules.declare")
def declare(at: Transaction, *columns: object) -> int:
    """Keeps what the code declares."""
    row: Row = dict(zip((*_DECLARED, "next_at"), columns, strict=True))
    if at.get("schedule", row["name"]) is None:
        at.insert("schedule", row)
    else:
        at.update("schedule", row["name"], retired_at=None, registered_at=at.server_now(), **row)
    return 1


@statement("schedules.retire")
def retire(at: Transaction, processes: list[str], declared: list[str]) -> list[Row]:
    """Ends the schedules of these processes that the code declares no more."""
    ended = [
        row["name"]
        for row in at.rows("schedule")
        if row["process"] in processes and row["name"] not in declared and row["retired_at"] is None
    ]
    for name in ended:
        at.update("schedule", name, retired_at=at.now())
    return [{"name": name} for name in ended]


def _mine(at: Transaction, columns: tuple[list[str], ...]) -> list[Row]:
    wanted = set(zip(*columns, strict=True))
    return [
        row
        for row in at.rows("schedule")
        if row["paused_at"] is None
        and row["retired_at"] is None
        and tuple(row[name] for name in _DECLARED) in wanted
    ]


@statement("schedules.next_due")
def next_due(at: Transaction, *columns: list[str]) -> list[Row]:
    """When the first of these schedules is due."""
    due = min((row["next_at"] for row in _mine(at, columns)), default=None)
    return [{"as_of": at.now(), "due": due}]


@statement("schedules.take_due")
def take_due(at: Transaction, *columns: list[str]) -> list[Row]:
    """The most overdue of these schedules, locked."""
    due = [row for row in _mine(at, columns) if row["next_at"] <= at.now()]
    for row in sorted(due, key=lambda row: row["next_at"]):
        if at.lock_free("schedule", row["name"]):
            return [{"name": row["name"], "next_at": row["next_at"], "as_of": at.now()}]
    return []


@statement("schedules.decided")
def decided(
    at: Transaction,
    schedule: str,
    planned_at: datetime,
    decided_at: datetime,
    run: UUID | None,
    left_out: int,
    refused: str | None,
) -> list[Row]:
    """Keeps what became of a planned moment, once."""
    row = {"schedule": schedule, "planned_at": planned_at, "decided_at": decided_at}
    row |= {"run_id": run, "left_out": left_out, "refused": refused}
    return [] if at.insert_new("occurrence", row) is None else [{"schedule": schedule}]


@statement("schedules.go_on")
def go_on(at: Transaction, name: str, next_at: datetime) -> int:
    """The planned moment that is decided next."""
    at.update("schedule", name, next_at=next_at)
    return 1


@statement("schedules.pause")
def pause(at: Transaction, name: str) -> list[Row]:
    """Pauses a schedule."""
    row = at.get("schedule", name)
    if row is None or row["paused_at"] is not None or row["retired_at"] is not None:
        return []
    at.update("schedule", name, paused_at=at.now())
    return [{"name": name}]


@statement("schedules.resume")
def resume(at: Transaction, name: str, next_at: datetime) -> int:
    """Lets a schedule go on from a moment."""
    at.update("schedule", name, paused_at=None, next_at=next_at)
    return 1


def _latest(at: Transaction, name: str) -> list[Row]:
    mine = [row for row in at.rows("occurrence") if row["schedule"] == name]
    return sorted(mine, key=lambda row: row["planned_at"], reverse=True)


@statement("schedules.listed")
def listed(at: Transaction) -> list[Row]:
    """All schedules that have not retired, with the latest moment that was decided."""
    found: list[Row] = []
    for row in sorted(at.rows("schedule"), key=lambda row: row["name"]):
        if row["retired_at"] is not None:
            continue
        last = next(iter(_latest(at, row["name"])), dict.fromkeys(_DECIDED))
        shown = {name: row[name] for name in (*_DECLARED, "next_at", "paused_at")}
        found.append({**shown, "as_of": at.now(), **{name: last[name] for name in _DECIDED}})
    return found


@statement("schedules.occurrences")
def occurrences(at: Transaction, name: str, how_many: int) -> list[Row]:
    """What became of a schedule's moments, the latest first."""
    columns = (*_DECIDED, "decided_at")
    return [{each: row[each] for each in columns} for row in _latest(at, name)[:how_many]]
