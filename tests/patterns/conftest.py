"""Fixtures of the patterns: an empty world, and a maker of houses on PostgreSQL."""

from __future__ import annotations

import pytest

from tests.engine.conftest import build as build
from tests.patterns.company import book


@pytest.fixture(autouse=True)
def _empty_world():
    book.clear()
