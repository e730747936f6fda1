"""The statements of `tasks.sql`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.statements.runs import definition_of
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_HIDDEN: Final = frozenset({"excluded", "four_eyes", "decided_by"})


def _listed(at: Transaction, row: Row) -> Row:
    run = at.get("run", row["run_id"])
    assert run is not None, "a task has a run"
    definition: Any = definition_of(at, run) or {}
    found = {name: value for name, value in row.items() if name not in _HIDDEN}
    for name, person in (
        ("subject_name", "subject"),
        ("assignee_name", "assignee"),
        ("decided_by_name", "decided_by"),
    ):
        found[name] = (at.get("person", row[person]) or {}).get("display_name")
    return found | {
        "process": run["process"],
        "process_title": definition.get("title"),
        "as_of": at.now(),
    }


@statement("tasks.opened")
def opened(at: Transaction, how_many: int) -> list[Row]:
    """Open tasks, by due time (none last), then by age."""
    rows = [row for row in at.rows("task") if row["state"] == "open"]
    rows.sort(key=lambda row: (row["due_at"] or _NEVER, row["opened_at"]))
    return [_listed(at, row) for row in rows[:how_many]]


@statement("tasks.ended")
def ended(at: Transaction, how_many: int) -> list[Row]:
    """Tasks that are over, the latest first."""
    rows = [row for row in at.rows("task") if row["state"] != "open"]
    rows.sort(key=lambda row: row["decided_at"] or row["due_at"] or row["opened_at"], reverse=True)
    return [_listed(at, row) for row in rows[:how_many]]


@statement("tasks.read")
def read(at: Transaction, task: UUID) -> list[Row]:
    """One task with its run and the people in it."""
    row = at.get("task", task)
    if row is None:
        return []
    run: Any = at.get("run", row["run_id"])
    assignee: Any = at.get("person", row["assignee"]) or {}
    first: Any = at.get("event", (row["run_id"], 1)) or {}
    return [
        _listed(at, row)
        | {
            "assignee_address": assignee.get("work_email"),
            "started_at": run["started_at"],
            "first_entry": first.get("entry"),
        }
    ]
