"""The statements of `capabilities.sql`."""

from __future__ import annotations

from datetime import datetime

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import CHANGE, Transaction


@statement("capabilities.of_credentials")
def of_credentials(at: Transaction, credentials: list[str]) -> list[Row]:
    """What is known of some credentials."""
    rows = [row for row in at.rows("capability") if row["credential"] in credentials]
    return sorted(rows, key=lambda row: (row["credential"], row["name"]))


@statement("capabilities.keep")
def keep(
    at: Transaction,
    credential: str,
    system: str,
    names: list[str],
    checked: list[datetime],
    proved: list[datetime | None],
) -> int:
    """Keeps what a check has found, where it is newer than what is known."""
    for name, checked_at, proved_at in zip(names, checked, proved, strict=True):
        key = (credential, name)
        before = at.get("capability", key)
        if before is None:
            row = {"credential": credential, "name": name, "system": system}
            at.insert("capability", row | {"checked_at": checked_at, "proved_at": proved_at})
        elif before["checked_at"] < checked_at:
            at.lock("capability", key, CHANGE)
            moments = [each for each in (before["proved_at"], proved_at) if each is not None]
            latest = max(moments, default=None)
            at.update("capability", key, checked_at=checked_at, proved_at=latest)
    return len(names)


@statement("capabilities.forget")
def forget(at: Transaction, credential: str, names: list[str]) -> int:
    """Forgets what is not declared any more."""
    gone = [
        row
        for row in at.rows("capability")
        if row["credential"] == credential and row["name"] not in names
    ]
    for row in gone:
        at.delete("capability", (credential, row["name"]))
    return len(gone)
