"""Fixtures of the engine's tests: a house over a database of the test's own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.engine.house import House, opened


@pytest.fixture
def build(database_url: str, tmp_path) -> Callable[..., AbstractAsyncContextManager[House]]:
    """Give a maker of houses over given processes, for `async with`."""

    @contextlib.asynccontextmanager
    async def made(processes: Any, **more: Any) -> AsyncIterator[House]:
        house = await opened(database_url, tmp_path / "kek", processes, **more)
        try:
            yield house
        finally:
            await house.database.close()

    return made
