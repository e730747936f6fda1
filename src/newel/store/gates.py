"""Rate limits of credentials: token buckets that all workers share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from newel.store.database import Database
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
