"""The page on webhooks holds: its examples are taken out of it and played."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from newel.base.settings import Settings
from newel.cli.project import load_project
from newel.cli.webhooks import webhooks
from newel.connectors.hr import Employee
from newel.connectors.hr_feed import Asked
from newel.connectors.webhooks import fresh_secret, signed
from newel.flow.process import Request
from newel.web.app import create_app
from tests.engine.conftest import build as build
from tests.modules import imported

TEXT = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
SECRET = fresh_secret(bytes(range(32)))


def block(name: str) -> str:
    """One example of the page."""
    found = re.search(rf"^```python {name}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def module(tmp_path):
    """Give a maker of modules out of examples, forgotten after the test."""
    made: list[Any] = []

    def make(name: str) -> Any:
        file = tmp_path / f"page_{name}.py"
        file.write_text(block(name), "utf-8")
        made.append(imported(file))
        return made[-1]

    yield make
    for each in made:
        sys.modules.pop(each.__name__, None)


async def test_the_hooks_of_the_page_start_and_tell(module, build, tmp_path, monkeypatch):
    """The shop's delivery starts a refund, the bank's lets it end; settings find both."""
    for name in ("BANK_SECRET_NEW", "SHOP_SECRET"):
        monkeypatch.setenv(name, SECRET.reveal())
    page = module("hooks")
    settings = Settings(project=tmp_path, processes=("page_hooks",))
    project = load_project(settings)
    assert {each.name for each in project.hooks} == {"bank", "shop"}
    async with build([page.refund], hooks=project.hooks, events=[page.paid]) as house:
        transport = httpx2.ASGITransport(app=create_app(house.engine, settings=Settings()))
        async with (
            httpx2.AsyncClient(transport=transport, base_url="https://newel.example") as web,
            house.worker(),
        ):
            settled = {"type": "payment.settled", "data": {"claim": "c-1", "amount": 7}}
            for source, document in (("shop", {"claim": "c-1"}), ("bank", settled)):
                body = orjson.dumps(document)
                headers = signed(f"msg_{source}", body, [SECRET], await house.now())
                answer = await web.post(f"/hooks/{source}", content=body, headers=headers)
                assert answer.status_code == 202
            house.poke()
            run = await house.database.fetchval("select id from newel.run")
            assert await house.ended(run) == "completed"


def test_the_feed_of_the_page_asks_for_the_runs_it_names(module, tmp_path):
    """A record with its dates becomes a start of each process; settings find the feed."""
    page = module("staff")
    settings = Settings(project=tmp_path, processes=("page_staff",))
    (feed,) = load_project(settings).feeds
    jane = Employee(
        id="7", number="4711", given_name="Jane", family_name="Doe", work_email="jane@acme.example",
        starts_on=date(2026, 2, 2), ends_on=date(2026, 12, 31),
    )  # fmt: skip
    asked = Asked(employee=jane, manager=None)
    assert feed.changes is not None
    assert feed.ends is not None
    started, changed, left = feed.starts(asked), feed.changes(asked), feed.ends(asked)
    assert started is not None
    assert changed is not None
    assert left is not None
    assert (started.process.name, _on(started)) == ("onboarding", date(2026, 2, 2))
    assert (left.process.name, _on(left)) == ("offboarding", date(2026, 12, 31))
    assert changed.process is page.role_change


def _on(request: Request[Any]) -> date:
    given: Any = request.args[0]
    on: date = given.on
    return on


def test_the_endpoint_of_the_page_is_found_and_commands_are_there(module, tmp_path):
    """Settings find it; every command that the page names is one."""
    module("endpoints")
    (siem,) = load_project(Settings(project=tmp_path, processes=("page_endpoints",))).endpoints
    assert (siem.owner, siem.host) == ("security", "siem.example.com")
    assert {"access.granted", "run.failed"} <= siem.types
    named = set(re.findall(r"`newel webhooks (\w+)", TEXT))
    assert named <= {name for name in webhooks if not name.startswith("-")}


def test_the_ways_of_signing_are_those_there_are():
    """Every verifier of newel has its row on the page."""
    from newel.connectors import signatures

    for name in signatures.__all__:
        assert f"| `{name}(secret, …)` |" in TEXT
