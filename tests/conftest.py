"""What every test may ask for: a real PostgreSQL, and a database of its own in it.

One server serves the whole session, however many workers run it: the first one starts it,
the last one to leave stops it and deletes its data. Each worker makes one template with all
migrations applied; a test's database is a copy of that, so tests share nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from newel.base import secrets
from newel.base.clock import DEPLOYMENT
from newel.embedded.errors import EmbeddedServerError
from newel.embedded.server import Server, removed, used

_PREFIX = "newel-tests-"
_POOLED = os.environ.get("NEWEL_TEST_POOLER") == "1"
"""Whether every test reaches its database through PgBouncer in transaction mode."""
_ROOM = 2 * 1024**3  # bytes; a session keeps far below that
NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    """Keep settings of the developer's shell away from the tests."""
    for name in os.environ:
        if name.startswith("NEWEL_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="module")
def _own_clock():
    """Give every module the host's time, whatever another has moved its deployment to."""
    DEPLOYMENT.offset = timedelta(0)


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch):
    """Give every test its own memory of secrets: another's must not open this one's systems."""
    monkeypatch.setattr(secrets, "_kept", {})


@pytest.fixture(scope="session")
def session_directory(tmp_path_factory) -> Path:
    """Return a folder that all workers of this session share."""
    own: Path = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def postgres(session_directory) -> Iterator[Server]:
    """Give the session's server: real, but careless about power cuts."""
    directory = _fast_folder(session_directory)
    for left in directory.parent.glob(f"{_PREFIX}*"):
        # A session that was killed could not clean up behind itself.
        with contextlib.suppress(EmbeddedServerError):
            removed(left, unless_used=True)
    with used(directory, durable=False, remove=True) as server:
        yield server


@pytest.fixture(scope="session")
def database_dsn(postgres) -> Iterator[str]:
    """Give the address through which tests reach the server: its own, or that of a pooler."""
    if not _POOLED:
        yield postgres.dsn
        return
    from tests.faults.pooler import pooled

    with pooled(postgres.dsn, size=20) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def new_database(postgres, database_dsn, worker_id) -> NewDatabase:
    """Give a maker of migrated databases, for fixtures that live longer than one test.

    async with new_database() as url: ...
    """
    own = f"{worker_id}_{os.getpid()}"
    template = f"template_{own}"
    asyncio.run(_made_template(postgres.dsn, template))
    numbers = count(1)

    @contextlib.asynccontextmanager
    async def made() -> AsyncIterator[str]:
        name = f"test_{own}_{next(numbers)}"
        # Measured: copying files takes 20 to 40 ms in memory, copying through the log twice that.
        create = f'create database "{name}" template "{template}" strategy file_copy'
        async with _connected(postgres.dsn) as connection:
            await connection.execute(create)
        try:
            yield _named(database_dsn, name)
        finally:
            async with _connected(postgres.dsn) as connection:
                await connection.execute(f'drop database "{name}" with (force)')

    return made


@pytest.fixture
async def database_url(new_database: NewDatabase) -> AsyncIterator[str]:
    """Give the address of an empty, migrated database that only this test sees."""
    async with new_database() as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Give a connection to this test's own database."""
    async with _connected(database_url) as connection:
        yield connection


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the path of a Chromium; without one, skip with the line that says what to install."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next((path for name in names if (path := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    return path


def _fast_folder(session_directory: Path) -> Path:
    """Name the folder of this session's server: in memory, where the machine has room there.

    Every worker finds the same name, and no other session does.
    """
    memory = Path("/dev/shm")
    own = sha256(str(session_directory).encode()).hexdigest()[:12]
    if memory.is_dir() and shutil.disk_usage(memory).free >= _ROOM:
        return memory / f"{_PREFIX}{own}"
    return session_directory / f"{_PREFIX}{own}"


async def _made_template(dsn: str, name: str) -> None:
    # Imported here: tests that need no database must not depend on the store.
    from newel.store.migrate import migrate

    async with _connected(dsn) as connection:
        await connection.execute(f'create database "{name}"')
    await migrate(_named(dsn, name))


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


def _named(dsn: str, database: str) -> str:
    """Return the address of another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))
