"""Runs: claiming them, loading what is needed to drive them, and finding them again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

_SQL: Final = queries("runs")


async def claim_ready(
    connection: Connection, *, worker: int, epoch: int, how_many: int, processes: Mapping[str, int]
) -> list[UUID]:
    """Take ownership of at most `how_many` due runs that nobody owns, most urgent first.

    processes: those that the worker knows, with its version of each; others are left for one that
    does, and so is what a newer version has driven while a worker of that one lives.
    """
    rows = await connection.fetch(
        _SQL.claim_ready, worker, epoch, how_many, list(processes), list(processes.values())
    )
    return [row["id"] for row in rows]


async def claim_in_rooms(
    connection: Connection, *, worker: int, epoch: int, how_many: int, processes: Mapping[str, int]
) -> list[UUID]:
    """Take due runs of processes that may have only so many active, as places are left."""
    rows = await connection.fetch(
        _SQL.claim_in_rooms, worker, epoch, how_many, list(processes), list(processes.values())
    )
    return [row["id"] for row in rows]


async def let_go_strays(
    connection: Connection, *, worker: int, epoch: int, held: Collection[UUID]
) -> list[UUID]:
    """Let go of runs that a worker owns and does not hold; answers with them."""
    rows = await connection.fetch(_SQL.let_go_strays, worker, epoch, list(held))
    return [row["id"] for row in rows]


async def nudged(connection: Connection, *, worker: int) -> list[UUID]:
    """Runs of this worker that somebody else has written to."""
    return [row["id"] for row in await connection.fetch(_SQL.nudged, worker)]


@dataclass(frozen=True, slots=True)
class Due:
    """The database's time, how far it was moved, and when the next run is due.

    in_room: when the next one is due among those that may go on only so many at a time.
    """

    as_of: datetime
    moved: timedelta
    at: datetime | None
    in_room: datetime | None

    @property
    def first(self) -> datetime | None:
        """When the first of all is due."""
        return min((at for at in (self.at, self.in_room) if at is not None), default=None)


async def next_due(connection: Connection) -> Due:
    """The database's time, and when the next run that nobody owns is due."""
    row = await connection.fetchrow(_SQL.next_due)
    assert row is not None, "a statement without a from-list has one row"
    return Due(row["as_of"], row["moved"], row["due"], row["due_in_room"])


async def load(connection: Connection, runs: Sequence[UUID]) -> list[Row]:
    """The rows of the given runs, with their subjects' newest living key."""
    return await connection.fetch(_SQL.load, list(runs))


async def ends(connection: Connection, runs: Sequence[UUID]) -> list[Row]:
    """How the given runs have ended, those that have, with their subjects' newest living key."""
    return await connection.fetch(_SQL.ends, list(runs))


async def children(connection: Connection, run: UUID) -> list[UUID]:
    """The open children of a run that are cancelled with it, theirs included; in id order."""
    return [row["id"] for row in await connection.fetch(_SQL.children, run)]


async def locked(connection: Connection, run: UUID) -> Row | None:
    """One run under its row lock, held until the transaction ends."""
    return await connection.fetchrow(_SQL.locked, run)


async def read(database: Database, run: UUID) -> Row | None:
    """One run as people see it."""
    return await database.fetchrow(_SQL.read, run)


async def listed(
    database: Database,
    *,
    state: str | None = None,
    process: str | None = None,
    subject: UUID | None = None,
    before: UUID | None = None,
    how_many: int = 50,
) -> list[Row]:
    """Runs, newest first; `state` may be a state, a standing or `open`."""
    return await database.fetch(_SQL.listed, state, process, subject, before, how_many)


async def exists(database: Database, run: UUID) -> bool:
    """Whether there is such a run."""
    return bool(await database.fetchval(_SQL.exists, run))


async def subject_of(connection: Connection, run: UUID) -> UUID | None:
    """Whom a run is about."""
    found: UUID | None = await connection.fetchval(_SQL.subject_of, run)
    return found


async def open_of_subject(connection: Connection, process: str, subject: UUID) -> UUID | None:
    """The open run of a process about a person, if there is one."""
    found: UUID | None = await connection.fetchval(_SQL.open_of_subject, process, subject)
    return found


async def counts(database: Database) -> dict[str, int]:
    """How many open runs there are of each standing."""
    return {row["standing"]: row["how_many"] for row in await database.fetch(_SQL.counts)}


async def put_back(
    database: Database,
    run: UUID,
    *,
    worker: int,
    epoch: int,
    seq: int,
    readings: int,
    wake_at: datetime | None,
    version: int,
) -> None:
    """Let go of a run for which nothing was to be done, due again at `wake_at`.

    seq, readings: as they were when it was loaded. version: of the code that has seen it. If it
    was written or read since, it is due at once.
    """
    async with database.transaction() as connection:
        done = await connection.execute(
            _SQL.put_back, run, worker, epoch, seq, readings, wake_at, version
        )
        if done.endswith(" 0"):
            await connection.execute(_SQL.let_go, run, worker, epoch)


async def put_off(database: Database, run: UUID, *, worker: int, pause: timedelta) -> None:
    """Let go of a run that nothing can be done with now; it is due again after a pause."""
    await database.execute(_SQL.put_off, run, worker, pause)


async def heard(connection: Connection, run: UUID, *, worker: int, epoch: int) -> bool:
    """Note that the owner has seen what others wrote; False if it owns the run no more."""
    return await connection.fetchval(_SQL.heard, run, worker, epoch) is not None


async def wake(connection: Connection, run: UUID) -> None:
    """Make a run due now."""
    await connection.execute(_SQL.wake, run)


async def enter_room(connection: Connection, process: str, room: str) -> None:
    """Count the open runs of a process that has a limit from now on."""
    await connection.execute(_SQL.enter_room, process, room)


async def expiring(connection: Connection, before: datetime, how_many: int) -> list[Row]:
    """Runs that ended before a moment and still have their payloads; locked."""
    return await _not_held(connection, await connection.fetch(_SQL.expiring, before, how_many))


async def mark_expired(connection: Connection, expired: Sequence[UUID]) -> None:
    """Mark runs whose payloads are emptied in this transaction."""
    await connection.execute(_SQL.mark_expired, list(expired))


async def prunable(connection: Connection, before: datetime, how_many: int) -> list[UUID]:
    """Runs that ended before a moment and whose events may be removed by now; locked."""
    found = await connection.fetch(_SQL.prunable, before, how_many)
    return [row["id"] for row in await _not_held(connection, found)]


async def _not_held(connection: Connection, found: list[Row]) -> list[Row]:
    """Leave out what is held: a hold set while they were looked for is seen now they are locked."""
    held = {row["id"] for row in await connection.fetch(_SQL.held, [each["id"] for each in found])}
    return [each for each in found if each["id"] not in held]


async def mark_pruned(connection: Connection, pruned: Sequence[UUID]) -> None:
    """Mark runs whose events are removed in this transaction."""
    await connection.execute(_SQL.mark_pruned, list(pruned))
