"""Fixtures of the connector tests: one world of simulators on one standing clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from newel.connectors.owning import Owning
from tests.connectors.recording import Recorder, recorded
from tests.connectors.support import Notebook, Time


@pytest.fixture(autouse=True)
def by_contract() -> Iterator[None]:
    """Let no test pass in which a connector sends or reads what its contract does not have."""
    seen = Recorder()
    with recorded(seen):
        yield
    unknown = seen.unknown()
    assert not unknown, f"run scripts/contracts.py: {unknown}"


@pytest.fixture(autouse=True)
def in_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every address be one that was reserved, as a deployment knows it."""
    monkeypatch.setattr(Owning, "_book", Notebook())


@pytest.fixture
def time() -> Time:
    """One standing time for connector and simulators."""
    return Time()
