"""Fixtures of the connector tests: one world of simulators on one standing clock."""

from __future__ import annotations

import pytest

from tests.connectors.support import Time


@pytest.fixture
def time() -> Time:
    """One standing time for connector and simulators."""
    return Time()
