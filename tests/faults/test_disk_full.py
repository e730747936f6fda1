"""The disk under PostgreSQL is full while runs are in flight, and then there is room again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from newel.embedded.server import removed, started
from tests.faults.voyage import voyage

SIZE_MB = 192
RUNS = int(os.environ.get("NEWEL_FAULTS_RUNS", "12"))


@pytest.fixture
def disk() -> Iterator[Path]:
    """Give a small file system of its own, where this user may mount one."""
    place = Path(tempfile.mkdtemp(prefix="newel-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0755", "tmpfs", str(place)]
    done = subprocess.run(command, check=False, capture_output=True, text=True) if _root() else None
    if done is None or done.returncode != 0:
        place.rmdir()
        pytest.skip("a disk that can be full is a tmpfs of its own: only root may mount one")
    place.chmod(0o755)
    yield place
    removed(place / "server")
    subprocess.run(["umount", str(place)], check=True)
    place.rmdir()


def _root() -> bool:
    return os.geteuid() == 0


def _fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return ballast


async def _refusal(dsn: str, statement: str) -> str:
    """Say it to the server again and again, until it cannot do it; answers with what it was."""
    while True:
        try:
            connection = await asyncpg.connect(dsn, timeout=10)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            return type(error).__name__


async def test_a_full_disk_loses_and_doubles_nothing(disk, tmp_path):
    """Tables, then the write-ahead log find no room, outcomes cannot be kept: later all are."""
    server = started(disk / "server")
    async with voyage(tmp_path, server.dsn) as going:
        for name in ("w0", "w1"):
            await going.ships.worker(name)
        going.book.answers.clear()
        await going.begin("journey", RUNS)
        await going.effects(RUNS)
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("create table filler (what text)")
        await connection.close()
        ballast = _fill(disk)
        more = "insert into filler select repeat('x', 2000) from generate_series(1, 1000)"
        assert await _refusal(server.dsn, more) == "DiskFullError"
        going.book.answers.set()
        next_file = "select pg_logical_emit_message(true, 'test', 'x'), pg_switch_wal()"
        assert await _refusal(server.dsn, next_file) != "DiskFullError"  # it has ended
        ballast.unlink()
        assert started(disk / "server").port == server.port
        await going.rest()
        await going.judge()
