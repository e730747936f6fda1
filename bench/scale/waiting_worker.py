"""A worker that looks for what is due and takes nothing; says how many kilobytes it holds.

Called with the database's address and for how many seconds it shall look.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from newel import days, process, timer
from newel.engine import Engine, Vault, WorkerSettings
from newel.store.database import Database


@process(subject=None)
async def onboarding() -> None:
    """Wait."""
    await timer("first-day", after=days(1))


async def main(dsn: str, looks_s: float) -> None:
    """Look for a while, and print the resident memory."""
    database = await Database.open(dsn)
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(database, Vault.at(Path(directory) / "kek"), [onboarding])
        await engine.register()
        worker = engine.new_worker()
        worker.settings = WorkerSettings(concurrency=0)
        task = asyncio.create_task(worker.run())
        await worker.registered.wait()
        await asyncio.sleep(looks_s)
        print(_resident_kb())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await database.close()


def _resident_kb() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
