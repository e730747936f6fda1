"""Versions of code: what workers know, what waits for another version, what nobody knows.

A worker tells which processes it knows and in which version. A run goes by the version that drove
it last; an older worker leaves it alone for as long as a newer one lives, or was seen less than
half a minute ago (`claim_ready`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from newel.store.database import Connection, Database
from newel.store.queries import queries

__all__ = ["Unserved", "announce", "look_over", "unserved", "wake_blocked"]

_WORKERS: Final = queries("workers")
_RUNS: Final = queries("runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unserved:
    """Open runs of a process that no living worker knows; since: the oldest one's last event."""

    process: str
    how_many: int
    since: datetime

    def __str__(self) -> str:
        runs = "1 run waits" if self.how_many == 1 else f"{self.how_many} runs wait"
        return (
            f"No worker knows the process `{self.process}`: {runs}, untouched since "
            f"{self.since:%d %b %Y, %H:%M}. Deploy its code, or, if it was renamed, "
            f'`@process(formerly="{self.process}")`.'
        )


async def announce(connection: Connection, *, worker: int, definitions: Mapping[str, int]) -> None:
    """Say which processes a worker knows, with the version of each; 0 for former names."""
    await connection.execute(_WORKERS.announce, worker, dict(definitions))


async def wake_blocked(connection: Connection, definitions: Mapping[str, int]) -> list[UUID]:
    """Make runs due that other code could not go on with; answers with them."""
    names, versions = list(definitions), list(definitions.values())
    return [row["id"] for row in await connection.fetch(_RUNS.wake_blocked, names, versions)]


async def look_over(
    connection: Connection, definitions: Mapping[str, int], how_many: int
) -> list[UUID]:
    """Make open runs due that these versions have not seen yet; answers with them."""
    names, versions = list(definitions), list(definitions.values())
    rows = await connection.fetch(_RUNS.look_over, names, versions, how_many)
    return [row["id"] for row in rows]


async def unserved(database: Database) -> list[Unserved]:
    """The processes of open runs that no living worker knows."""
    return [Unserved(**dict(row)) for row in await database.fetch(_WORKERS.unserved)]
