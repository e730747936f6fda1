"""A primary with a synchronous standby is lost in mid-run; the standby is promoted."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from newel.embedded.cluster import launch
from newel.embedded.locks import locked
from newel.embedded.place import Place, settled
from newel.embedded.record import Record, write_record
from newel.embedded.server import Server, found, removed, started
from tests.faults.pooler import free_port
from tests.faults.voyage import voyage
from tests.patience import LONG_S

RUNS = int(os.environ.get("NEWEL_FAULTS_RUNS", "12"))


@pytest.fixture
def places(tmp_path: Path):
    """Give directories for the primary and for its standby."""
    yield tmp_path / "primary", tmp_path / "standby"
    for name in ("primary", "standby"):
        removed(tmp_path / name)


def _copied(primary: Server, place: Place) -> None:
    login, account = urlsplit(primary.dsn), place.account
    command = [
        str(primary.bin_directory / "pg_basebackup"), "--write-recovery-conf", "--no-sync",
        "--checkpoint=fast", "--wal-method=stream", f"--pgdata={place.cluster}",
        "--host=127.0.0.1", f"--port={primary.port}", f"--username={login.username}",
    ]  # fmt: skip
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.defpath, "PGPASSWORD": str(login.password)},
        user=account.user if account else None,
        group=account.group if account else None,
        extra_groups=[] if account else None,
    )
    assert done.returncode == 0, done.stderr


async def _standby(primary: Server, of: Path, at: Path) -> str:
    """Copy the primary, start the copy as its standby, and let commits wait for it."""
    port = free_port()
    with locked(of), locked(at) as own:
        origin, place = settled(of), settled(at)
        place.server.mkdir(mode=0o700)
        place.own(place.server)
        shutil.copy(origin.password, place.password)
        await asyncio.to_thread(_copied, primary, place)
        write_record(own, Record(durable=True, port=port, kept=True))
        assert launch(place, port, durable=True)
    await _synchronous(primary.dsn)
    return primary.dsn.replace(f":{primary.port}/", f":{port}/")


async def _synchronous(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("alter system set synchronous_standby_names = '*'")
        await connection.execute("select pg_reload_conf()")
        async with asyncio.timeout(LONG_S):
            while await connection.fetchval("select sync_state from pg_stat_replication") != "sync":
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def _events(dsn: str) -> set[tuple[object, ...]]:
    """All events that can be seen: their commits were acknowledged, so the standby has them."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("select stream_id, seq, entry from newel.event")
        return {tuple(row) for row in rows}
    finally:
        await connection.close()


async def _deaf(standby: str) -> int:
    """Freeze what receives the primary's log, so that nothing is acknowledged; gives its pid."""
    connection = await asyncpg.connect(standby)
    try:
        pid = int(await connection.fetchval("select pid from pg_stat_wal_receiver"))
    finally:
        await connection.close()
    os.kill(pid, signal.SIGSTOP)
    return pid


async def _kept_waiting(primary: str) -> None:
    """Wait until a commit of the workers waits for the standby."""
    waiting = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"
    connection = await asyncpg.connect(primary)
    try:
        async with asyncio.timeout(LONG_S):
            while not await connection.fetchval(waiting):
                await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def _promoted(standby: str) -> None:
    connection = await asyncpg.connect(standby)
    try:
        assert await connection.fetchval("select pg_promote(true, 240)")
    finally:
        await connection.close()


async def test_a_promoted_standby_has_all_that_was_acknowledged(places, tmp_path):
    """Killed in mid-run, with outcomes that nobody acknowledged: no event lost, none made twice."""
    primary = started(places[0])
    async with voyage(tmp_path, primary.dsn) as going:
        second = await _standby(primary, *places)
        for name in ("w0", "w1"):
            await going.ships.worker(name)
        await going.begin("journey", RUNS)
        await going.effects(2 * RUNS)
        going.book.answers.clear()
        receiver = await _deaf(second)
        going.book.answers.set()
        await _kept_waiting(primary.dsn)
        acknowledged = await _events(primary.dsn)
        os.kill(primary.pid, signal.SIGKILL)
        await going.until(lambda: found(places[0]) is None)
        os.kill(receiver, signal.SIGCONT)
        await _promoted(second)
        assert acknowledged <= await _events(second)
        going.dsn = second
        going.ships.turn_to(second)
        assert await going.finished() < RUNS
        await going.rest()
        await going.judge()
        assert acknowledged <= await _events(second)
