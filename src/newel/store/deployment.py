"""What this database is for, and its clock, which tests and the demo move.

Nothing in a production database comes through here but a look: its clock is refused by a CHECK,
and a database in which runs are is never made one for the demo.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from newel.store.database import Connection, Database
from newel.store.queries import queries

__all__ = [
    "Calm",
    "Kind",
    "Purpose",
    "calm",
    "forget_demo",
    "holder",
    "mark_demo",
    "mark_test",
    "move_clock",
    "read",
    "set_keep_log",
    "set_second_person",
]

_SQL: Final = queries("deployment")

Kind = Literal["production", "test", "demo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What a database is for; is_used: whether anything ever ran in it."""

    kind: Kind
    clock_offset: timedelta
    as_of: datetime
    is_used: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """Whether nobody works and nothing is due; and the next moments at which something is."""

    as_of: datetime
    is_calm: bool
    next_run: datetime | None
    next_probe: datetime | None


async def set_second_person(connection: Connection, mode: str) -> str | None:
    """Note which rule for second persons holds; the one before, where it was another."""
    before: str | None = await connection.fetchval(_SQL.set_second_person, mode)
    return before


async def set_keep_log(connection: Connection, days: int | None) -> tuple[int | None] | None:
    """Note for how many days events are kept; what it was before, None where it was the same."""
    row = await connection.fetchrow(_SQL.set_keep_log, days)
    return None if row is None else (row["before"],)


async def read(database: Database) -> Purpose:
    """Say what a database is for."""
    row = await database.fetchrow(_SQL.read)
    assert row is not None, "the migrations insert the only row"
    return Purpose(**dict(row))


async def mark_demo(database: Database) -> bool:
    """Make an unused database one for the demo; False if anything ever ran in it."""
    return await database.fetchval(_SQL.mark_demo) is not None


async def mark_test(database: Database) -> bool:
    """Make an unused database one for a test; False if runs are in it."""
    return await database.fetchrow(_SQL.mark_test) is not None


async def move_clock(database: Database, by: timedelta) -> datetime:
    """Move the clock of a test or a demo; answers with the new time."""
    moment: datetime = await database.fetchval(_SQL.move_clock, by)
    return moment


async def calm(database: Database) -> Calm:
    """Say whether anything is going on, and what comes next."""
    row = await database.fetchrow(_SQL.calm)
    assert row is not None, "a statement without a from-list has one row"
    return Calm(**dict(row))


async def holder(database: Database, process: str) -> int | None:
    """Process number of the worker that drives a run of a process now, on this machine."""
    row = await database.fetchrow(_SQL.holder, process)
    return None if row is None else row["pid"]


async def forget_demo(database: Database) -> bool:
    """Delete everything in a demo's database, whatever its version; False if it is none.

    The database needs its migrations afterwards.
    """
    async with database.transaction() as connection:
        if not await connection.fetchval(_SQL.is_made):
            return False
        if await connection.fetchval(_SQL.lock_kind) != "demo":
            return False
        await connection.execute(_SQL.forget_all)
        return True
