"""Copies of checkpoints brought home: from buckets, and the time stamps that were given over them.

What lies in a folder can be read where it lies; what lies on the network is fetched into one, so
that whoever verifies has files, and needs neither a key of the bucket nor the network any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from newel.engine.copies import Anchor
from newel.engine.object_lock import Bucket
from newel.engine.whole_files import write_once
from newel.store import audit_log
from newel.store.database import Database
from newel.store.export import snapshot

__all__ = ["Fetched", "fetched"]


@dataclass(frozen=True, slots=True)
class Fetched:
    """How many files are new: copies of checkpoints, and time stamps with what they are over."""

    copies: int
    stamps: int


async def fetched(database: Database, anchors: Sequence[Anchor], folder: Path) -> Fetched:
    """Write all copies that lie on the network into a folder; what is there stays as it is.

    A time stamp is `stamp.EPOCH.SIZE.HOST.tsr`, and what it is over the checkpoint of the same
    numbers. Raises StoreError.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    copies = sum([await each.fetch(folder) for each in anchors if isinstance(each, Bucket)])
    async with snapshot(database) as seen:
        rows = await audit_log.stamped(seen.connection)
    stamps = 0
    for row in rows:
        at, host = f"{row['log_epoch']}.{row['size']}", row["target"].split(":", 1)[1]
        file = folder / f"stamp.{at}.{host.replace('/', '-').replace(':', '-')}.tsr"
        if not file.exists():
            stamps += 1
            await asyncio.to_thread(write_once, folder / f"checkpoint.{at}", row["note"].encode())
            await asyncio.to_thread(write_once, file, row["receipt"])
    return Fetched(copies, stamps)
