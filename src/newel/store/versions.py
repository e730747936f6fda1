"""Versions of code: what workers know, and what waits for another version.

A worker tells which processes it knows and in which version. A run goes by the version that drove
it last; an older worker leaves it alone for as long as a newer one lives, or was seen less than
half a minute ago (`claim_ready`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from newel.store.database import Connection
from newel.store.queries import queries

__all__ = ["announce", "look_over", "wake_blocked"]

_WORKERS: Final = queries("workers")
_RUNS: Final = queries("runs")


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
