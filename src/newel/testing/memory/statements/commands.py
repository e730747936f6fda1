"""The statements of `commands.sql`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction

_HIDDEN = frozenset({"instructions", "reminded_at", "reminders"})


@statement("commands.task")
def task(at: Transaction, id_: UUID) -> list[Row]:
    """One task, with the name of whoever decided it."""
    row = at.get("task", id_)
    if row is None:
        return []
    person: Any = at.get("person", row["decided_by"]) or {}
    found = {name: value for name, value in row.items() if name not in _HIDDEN}
    return [found | {"decided_by_name": person.get("display_name")}]


@statement("commands.starters")
def starters(at: Transaction, run: UUID) -> list[Row]:
    """Who asked for a run, as its first leaf says, and for the runs that it was started by."""
    found: list[Row] = []
    above: UUID | None = run
    while above is not None:
        if (first := at.get("event", (above, 1))) is not None:
            data = orjson.loads(first["entry"])["data"]
            found.append({"requested_by": data.get("requested_by")})
        above = (at.get("run", above) or {}).get("parent_run")
    return found


@statement("commands.decided_in_group")
def decided_in_group(at: Transaction, run: UUID, four_eyes: str, person: UUID) -> list[Row]:
    """Whether a person has decided another task of the same four-eyes group."""
    has = any(
        row["four_eyes"] == four_eyes and row["decided_by"] == person and row["state"] == "decided"
        for row in at.of("task", run)
    )
    return [{"exists": has}]


@statement("commands.input")
def input_of(at: Transaction, run: UUID) -> list[Row]:
    """The sealed input that a run goes by."""
    given = [row for row in at.of("event", run) if row["type"] in {"run.started", "run.amended"}]
    return [{"payload": max(given, key=lambda row: row["seq"])["payload"]}] if given else []


@statement("commands.is_proposed")
def is_proposed(at: Transaction, run: UUID, key: str) -> list[Row]:
    """Whether a second person is being asked at this key."""
    has = any(row["key"] == key and row["state"] == "open" for row in at.of("task", run))
    return [{"exists": has}]


@statement("commands.proposal")
def proposal(at: Transaction, run: UUID, key: str) -> list[Row]:
    """The sealed act that a second person is asked to confirm."""
    told = [row for row in at.of("event", run) if (row["type"], row["key"]) == ("task.opened", key)]
    return [{"payload": max(told, key=lambda row: row["seq"])["payload"]}] if told else []


@statement("commands.unconfirmed")
def unconfirmed(at: Transaction, how_many: int) -> list[Row]:
    """Proposals that nobody can confirm any more."""
    found = []
    for row in at.rows("task"):
        if row["state"] == "open" and row["verb"] is not None:
            ended = (at.get("run", row["run_id"]) or {}).get("finished_at")
            if row["due_at"] <= at.now() or ended is not None:
                found.append(
                    {**{n: row[n] for n in ("id", "run_id", "due_at")}, "finished_at": ended}
                )
    return sorted(found, key=lambda row: row["due_at"])[:how_many]
