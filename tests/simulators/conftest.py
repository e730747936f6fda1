"""One world of simulators, on a standing clock and with short pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from newel.simulators import SimulatedClock, World
from tests.simulators.support import START, signed_in


@pytest.fixture
def world() -> World:
    """All six systems at one moment, with pages of three."""
    return World(clock=SimulatedClock(standing_at=START), page_size=3)


@pytest.fixture
async def github(world) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of GitHub."""
    async with signed_in("github", world) as client:
        yield client


@pytest.fixture
async def jira(world) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of Jira."""
    async with signed_in("jira", world) as client:
        yield client


@pytest.fixture
async def google(world) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of Google Workspace."""
    async with signed_in("google", world) as client:
        yield client


@pytest.fixture
async def slack(world) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of Slack."""
    async with signed_in("slack", world) as client:
        yield client


@pytest.fixture
async def gusto(world) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of Gusto."""
    async with signed_in("gusto", world) as client:
        yield client


@pytest.fixture
async def salesforce(world) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of Salesforce."""
    async with signed_in("salesforce", world) as client:
        yield client
