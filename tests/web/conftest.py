"""Fixtures of the web tests: the example company in flight, its server, and a browser.

Rows come from the engine alone: runs are started, decided, held up by simulators that are
down, and moved through time, so a page shows what newel itself would write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx2
import pytest

from newel import Delivery, SecretRef, endpoint, hook
from newel.base.settings import Settings
from newel.connectors.signatures import StandardWebhooks
from newel.simulators.world import World
from newel.web.app import create_app
from tests.acceptance.company_house import CompanyHouse, company
from tests.browsing import at_home
from tests.ports import neighbouring
from tests.web.serving import Scene, served

BERLIN = ZoneInfo("Europe/Berlin")
SIGNED = StandardWebhooks(SecretRef("env:WEB_SIEM_SECRET"))
SIEM = endpoint(
    "siem",
    "http://127.0.0.1:9/events",
    events=("run.started", "step.parked"),
    signed=SIGNED,
    network="127.0.0.0/8",
    owner="security",
)
"""An endpoint at which nobody listens."""


@hook(signed=SIGNED, silent_after=timedelta(days=7))
def bank(delivery: Delivery) -> None:
    """A source that leads to nothing."""


@pytest.fixture(scope="session")
def base_port() -> int:
    """Give the first of six neighbouring free ports, to which the systems are bound once."""
    return neighbouring(26_200)


@pytest.fixture(scope="session")
def world() -> World:
    """Give the world of this session; `house` makes it new for every test."""
    return World()


@pytest.fixture
async def house(
    database_url: str, tmp_path: Path, base_port: int, world: World
) -> AsyncIterator[CompanyHouse]:
    """Give the example company on a database of this test's own, with nobody at work yet."""
    world.reset()
    world.heal()
    world.clock.offset(timedelta(0))
    kek = tmp_path / "kek"
    async with company(
        database_url, kek, base_port, world, endpoints=[SIEM], hooks=[bank]
    ) as opened:
        yield opened


@pytest.fixture
def settings() -> Settings:
    """Give the settings of the company's server."""
    return Settings(company_name="Acme")


@pytest.fixture
async def client(house: CompanyHouse, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client of this machine that talks to the server in process."""
    app = create_app(house.engine, settings=settings, zone=BERLIN)
    async with at_home(app) as opened:
        yield opened


@pytest.fixture
async def address(house: CompanyHouse, settings: Settings) -> AsyncIterator[str]:
    """Give the address of the server on a real port of this machine."""
    async with served(create_app(house.engine, settings=settings, zone=BERLIN)) as at:
        yield at


@pytest.fixture
def scene(house: CompanyHouse) -> Scene:
    """Give what brings the company into the states that pages show."""
    return Scene(house)
