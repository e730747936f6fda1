"""Workers: registering, heartbeats, and taking over from one whose lease has run out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from newel.store.database import Connection, Database, whole
from newel.store.queries import queries

_SQL: Final = queries("workers")


async def register(
    connection: Connection, *, host: str, pid: int, version: str, lease: timedelta
) -> tuple[int, int]:
    """Make a worker; answers with its id and epoch."""
    row = await connection.fetchrow(_SQL.register, host, pid, version, lease)
    assert row is not None, "an insert returns its row"
    return row["id"], row["epoch"]


async def beat(
    connection: Connection, *, worker: int, epoch: int, lease: timedelta
) -> datetime | None:
    """Extend the lease; answers with the database's time, or None if it was lost."""
    found: datetime | None = await connection.fetchval(_SQL.beat, worker, epoch, lease)
    return found


async def renew(connection: Connection, *, worker: int, lease: timedelta) -> int | None:
    """Come back after a lost lease, owning nothing; answers with the new epoch.

    None: a batch of the old epoch is still under way, and must have ended first. What is not let
    go of here (`runs.let_go_strays`) is found by the epoch it still carries.
    """
    row = await connection.fetchrow(_SQL.renew, worker, lease)
    return None if row is None else int(row["epoch"])


async def take_over(
    connection: Connection, *, say: Callable[[dict[int, int]], Awaitable[object]] | None = None
) -> dict[int, int]:
    """Fence every worker whose lease has run out and let go of its runs, in one transaction.

    Answers with those workers, and how many runs each held. say: writes that down, in the same
    transaction, where there are any. Locks: workers, then runs, then what `say` locks.
    """
    held: dict[int, int] = {}
    async with whole(connection):
        for row in await connection.fetch(_SQL.lapsed):
            await connection.execute(_SQL.fence, row["id"])
            held[row["id"]] = len(await connection.fetch(_SQL.let_go, row["id"]))
        if held and say is not None:
            await say(held)
    return held


async def stop(connection: Connection, *, worker: int, epoch: int) -> None:
    """Leave: let go of what is still owned, and give the lease back."""
    async with whole(connection):
        await connection.fetch(_SQL.let_go, worker)
        await connection.execute(_SQL.stop, worker, epoch)


async def live(database: Database) -> int:
    """How many workers hold a lease now."""
    count: int = await database.fetchval(_SQL.live)
    return count
