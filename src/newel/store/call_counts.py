"""How systems answer: calls by hour and by length, counted by workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from newel.store.database import Database, Row
from newel.store.queries import queries

__all__ = ["add", "forget", "since"]

_SQL: Final = queries("call_counts")


async def add(database: Database, counted: Mapping[tuple[str, int], tuple[int, int]]) -> None:
    """Add calls and failures by system and longest length in milliseconds."""
    systems = [system for system, _ in counted]
    lengths = [upto_ms for _, upto_ms in counted]
    calls = [calls for calls, _ in counted.values()]
    failures = [failures for _, failures in counted.values()]
    await database.execute(_SQL.add, systems, lengths, calls, failures)


async def forget(database: Database, kept: timedelta) -> None:
    """Forget the hours that ended longer ago than they are kept."""
    await database.execute(_SQL.forget, kept)


async def since(database: Database, systems: Sequence[str], moment: datetime) -> list[Row]:
    """What was counted of some systems since a moment, by hour and length."""
    return await database.fetch(_SQL.since, list(systems), moment)
