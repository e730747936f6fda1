"""Fixtures of the fault tests: a server that may be killed, a pooler."""

from __future__ import annotations

import pytest

from tests.engine.conftest import build as build
from tests.faults import pooler


@pytest.fixture(scope="session")
def pgbouncer() -> str:
    """Give the path of PgBouncer; without one, skip with the line that says what to install."""
    found = pooler.program()
    if found is None:
        pytest.skip(pooler.MISSING)
    return found
