"""A worker process with one version of a process's code; says on each line what has come about.

Arguments: database address, key file, source file. Each line of its output is a JSON object: how
many runs there are in each state. It leaves in good order on SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from datetime import timedelta
from pathlib import Path

from newel.engine.worker import WorkerSettings
from tests.changes.versions import version
from tests.engine.house import House, opened


async def _say(house: House) -> bool:
    rows = await house.database.fetch("select state, count(*) as n from newel.run group by 1")
    sys.stdout.write(json.dumps({row["state"]: row["n"] for row in rows}) + "\n")
    sys.stdout.flush()
    return False


async def main(url: str, kek: str, source: str) -> None:
    """Work until told to leave."""
    settings = WorkerSettings(
        look=timedelta(milliseconds=20), heartbeat=timedelta(milliseconds=100)
    )
    house = await opened(url, Path(kek), [version(Path(source).read_text())], settings=settings)
    worker = house.engine.new_worker()
    work = asyncio.create_task(worker.run())
    await worker.registered.wait()
    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
    saying = asyncio.create_task(worker.notices.until(lambda: _say(house)))
    await leaving.wait()
    await worker.stop()
    await work
    saying.cancel()
    await house.database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
