"""The statements of `kept_tokens.sql`."""

from __future__ import annotations

from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import CHANGE, Transaction


@statement("kept_tokens.make_turn")
def make_turn(at: Transaction, id_: UUID, credential: str) -> int:
    """Makes the row at which whoever renews a token waits for the turn."""
    at.insert_new("kept_token", {"id": id_, "credential": credential})
    return 1


@statement("kept_tokens.await_turn")
def await_turn(at: Transaction, id_: UUID) -> list[Row]:
    """Waits for the turn to renew a token, and gives what was kept, sealed."""
    at.lock("kept_token", id_, CHANGE)
    row = at.get("kept_token", id_)
    return [] if row is None else [{"sealed": row["sealed"]}]


@statement("kept_tokens.keep")
def keep(at: Transaction, id_: UUID, sealed: bytes) -> int:
    """Keeps what a renewal has given."""
    at.update("kept_token", id_, sealed=sealed, kept_at=at.now())
    return 1
