"""The statements of `call_counts.sql`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction

__all__ = ["add", "forget", "since"]


@statement("call_counts.add")
def add(
    at: Transaction,
    systems: Sequence[str],
    lengths: Sequence[int],
    calls: Sequence[int],
    failures: Sequence[int],
) -> int:
    """Adds what a worker has counted to the present hour."""
    hour = at.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    for system, upto_ms, seen, failed in zip(systems, lengths, calls, failures, strict=True):
        key = (system, hour, upto_ms)
        row = at.get("system_calls", key)
        if row is None:
            names = ("system", "hour", "upto_ms", "calls", "failures")
            values = (system, hour, upto_ms, seen, failed)
            at.insert("system_calls", dict(zip(names, values, strict=True)))
        else:
            both = {"calls": row["calls"] + seen, "failures": row["failures"] + failed}
            at.update("system_calls", key, **both)
    return len(systems)


@statement("call_counts.forget")
def forget(at: Transaction, kept: timedelta) -> int:
    """Forgets the hours that ended longer ago than they are kept."""
    old = [row for row in at.rows("system_calls") if row["hour"] < at.now() - kept]
    for row in old:
        at.delete("system_calls", (row["system"], row["hour"], row["upto_ms"]))
    return len(old)


@statement("call_counts.since")
def since(at: Transaction, systems: Sequence[str], moment: datetime) -> list[Row]:
    """What was counted of some systems since a moment."""
    found = [
        row for row in at.rows("system_calls") if row["system"] in systems and row["hour"] >= moment
    ]
    return sorted(found, key=lambda row: (row["system"], row["hour"], row["upto_ms"]))
