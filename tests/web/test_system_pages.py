"""Systems as people see them: how each stands, what newel may do there, who had access."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newel.base.ids import reference
from newel.simulators.faults import fault_from
from tests.web.test_pages import text_of


async def test_a_system_that_is_down_says_so_until_it_answers(client, house, scene):
    """The list, the page and their twins: the incident, its ticket, who waits; then nothing."""
    async with house.worker():
        run = await scene.parked()
        listed = (await client.get("/api/v1/systems")).json()["systems"]
        assert {each["system"]: each["state"] for each in listed} == {
            "github": "escalated", "google": "well", "gusto": "well", "jira": "well",
            "salesforce": "well", "slack": "well",
        }  # fmt: skip
        assert "GitHub" in text_of((await client.get("/systems")).text)
        page = (await client.get("/systems/github")).text
        told = text_of(page)
        assert "GitHub does not answer" in told
        assert "1 step waits." in told
        assert "OPS-1" in told
        assert f"/runs/{reference('run', run)}" in page
        assert 'class="count hot">1<' in page
        await scene.healed(run)

        async def is_over() -> bool:
            listed = (await client.get("/api/v1/systems")).json()["systems"]
            return all(each["state"] == "well" for each in listed)

        await house.until(is_over)
    told = text_of((await client.get("/systems/github")).text)
    assert "No incident" in told
    assert "No run waits for GitHub." in told


async def test_the_page_lists_what_newel_may_do(client, house):
    """Each operation that a process uses, with its permission; the rest behind a fold."""
    twin = (await client.get("/api/v1/systems/github")).json()
    used = {each["operation"] for each in twin["operations"]}
    assert "ensure_member" in used
    assert all(each["used_by"] for each in twin["operations"])
    assert not any(each["used_by"] for each in twin["others"])
    page = text_of((await client.get("/systems/github")).text)
    for each in twin["operations"]:
        assert each["does"] in page
        for need in each["needs"]:
            assert need.replace("|", " or ") in page
    assert (await client.get("/systems/nobody")).status_code == 404


async def test_who_had_access_on_a_day_is_answered(client, house, scene):
    """On the day of the grant the person is named, with the decision; on the day before nobody."""
    async with house.worker():
        run = await scene.asked(job="office")
        await house.approve(await house.task(run))
        assert await house.finish(run) == "completed"
        today = (await house.now()).date()
        page = text_of((await client.get("/systems/google?tab=access")).text)
        assert "Jane Doe" in page
        assert "google:account" in page
        before = today - timedelta(days=400)
        nobody = text_of((await client.get(f"/systems/google?tab=access&on={before}")).text)
        assert "Nobody had access to Google Workspace on this day" in nobody
        wrong = await client.get("/systems/google?tab=access&on=30.2.")
        assert "That is no day" in wrong.text


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        ({}, "GitHub knows newel"),
        ({"effect": {"kind": "status", "status": 401}}, "GitHub"),
        ({"effect": "down"}, "GitHub"),
    ],
    ids=["well", "refused", "down"],
)
async def test_testing_a_connection_says_in_words_what_came_of_it(client, house, effect, said):
    """Nothing but reads leaves, whatever the answer is."""
    simulator = house.world.simulators["github"]
    if effect:
        simulator.faults.add(fault_from("ill", effect))
    answer = await client.post("/systems/github/test")
    assert answer.status_code == 200
    assert said in text_of(answer.text)
    assert ("t-park" in answer.text.partition('id="tested"')[0].rpartition("<div")[2]) == bool(
        effect
    )
    assert simulator.mutations() == []
