"""The ground all contenders stand on: one server, a database each, on a fast and a slow disk.

A slow disk adds one millisecond to every flush of the write-ahead log. The server does it
itself: `commit_delay = 1000` with `commit_siblings = 0` lets whoever flushes sleep for 1,000 µs
first, and others that want to commit meanwhile share the flush, as they would share an fsync
that is slow. It is set for a database, so both disks are one server and take part in one run.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

DISKS = ("fast", "slow")


@dataclass(frozen=True, slots=True)
class Ground:
    """A running server, by its address."""

    dsn: str
    binaries: Path

    async def database(self, name: str, disk: str) -> str:
        """Make an empty database on one of the disks; answers with its address."""
        made = f"{name}_{disk}"
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(f'create database "{made}"')
            if disk == "slow":
                await connection.execute(f'alter database "{made}" set commit_delay = 1000')
                await connection.execute(f'alter database "{made}" set commit_siblings = 0')
        finally:
            await connection.close()
        return urlunsplit(urlsplit(self.dsn)._replace(path=f"/{made}"))

    async def drop(self, name: str, disk: str) -> None:
        """Delete a database, so that what one contender left burdens no other."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(f'drop database "{name}_{disk}" with (force)')
        finally:
            await connection.close()


def absurd_schema(python: Path, dsn: str) -> None:
    """Let Absurd's own command line put its schema into a database."""
    command = [str(python.parent / "absurdctl"), "init", "-d", dsn]
    subprocess.run(command, check=True, capture_output=True)
