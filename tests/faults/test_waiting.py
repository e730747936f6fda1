"""Runs that wait cost a worker nothing: no memory, no connection, and nothing over restarts."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest

from newel.audit.leaf import Actor
from newel.embedded.server import removed, started
from newel.engine.engine import Engine
from newel.engine.vault import Vault
from newel.store.database import Database
from newel.store.migrate import migrate
from newel.store.snapshot import read
from newel.testing.invariants import at_rest
from tests.faults.book import Book
from tests.faults.fleet import Fleet, fleet
from tests.faults.processes import sleeping

RUNS = int(os.environ.get("NEWEL_FAULTS_WAITING", "150"))
RESTARTS = int(os.environ.get("NEWEL_FAULTS_RESTARTS", "2"))
CALLER = Actor(type="service", id="svc_test", via="api")


@pytest.fixture
def server(tmp_path: Path):
    """Give a server of this test's own."""
    yield started(tmp_path / "server", durable=False)
    removed(tmp_path / "server")


def _memory(pid: int) -> int:
    """Resident bytes of a process that nobody else shares."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    sizes = {row.split()[0]: int(row.split()[1]) for row in rows[1:]}
    return (sizes["Private_Clean:"] + sizes["Private_Dirty:"]) * 1024


async def _settled_memory(ships: Fleet, connection, name: str) -> int:
    """Memory of a worker that has looked for due runs a few times."""
    before = await connection.fetchval("select max(lease_until) from newel.worker")
    for _ in range(3):
        while (
            now := await connection.fetchval("select max(lease_until) from newel.worker")
        ) == before:
            await asyncio.sleep(0.05)
        before = now
    return _memory(ships.pids[name])


@pytest.mark.slow
async def test_waiting_runs_cost_a_worker_nothing_over_restarts(server, tmp_path):
    """R09, slow: six days' wait over worker restarts; less than 20 MB more, and no connection."""
    await migrate(server.dsn)
    async with Book(1) as book, fleet(tmp_path, server.dsn, book) as ships:
        database = await Database.open(server.dsn)
        await database.execute("update newel.deployment set kind = 'test'")
        connection = await asyncpg.connect(server.dsn)
        await ships.worker("w0")
        empty = await _settled_memory(ships, connection, "w0")
        engine = Engine(database, Vault(b"k" * 32), [sleeping])
        await engine.register()
        for number in range(RUNS):
            await engine.start("sleeping", f"n{number}", actor=CALLER)
        await _all(connection, "waiting", RUNS)
        for number in range(RESTARTS):
            ships.signal("w0", signal.SIGKILL if number % 2 else signal.SIGTERM)
            await ships.gone("w0")
            await ships.worker("w0")
            if number % 5 == 0:
                await connection.execute(
                    "update newel.deployment set clock_offset = clock_offset + interval '1 hour'"
                )
        full = await _settled_memory(ships, connection, "w0")
        print(f"memory: {empty / 1e6:.1f} MB empty, {full / 1e6:.1f} MB with {RUNS} waiting")
        assert full - empty < 20e6
        assert (await ships.proxy("w0")).most <= 5
        assert (
            await connection.fetchval("select count(*) from newel.run where state = 'waiting'")
            == RUNS
        )
        await connection.execute(
            "update newel.deployment set clock_offset = clock_offset + interval '7 days'"
        )
        await _all(connection, "completed", RUNS)
        assert book.effects.total() == RUNS
        assert book.doubled() == {}
        assert at_rest(await read(connection)) == []
        await connection.close()
        await database.close()


async def _all(connection, state: str, how_many: int) -> None:
    query = "select count(*) from newel.run where state = $1 and worker_id is null"
    for _ in range(6000):
        if await connection.fetchval(query, state) == how_many:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(await connection.fetch("select state, count(*) from newel.run group by 1"))
