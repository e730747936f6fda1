"""The statements of `streams.sql`."""

from __future__ import annotations

from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction


@statement("streams.made")
def made(at: Transaction, id_: UUID, name: str) -> int:
    """Makes the stream if it is new."""
    if any(row["name"] == name for row in at.rows("audit_stream")):
        return 0
    return int(at.insert_new("audit_stream", {"id": id_, "name": name}) is not None)


@statement("streams.head")
def head(at: Transaction, name: str) -> list[Row]:
    """The head of a stream under its row lock."""
    for row in at.rows("audit_stream"):
        if row["name"] == name:
            at.lock("audit_stream", row["id"])
            return [row | {"idle": "10s"}]
    return []
