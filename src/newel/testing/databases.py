"""A real PostgreSQL for tests: one server for a session, a database of its own for each test.

However many workers run a session, they share one server: the first one starts it, the last one
to leave stops it and deletes its data. Each worker makes one template with all migrations applied;
a test's database is a copy of that, so tests share nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from newel.embedded.errors import EmbeddedServerError
from newel.embedded.server import Server, removed, used
from newel.store.migrate import migrate

__all__ = ["NewDatabase", "connected", "databases", "program", "server"]

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
"""`async with new_database() as url`: an empty, migrated database."""

_PREFIX: Final = "newel-tests-"
_ROOM: Final = 2 * 1024**3  # bytes; a session keeps far below that


@contextlib.contextmanager
def server(session: Path) -> Iterator[Server]:
    """Give the session's server: real, but careless about power cuts; session: its folder."""
    directory = _fast_folder(session)
    for left in directory.parent.glob(f"{_PREFIX}*"):
        # A session that was killed could not clean up behind itself.
        with contextlib.suppress(EmbeddedServerError):
            removed(left, unless_used=True)
    with used(directory, durable=False, remove=True) as found:
        yield found


def databases(dsn: str, *, own: str) -> NewDatabase:
    """Give a maker of migrated databases.

    dsn: of the server. own: a name that no other program on it has.
    """
    template = f"template_{own}"
    asyncio.run(_made_template(dsn, template))
    numbers = count(1)

    @contextlib.asynccontextmanager
    async def made() -> AsyncIterator[str]:
        name = f"test_{own}_{next(numbers)}"
        # Measured: copying files takes 20 to 40 ms in memory, copying through the log twice that.
        create = f'create database "{name}" template "{template}" strategy file_copy'
        async with connected(dsn) as connection:
            await connection.execute(create)
        try:
            yield _named(dsn, name)
        finally:
            async with connected(dsn) as connection:
                await connection.execute(f'drop database "{name}" with (force)')

    return made


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Give a connection while the block runs."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


def _fast_folder(session: Path) -> Path:
    """Name the folder of this session's server: in memory, where the machine has room there.

    Every worker finds the same name, and no other session does.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the server makes its folder for its own user only
    own = sha256(str(session).encode()).hexdigest()[:12]
    if memory.is_dir() and shutil.disk_usage(memory).free >= _ROOM:
        return memory / f"{_PREFIX}{own}"
    return session / f"{_PREFIX}{own}"


async def _made_template(dsn: str, name: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute(f'create database "{name}"')
    await migrate(_named(dsn, name))


def _named(dsn: str, database: str) -> str:
    """Return the address of another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def program() -> str:
    """A name for this program among all that use the session's server."""
    return f"{os.environ.get('PYTEST_XDIST_WORKER', 'master')}_{os.getpid()}"
