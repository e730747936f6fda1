"""Workers whose hosts' clocks are an hour wrong: only the database's clock counts."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from newel.embedded.server import removed, started
from tests.faults.processes import PAUSE
from tests.faults.voyage import voyage

RUNS = int(os.environ.get("NEWEL_FAULTS_RUNS", "8"))
HOUR_S = 3600
NEAR = timedelta(minutes=10)  # a machine may be slow; an hour is far from that


@pytest.fixture
def faketime() -> str:
    """Give the library that shifts a program's clock; without it, skip and say what to install."""
    for place in ("/usr/lib", "/usr/local/lib"):
        for path in Path(place).glob("**/faketime/libfaketimeMT.so.1"):
            return str(path)
    pytest.skip("no libfaketime on this machine: apt-get install libfaketime")


@pytest.fixture
def server(tmp_path: Path):
    """Give a server of this test's own."""
    yield started(tmp_path / "server", durable=False)
    removed(tmp_path / "server")


async def test_a_hosts_clock_decides_nothing(server, faketime, tmp_path):
    """One host an hour ahead, one behind: leases, timers and times follow the database's clock."""
    async with voyage(tmp_path, server.dsn) as going:
        began = time.time()
        for name, shift in (("w0", "+1h"), ("w1", "-1h")):
            await going.ships.worker(
                name, LD_PRELOAD=faketime, FAKETIME=shift, FAKETIME_DONT_FAKE_MONOTONIC="1"
            )
        connection = await asyncpg.connect(server.dsn)
        registered = "select count(*) from newel.worker"
        while await connection.fetchval(registered) < 2:
            assert going.ships.is_alive("w0") and going.ships.is_alive("w1"), going.ships.log("w0")
        await going.begin("clocked", RUNS)
        await going.rest()
        await going.judge(("before", "after"))
        told = [int(name.partition("@")[2]) for name in going.book.effects]
        assert {round((moment - began) / HOUR_S) for moment in told} <= {-1, 1}
        strayed = await connection.fetch(
            "select type, occurred_at from newel.event "
            "where abs(extract(epoch from occurred_at - clock_timestamp())) > $1",
            NEAR.total_seconds(),
        )
        assert strayed == []
        early = await connection.fetch(
            "select o.stream_id from newel.event o join newel.event c "
            "on c.stream_id = o.stream_id and c.key = o.key and c.type = 'wait.closed' "
            "where o.type = 'wait.opened' and c.occurred_at - o.occurred_at < $1",
            PAUSE,
        )
        assert early == []
        leases = await connection.fetch(
            "select epoch, lease_until - clock_timestamp() as left from newel.worker"
        )
        assert [row["epoch"] for row in leases] == [1, 1]
        assert all(row["left"] < timedelta(seconds=10) for row in leases)
        await connection.close()
