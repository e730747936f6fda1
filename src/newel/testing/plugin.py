"""The pytest plugin: `saas`, all simulated systems in process, `engine`, the whole engine, and
committed snapshots of what is drawn.

The server of `engine` is started when the first test asks for it, and shared by the session.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from newel.testing.saas import Saas, opened

if TYPE_CHECKING:  # most sessions need no server, and none of what starts one
    from newel.embedded.server import Server
    from newel.testing.databases import NewDatabase
    from newel.testing.golden import GoldenDrawing, GoldenPlan
    from newel.testing.house import House

__all__ = [
    "engine",
    "golden_drawing",
    "newel_databases",
    "newel_server",
    "pytest_addoption",
    "saas",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare `--newel-update`."""
    parser.addoption(
        "--newel-update", action="store_true", help="Write the snapshots of drawings and plans."
    )


@pytest.fixture
def golden_drawing(request: pytest.FixtureRequest) -> GoldenDrawing:
    """Give a check of what is drawn: `golden_drawing(onboarding)` against the committed text."""
    from newel.testing.golden import Golden, drawn  # noqa: PLC0415 - most sessions draw nothing

    golden = Golden(request.path, bool(request.config.getoption("--newel-update")))
    return lambda process: golden.holds(f"{process.name}.drawing", drawn(process))


@pytest.fixture
def golden_plan(request: pytest.FixtureRequest) -> GoldenPlan:
    """Give a check of what a run would do: `golden_plan(onboarding.request(jane))`."""
    from newel.testing.golden import Golden  # noqa: PLC0415 - as above

    return Golden(request.path, bool(request.config.getoption("--newel-update"))).holds_plan


@pytest.fixture
def saas() -> Iterator[Saas]:
    """Give all simulated systems; connectors of `running` processes speak to them."""
    with opened() as found:
        yield found


@pytest.fixture(scope="session")
def newel_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give the session's PostgreSQL server, shared by all workers of pytest-xdist."""
    from newel.testing.databases import server  # noqa: PLC0415 - see above

    own = tmp_path_factory.getbasetemp()
    shared: Path = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with server(shared) as found:
        yield found


@pytest.fixture(scope="session")
def newel_databases(newel_server: Server) -> NewDatabase:
    """Give a maker of databases, empty and migrated, for `async with`."""
    from newel.testing.databases import databases, program  # noqa: PLC0415 - see above

    return databases(newel_server.dsn, own=program())


@pytest.fixture
def engine(newel_databases: NewDatabase) -> House:
    """Give the whole engine on a PostgreSQL of the test's own: `engine.running(request)`."""
    from newel.testing.house import House  # noqa: PLC0415 - see above

    return House(newel_databases)
