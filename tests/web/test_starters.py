"""Who may start a process, and how a run is shown that takes longer than it is meant to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from newel import days, hours, process, timer
from newel.base.ids import reference
from newel.base.settings import Settings
from newel.web.app import create_app
from tests.browsing import at_home
from tests.engine.house import House, opened
from tests.web.conftest import BERLIN

HR, IT, NOBODY = "helga@acme.example", "Ivo@Acme.example", "norma@acme.example"
TEAMS = {"hr": (HR,), "it": ("ivo@acme.example",), "empty": ()}


@process(subject=None, owner="hr", starters=("hr", "it"))
async def closed(what: str) -> None:
    """Some may start it."""


@process(subject=None, owner="hr", starters="empty")
async def shut(what: str) -> None:
    """Nobody may start it."""


@process(subject=None, owner="hr", sla=hours(8))
async def promised(what: str) -> None:
    """It is meant to be over in the evening."""
    await timer("later", after=days(2))


@pytest.fixture
async def house(database_url: str, tmp_path) -> AsyncIterator[House]:
    """Give a house with these processes and teams."""
    made = await opened(database_url, tmp_path / "kek", [closed, shut, promised], teams=TEAMS)
    yield made
    await made.database.close()


@pytest.fixture
async def client(house) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client on this machine."""
    app = create_app(house.engine, settings=Settings(company_name="Acme"), zone=BERLIN)
    async with at_home(app, is_browser=True) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "who", "status"),
    [
        ("closed", HR, 201), ("closed", IT, 201), ("closed", NOBODY, 403), ("closed", None, 201),
        ("shut", HR, 403), ("promised", NOBODY, 201),
    ],
)  # fmt: skip
async def test_a_run_is_started_in_the_name_of_whom_the_process_names(
    house, client, name, who, status
):
    """Over the API; a refusal says which team it needs, and makes nothing."""
    named = {} if who is None else {"Newel-Actor": who}
    made = await client.post(f"/api/v1/processes/{name}/runs", json="x", headers=named)
    assert made.status_code == status
    count = await house.database.fetchval("select count(*) from newel.run")
    assert count == (status == 201)
    if status == 403:
        assert made.json()["detail"].endswith(
            {"closed": "it needs somebody of the team hr or it.",
             "shut": "it needs somebody of the team empty."}[name]
        )  # fmt: skip


async def test_the_page_goes_through_the_same_door(house, client):
    """The form comes again with the sentence; in the name of one of the team it starts."""
    form = {"what": "x", "actor": NOBODY}
    refused = await client.post("/start/closed/runs", data=form)
    assert refused.status_code == 403
    assert "somebody of the team hr or it" in refused.text
    started = await client.post("/start/closed/runs", data={**form, "actor": HR})
    assert started.status_code == 303
    assert await house.database.fetchval("select count(*) from newel.run") == 1


async def test_a_run_is_late_when_it_takes_longer_than_it_is_meant_to(house, client):
    """The list, the page and the API say since when; before, by when it is due."""
    async with house.worker():
        run = await house.start("promised", "x")
        await house.rested(run)
        at = f"/api/v1/runs/{reference('run', run)}"
        before = (await client.get(at)).json()
        assert (before["is_late"], before["due_at"] > before["started_at"]) == (False, True)
        assert "Due <b>" in (await client.get(f"/runs/{before['run']}")).text
        await house.move(hours(9))
        after = (await client.get(at)).json()
        assert (after["is_late"], after["due_at"]) == (True, before["due_at"])
        assert "Late since <b>" in (await client.get(f"/runs/{before['run']}")).text
        (line,) = (await client.get("/api/v1/runs")).json()["runs"]
        assert line["is_late"]
        assert "late since" in (await client.get("/runs")).text
