"""Work by hand as people see it: the sentence, the task's page, the run, on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from newel.base.ids import reference
from newel.base.settings import Settings
from newel.simulators.world import World
from newel.web.app import create_app
from tests.acceptance.company_house import CompanyHouse, company
from tests.browsing import at_home
from tests.web.conftest import BERLIN
from tests.web.test_pages import text_of

JANE = "jane.doe@acme.example"


@pytest.fixture
async def house(
    database_url: str,
    tmp_path: Path,
    base_port: int,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[CompanyHouse]:
    """The example company with Slack's smallest plan."""
    monkeypatch.setenv("SLACK_PLAN", "pro")
    world.reset()
    world.heal()
    world.clock.offset(timedelta(0))
    world.slack.plan = "pro"
    try:
        async with company(database_url, tmp_path / "kek", base_port, world) as opened:
            yield opened
    finally:
        world.slack.plan = "business"


async def test_people_see_who_has_to_do_what(house: CompanyHouse) -> None:
    """Sentence, task and run name the work; a worker dies, she joins, and the run goes on."""
    app = create_app(house.engine, settings=Settings(company_name="Acme"), zone=BERLIN)
    async with at_home(app) as client:
        async with house.worker():
            run = await house.onboard(job="office")
            await house.at_rest(run)
            await house.approve(await house.task(run))
            await house.at_rest(run)
            name = reference("run", run)
            person = (await client.get(f"/api/v1/runs/{name}")).json()["person"]["ref"]
            told = (await client.get(f"/api/v1/people/{person}/status")).json()["sentence"]
            assert "“Invite them to Slack” waits for IT, due" in told
            task = await house.task(run)
            page = text_of((await client.get(f"/tasks/{reference('tsk', task)}")).text)
            for words in (
                "Slack's plan pro has no SCIM",
                "So this is done by hand.",
                "1. Open Slack's administration",
                JANE,
                "newel looks at once.",
            ):
                assert words in page
            assert "“Invite them to Slack” waits for IT." in text_of(
                (await client.get(f"/runs/{name}")).text
            )
        assert house.world is not None
        house.world.slack.accept_in_slack(JANE)
        async with house.worker():  # another one
            answer = await client.post(
                f"/api/v1/tasks/{reference('tsk', task)}/fill",
                json={"actor": "it@acme.example", "note": "invited 🎉 O'Brien"},
            )
            assert answer.status_code < 300, answer.text
            house.poke()

            async def is_there() -> bool:
                return "slack.ensure_account" not in await house.acts(run)

            await house.until(is_there)
            assert (
                await house.database.fetchval(
                    "select route from newel.access_grant where entitlement = 'slack:account'"
                )
                == "by_hand"
            )
    assert house.world.slack.mutations() == []
