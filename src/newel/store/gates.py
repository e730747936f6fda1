"""Limits of credentials that all workers share: token buckets, and the count of removals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from newel.store.database import Database, Row
from newel.store.queries import queries

_SQL: Final = queries("gates")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a bucket.

    rate, capacity: its budget; a rate of 0 has none, and only a block holds it back.
    floor: tokens that are left for others. want: how many are taken at once, if there are.
    patience: seconds that the asker waits with its tokens. may_jump: whether it goes before those
    who come for the first time.
    """

    rate: float
    capacity: float
    floor: float
    cost: float
    want: float
    patience: float
    may_jump: bool


async def take(database: Database, credential: str, bucket: str, asked: Asked) -> tuple[int, float]:
    """Take tokens; answers with how many, and with the seconds to wait before spending them.

    With none taken: the seconds after which it is worth asking again, a turn of the asker's own.
    """
    row = await database.fetchrow(
        _SQL.take,
        credential,
        bucket,
        asked.rate,
        asked.capacity,
        asked.floor,
        asked.cost,
        asked.want,
        asked.patience,
        asked.may_jump,
    )
    assert row is not None, "the function always answers"
    return int(row["given"]), float(row["wait"])


async def lower(database: Database, credential: str, bucket: str, remaining: int) -> None:
    """Note how many requests the system says are left."""
    await database.execute(_SQL.lower, credential, bucket, remaining)


async def block(database: Database, credential: str, bucket: str, until: datetime) -> None:
    """Let nothing pass before a moment."""
    await database.execute(_SQL.block, credential, bucket, until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One person who is about to lose something. whose: who that is, as a digest.

    is_alone: only what this very run has taken counts. is_released: somebody has let it go.
    """

    credential: str
    whose: bytes
    run: UUID
    is_alone: bool
    is_released: bool


async def admit_removal(
    database: Database, removal: Removal, *, most: int, window: timedelta
) -> bool:
    """Count a person who loses something; False, and not counted, if they are one too many."""
    admitted: bool = await database.fetchval(
        _SQL.admit_removal,
        removal.credential,
        removal.whose,
        removal.run,
        most,
        window,
        removal.is_alone,
        removal.is_released,
    )
    return admitted


async def forget_removals(database: Database, *, window: timedelta) -> None:
    """Forget from whom something was taken longer ago than it counts."""
    await database.execute(_SQL.forget_removals, window)


async def holding(database: Database) -> set[str]:
    """The credentials with which steps are held of which nobody has decided."""
    return {row["credential"] for row in await database.fetch(_SQL.holding)}


async def held_up(database: Database, credential: str, how_many: int) -> list[Row]:
    """Steps that were held with a credential, and of which nobody has decided, oldest first."""
    return await database.fetch(_SQL.held_up, credential, how_many)


async def asked_about(database: Database, event: str) -> dict[str, bool]:
    """What open waits for an event are correlated by, and whether somebody is still asked there."""
    rows = await database.fetch(_SQL.asked_about, event)
    return {row["match"]: row["is_open"] for row in rows}
