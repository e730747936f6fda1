"""Claiming what is due: where only so many runs may go on, and everywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from newel.store import runs
from newel.store.database import Connection

__all__ = ["claimed_due"]


async def claimed_due(
    connection: Connection,
    found: runs.Due,
    worker: int,
    epoch: int,
    most: int,
    processes: Mapping[str, int],
) -> list[UUID]:
    """Claim at most so many of the runs that are due, and only where something is.

    Processes with so many places come first: of these few are taken at once, and a flood of
    others must not keep them out.
    """
    claimed: list[UUID] = []
    if found.in_room is not None and found.in_room <= found.as_of:
        claimed = await runs.claim_in_rooms(
            connection, worker=worker, epoch=epoch, how_many=most, processes=processes
        )
    if found.at is not None and found.at <= found.as_of and len(claimed) < most:
        claimed += await runs.claim_ready(
            connection,
            worker=worker,
            epoch=epoch,
            how_many=most - len(claimed),
            processes=processes,
        )
    return claimed
