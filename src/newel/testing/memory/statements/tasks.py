"""The statements of `tasks.sql`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.statements.runs import definition_of, newest_key
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
    subject: Any = at.get("person", row["subject"]) or {}
    first: Any = at.get("event", (row["run_id"], 1)) or {}
    file: Any = at.get("task_file", task) or {}
    return [
        _listed(at, row)
        | {
            "assignee_address": assignee.get("work_email"),
            "subject_address": subject.get("work_email"),
            "started_at": run["started_at"],
            "first_entry": first.get("entry"),
            "file_size": file.get("size"),
            "file_sha256": file.get("sha256"),
            "has_file": file.get("content") is not None,
        }
    ]


@statement("files.keep")
def keep_file(
    at: Transaction,
    task: UUID,
    run: UUID,
    name: bytes,
    content: bytes,
    size: int,
    sha256: str,
    when: datetime,
) -> int:
    """Keeps the file of a task."""
    row = {"task_id": task, "run_id": run, "name": name, "content": content, "size": size}
    at.insert("task_file", row | {"sha256": sha256, "attached_at": when})
    return 1


@statement("files.read")
def read_file(at: Transaction, task: UUID) -> list[Row]:
    """The file of a task, with what opens it."""
    row = at.get("task_file", task)
    if row is None:
        return []
    subject = (at.get("run", row["run_id"]) or {}).get("subject")
    shown = {name: row[name] for name in ("run_id", "name", "content", "sha256")}
    return [shown | {"subject": subject} | newest_key(at, subject)]


@statement("files.empty")
def empty_files(at: Transaction, runs: list[UUID]) -> int:
    """Empties the files of runs whose payloads are emptied."""
    rows = [row for row in at.rows("task_file") if row["run_id"] in runs]
    for row in rows:
        at.update("task_file", row["task_id"], name=None, content=None)
    return len(rows)
