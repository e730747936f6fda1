"""What every test may ask for: a real PostgreSQL, and a database of its own in it.

Server and databases come from the kit that users have (`newel.testing.databases`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import hypothesis
import pytest
import structlog
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from newel.base import log, secrets
from newel.base.clock import DEPLOYMENT
from newel.embedded.server import Server
from newel.engine.told import service
from newel.testing.databases import NewDatabase, connected, databases, program
from tests.faults.pooler import behind, pooled

_POOLED = os.environ.get("NEWEL_TEST_POOLER") == "1"
"""Whether every test reaches its database through PgBouncer in transaction mode."""


# Timings never decide a test: a machine may be busy. Nor does chance: what is generated depends
# on the test alone, and not on an earlier run, nor on which modules other tests have imported,
# whose constants Hypothesis would mix in. (`--hypothesis-profile=search` asks chance for more.)
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile("suite")
pytest.MonkeyPatch().setattr(providers, "_get_local_constants", Constants)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name a failure when it happens: who ends a session early learns what it had found."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        sys.stderr.write(f"\n{report.nodeid} {report.when}: {report.longreprtext[-400:]}\n")
        sys.stderr.flush()


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Keep settings of the developer's shell away from the tests, and those of one from the next.

    Without `monkeypatch`, whose undoing would come last and bring back what a fixture had set.
    """
    before = dict(os.environ)
    for name in before:
        if name.startswith("NEWEL_"):
            del os.environ[name]
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """Log as a program does, and let no test write into what another, that set up one, has closed.

    Without it structlog would draw every traceback for a terminal, which takes ten seconds for one.
    """
    before = structlog.get_config()
    log.configure(service("newel-test", "test"), stream=sys.stderr.buffer)
    yield
    structlog.configure(**before)


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
def postgres(newel_server: Server) -> Server:
    """Give the session's server: real, but careless about power cuts."""
    return newel_server


@pytest.fixture(scope="session")
def newel_databases(postgres) -> NewDatabase:
    """Give a maker of migrated databases, for fixtures that live longer than one test.

    async with newel_databases() as url: ...
    """
    made = databases(postgres.dsn, own=program())
    return _each_pooled(made) if _POOLED else made


def _each_pooled(made: NewDatabase) -> NewDatabase:
    """Put a pooler of its own before each database.

    PgBouncer 1.18, which Debian 12 has, can end when a client takes back a request to cancel
    (github.com/pgbouncer/pgbouncer/issues/801): one for all tests would take all of them with it.
    """

    @contextlib.asynccontextmanager
    async def through() -> AsyncIterator[str]:
        async with made() as url:
            with pooled(url, size=20) as way:
                yield way

    return through


@pytest.fixture(scope="session")
def new_database(newel_databases: NewDatabase) -> NewDatabase:
    """Give the maker of databases under the name that tests here have for it."""
    return newel_databases


@pytest.fixture
async def database_url(new_database: NewDatabase) -> AsyncIterator[str]:
    """Give the address of an empty, migrated database that only this test sees."""
    async with new_database() as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Give a connection to this test's own database, past a pooler."""
    async with connected(behind(database_url)) as connection:
        yield connection


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the path of a Chromium; without one, skip with the line that says what to install."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next((path for name in names if (path := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    return path
