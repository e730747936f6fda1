"""What a worker's memory is with no waiting runs, and with all of them."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Memory", "waiting_cost"]

_PATIENCE_S: Final = 12.0

_WORKER: Final = Path(__file__).with_name("waiting_worker.py")


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident megabytes of a worker that looks for work."""

    none_mb: float
    waiting_mb: float


async def waiting_cost(dsn: str) -> Memory:
    """Let a worker look at an empty deployment of the same server, and at this one."""
    import asyncpg  # noqa: PLC0415

    from newel.store.migrate import migrate  # noqa: PLC0415

    connection = await asyncpg.connect(dsn)
    await connection.execute("drop database if exists scale_empty with (force)")
    await connection.execute("create database scale_empty")
    await connection.close()
    empty = f"{dsn.rpartition('/')[0]}/scale_empty"
    await migrate(empty)
    return Memory(none_mb=await _resident(empty), waiting_mb=await _resident(dsn))


async def _resident(dsn: str) -> float:
    running = await asyncio.create_subprocess_exec(
        sys.executable, str(_WORKER), dsn, str(_PATIENCE_S), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await running.communicate()
    if running.returncode != 0:
        raise RuntimeError(f"{_WORKER.name} has ended with {running.returncode}.")
    return round(int(out) / 1024, 1)
