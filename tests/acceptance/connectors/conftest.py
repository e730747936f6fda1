"""Fixtures of the connectors' acceptance tests: one standing time for connectors and simulators."""

from __future__ import annotations

import pytest

from tests.connectors.conftest import in_deployment as in_deployment
from tests.connectors.support import Time


@pytest.fixture
def time() -> Time:
    """One standing time."""
    return Time()
