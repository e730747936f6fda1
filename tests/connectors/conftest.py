"""Fixtures of the connector tests: one world of simulators on one standing clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connectors.recording import Recorder, recorded
from tests.connectors.support import Time


@pytest.fixture(autouse=True)
def by_contract() -> Iterator[None]:
    """Let no test pass in which a connector sends or reads what its contract does not have."""
    seen = Recorder()
    with recorded(seen):
        yield
    unknown = seen.unknown()
    assert not unknown, f"run scripts/contracts.py: {unknown}"


@pytest.fixture
def time() -> Time:
    """One standing time for connector and simulators."""
    return Time()
