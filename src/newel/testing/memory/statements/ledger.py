"""The statements of `ledger.sql`."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction

_HELD: Final = frozenset({"planned", "approved", "prepared", "active", "suspended"})


@statement("ledger.held")
def held(at: Transaction, person: UUID, entitlement: str) -> list[Row]:
    """The grant that a person has of an entitlement."""
    rows = list(at.of("access_grant", person))
    continued = {row["continues"] for row in rows}
    found = [
        row
        for row in rows
        if row["entitlement"] == entitlement
        and row["state"] in _HELD
        and row["id"] not in continued
    ]
    found.sort(key=lambda row: row["id"])
    found.sort(key=lambda row: row["recorded_at"], reverse=True)
    found.sort(key=lambda row: row["state"] == "suspended")
    names = ("id", "state", "level", "valid_from")
    return [{name: row[name] for name in names} for row in found[:1]]


@statement("ledger.ended_since")
def ended_since(at: Transaction, person: UUID, run: UUID, moment: datetime) -> list[Row]:
    """Whether another run has ended access of a person after a moment."""
    rows = list(at.of("access_grant", person))
    continued = {row["continues"] for row in rows}
    return [
        {
            "exists": any(
                row["valid_to"] is not None
                and row["valid_to"] > moment
                and row["ended_run"] != run
                and row["id"] not in continued
                for row in rows
            )
        }
    ]
