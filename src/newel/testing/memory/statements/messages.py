"""The statements of `messages.sql`."""

from __future__ import annotations

from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction


@statement("messages.keep")
def keep(
    at: Transaction, source: str, event_id: str, name: str, match: str | None, payload: bytes
) -> list[Row]:
    """Keeps a message, once."""
    row = at.insert_new(
        "inbox",
        {"source": source, "event_id": event_id, "name": name, "match": match, "payload": payload},
    )
    return [] if row is None else [{"id": row["id"]}]


@statement("messages.waiting")
def waiting(at: Transaction, name: str, match: str | None) -> list[Row]:
    """Open waits for messages of a name and correlation, oldest first."""
    found = [
        row
        for row in at.rows("open_act")
        if row["kind"] == "event" and row["key"].partition("#")[0] == name and row["match"] == match
    ]
    found.sort(key=lambda row: row["opened_at"])
    return [{"run_id": row["run_id"], "key": row["key"]} for row in found]


@statement("messages.take")
def take(at: Transaction, name: str, match: str | None, run: UUID) -> list[Row]:
    """Takes the oldest kept message for a run, skipping those that somebody is taking."""
    kept = [
        row
        for row in at.rows("inbox")
        if row["name"] == name and row["match"] == match and row["taken_by"] is None
    ]
    for row in sorted(kept, key=lambda row: row["received_at"]):
        if at.lock_free("inbox", row["id"]):
            at.update("inbox", row["id"], taken_by=run)
            return [{name: row[name] for name in ("source", "event_id", "payload")}]
    return []
