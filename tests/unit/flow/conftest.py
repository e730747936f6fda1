"""Bodies that a test leaves resting are let go of, as a worker does it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.flow.driving import DRIVEN


@pytest.fixture(autouse=True)
def let_go() -> Iterator[None]:
    """Dismiss what a test has started."""
    yield
    while DRIVEN:
        DRIVEN.pop().dismiss()
