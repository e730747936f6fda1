"""Calls of real processes: announced before they are made, never cut, and remembered alike."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import asyncpg
import pytest

from newel.embedded.server import removed, started
from newel.engine.engine import Engine
from newel.engine.vault import Vault
from newel.store.database import Database
from newel.store.snapshot import read
from newel.testing.invariants import at_rest
from tests.faults.processes import journey
from tests.faults.voyage import CALLER, Voyage, voyage
from tests.patience import LONG_S

RUNS = 4


@pytest.fixture
def server(tmp_path: Path):
    """Give a server of this test's own."""
    yield started(tmp_path / "server", durable=False)
    removed(tmp_path / "server")


async def states(connection: asyncpg.Connection) -> dict[str, int]:
    """How many runs are in each state."""
    rows = await connection.fetch("select state, count(*) as n from newel.run group by state")
    return {row["state"]: row["n"] for row in rows}


async def until(going: Voyage, connection: asyncpg.Connection, wanted: dict[str, int]) -> None:
    """Wait until the runs are in these states."""
    async with asyncio.timeout(LONG_S):
        while (found := await states(connection)) != wanted:
            assert any(going.ships.is_alive(name) for name in going.ships.pids), found
            await asyncio.sleep(0.02)


async def test_a_call_is_announced_before_and_never_cut(server, tmp_path):
    """I2, I7: each effect has its intent in the database; stopping, pausing, cancelling wait.

    The worker is asked to stop, one run is paused and one is cancelled, while their calls are on
    their way: the calls come to their end, and their outcomes are kept by who has made them.
    """
    async with voyage(tmp_path, server.dsn) as going:
        connection = await asyncpg.connect(server.dsn)
        asking = await asyncpg.connect(server.dsn)
        book, one_at_a_time = going.book, asyncio.Lock()

        async def announced(key: str) -> bool:
            async with one_at_a_time:
                found: bool = await asking.fetchval(
                    "select exists (select 1 from newel.event where type = 'step.started' "
                    "and strpos(convert_from(entry, 'utf8'), $1) > 0)",
                    f'"idempotency_key":"{key}"',
                )
            return found

        book.witness = announced
        book.answers.clear()
        await going.ships.worker("w0")
        await going.begin("journey", RUNS)
        await going.effects(RUNS)
        database = await Database.open(server.dsn)
        engine = Engine(database, Vault(b"k" * 32), [journey])
        await engine.register()
        rows = await connection.fetch("select id from newel.run order by id limit 2")
        paused, cancelled = [row["id"] for row in rows]
        await engine.pause(paused, actor=CALLER, reason="wait")
        await engine.cancel(cancelled, actor=CALLER, reason="called off")
        going.ships.signal("w0", signal.SIGTERM)
        book.answers.set()
        assert await going.ships.gone("w0") == 0
        doubts = "select count(*) from newel.event where type = 'step.in_doubt'"
        assert await connection.fetchval(doubts) == 0
        kept = "select count(*) from newel.event where type = 'step.succeeded'"
        assert await connection.fetchval(kept) == book.calls >= RUNS
        assert book.cut == 0
        await going.ships.worker("w1")
        await until(going, connection, {"completed": RUNS - 2, "cancelled": 1, "waiting": 1})
        await engine.resume(paused, actor=CALLER)
        await until(going, connection, {"completed": RUNS - 1, "cancelled": 1})
        assert book.unannounced == []
        assert (book.cut, book.doubled()) == (0, {})
        assert at_rest(await read(connection)) == []
        await database.close()
        for each in (connection, asking):
            await each.close()


async def test_a_body_sees_the_same_after_a_kill(server, tmp_path):
    """I10: numbers that were drawn, the time and ids are what they were, on another worker too."""
    async with voyage(tmp_path, server.dsn) as going:
        await going.ships.worker("w0")
        await going.begin("remembering", RUNS)
        await going.effects(RUNS)
        going.ships.signal("w0", signal.SIGKILL)
        await going.ships.gone("w0")
        assert await going.finished() < RUNS
        await going.ships.worker("w0")
        await going.rest()
        await going.judge(("told", "again"))
        seen = [name.partition("@")[2] for name in going.book.effects]
        assert {seen.count(each) for each in seen} == {2}
        assert len(set(seen)) == RUNS
