"""R09, multi_day: runs that wait for six days while their worker is restarted again and again.

`make faults` does the same with 10,000 runs and 20 restarts, and measures memory and connections.
"""

from __future__ import annotations

import signal
from pathlib import Path

import asyncpg
import pytest

from newel.embedded.server import removed, started
from tests.faults.processes import EFFECTS
from tests.faults.voyage import voyage

RUNS = 5
DAYS = 6


@pytest.fixture
def server(tmp_path: Path):
    """Give a server of this test's own."""
    yield started(tmp_path / "server", durable=False)
    removed(tmp_path / "server")


async def test_six_days_of_waiting_survive_every_restart(server, tmp_path):
    """R09: a restart a day, killed or asked; nothing happens early, and then all of it once."""
    async with voyage(tmp_path, server.dsn) as going:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("update newel.deployment set kind = 'test'")
        await going.ships.worker("w0")
        await going.begin("sleeping", RUNS)
        waiting = "select count(*) from newel.run where state = 'waiting' and worker_id is null"
        while await connection.fetchval(waiting) < RUNS:
            assert going.ships.is_alive("w0"), going.ships.log("w0")
        for day in range(1, DAYS + 1):
            assert await connection.fetchval(waiting) == RUNS
            assert going.book.effects.total() == 0
            going.ships.signal("w0", signal.SIGKILL if day % 2 else signal.SIGTERM)
            await going.ships.gone("w0")
            await connection.execute(
                "update newel.deployment set clock_offset = clock_offset + interval '1 day'"
            )
            await going.ships.worker("w0")
        await connection.close()
        await going.rest()
        await going.judge(EFFECTS["sleeping"])
