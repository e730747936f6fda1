"""The pytest plugin: `saas`, all simulated systems in process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from newel.testing.saas import Saas, opened

__all__ = ["saas"]


@pytest.fixture
def saas() -> Iterator[Saas]:
    """Give all simulated systems; connectors of `running` processes speak to them."""
    with opened() as found:
        yield found
