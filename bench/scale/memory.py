"""What a worker's memory is with no waiting runs, and with all of them."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Memory", "waiting_cost"]

_PATIENCE_S: Final = 12.0

_WORKER: Final = """
import asyncio, resource, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from newel import days, process, timer
from newel.engine import Engine, Vault, WorkerSettings
from newel.store.database import Database
import tempfile

@process(subject=None)
async def onboarding() -> None:
    '''Wait.'''
    await timer("first-day", after=days(1))

async def main():
    database = await Database.open(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(database, Vault.at(Path(directory) / "kek"), [onboarding])
        await engine.register()
        worker = engine.new_worker()
        worker.settings = WorkerSettings(concurrency=0)  # it looks for what is due; it takes nothing
        task = asyncio.create_task(worker.run())
        await worker.registered.wait()
        await asyncio.sleep(float(sys.argv[2]))
        status = Path("/proc/self/status").read_text()
        kb = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await database.close()
        print(kb)

asyncio.run(main())
"""  # noqa: E501


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
    source = Path(__file__).resolve().parents[2] / "src"  # noqa: ASYNC240
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WORKER, dsn, str(_PATIENCE_S), str(source),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await running.communicate()
    return round(int(out) / 1024, 1)
