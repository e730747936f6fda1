"""PgBouncer is killed in mid-run, and comes back on its port."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from newel.embedded.server import removed, started
from tests.faults.pooler import pooler_of
from tests.faults.voyage import voyage

RUNS = int(os.environ.get("NEWEL_FAULTS_RUNS", "15"))


@pytest.fixture
def server(tmp_path: Path):
    """Give a server of this test's own."""
    yield started(tmp_path / "server", durable=False)
    removed(tmp_path / "server")


async def test_a_pooler_that_is_killed_in_mid_run_costs_nothing(pgbouncer, server, tmp_path):
    """Effects are made, the pooler is gone before their outcomes are kept; it comes back."""
    with pooler_of(server.dsn, size=6) as pooler:
        async with voyage(tmp_path, server.dsn, through=pooler.url) as going:
            for name in ("w0", "w1"):
                await going.ships.worker(name)
            await going.begin("journey", RUNS)
            for effects in (RUNS, 4 * RUNS):
                await going.effects(effects)
                going.book.answers.clear()
                pooler.end(signal.SIGKILL)
                going.book.answers.set()
                assert await going.finished() < RUNS
                pooler.start()
            await going.rest()
            await going.judge()
