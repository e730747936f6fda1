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


async def test_an_operator_pauses_a_system_and_resumes_it(client, house):
    """Without reason or name nothing changes; both are recorded, page and list say so."""
    form = {"actor": "mary@acme.example", "reason": "it moves tonight"}
    asked = await client.get("/systems/github/pause")
    assert "not even what takes access away" in text_of(asked.text)
    for missing, said in (
        ("reason", "Is missing: others will read it"),
        ("actor", "is recorded under"),
    ):
        answer = await client.post("/systems/github/pause", data={**form, missing: " "})
        assert (answer.status_code >= 400, said in text_of(answer.text)) == (True, True), missing
    assert (await client.get("/api/v1/systems/github")).json()["paused"] == ""
    done = await client.post("/systems/github/pause", data=form, follow_redirects=True)
    assert "newel begins nothing in GitHub" in text_of(done.text)
    again = await client.post("/systems/github/pause", data=form)
    assert "paused already" in text_of(again.text)
    listed = (await client.get("/api/v1/systems")).json()["systems"]
    assert {each["system"]: each["state"] for each in listed}["github"] == "paused"
    assert "Paused since" in text_of((await client.get("/systems")).text)
    resumed = await client.post("/systems/github/resume", data=form, follow_redirects=True)
    assert "newel begins nothing in GitHub" not in text_of(resumed.text)
    listed = (await client.get("/api/v1/systems")).json()["systems"]
    assert {each["system"]: each["state"] for each in listed}["github"] == "well"
    told = await house.database.fetch(
        "select e.type from newel.event e join newel.audit_stream s on s.id = e.stream_id "
        "where s.name = 'system/github' order by e.seq"
    )
    assert [row["type"] for row in told] == ["connector.paused", "connector.resumed"]
    assert (await client.get("/systems/github/stop")).status_code == 404


async def test_budgets_show_what_is_used_and_when_it_is_there_again(client, house):
    """What other workers took is seen; it drips in with time; a system that says wait is shown."""
    budgets = (await client.get("/api/v1/systems/github")).json()["budgets"]
    by_name = {each["name"]: each for each in budgets}
    assert [(each["used_percent"], each["left"]) for each in budgets] == [
        (0, each["most"]) for each in budgets
    ]
    assert by_name["github.read"]["allows"] == "4,000 an hour"
    credential = next(each.credential for each in house.engine.connectors if each.name == "github")
    await house.database.execute(  # nothing drips in while the pages are read
        "insert into newel.gate (credential, bucket, tokens, filled_at, blocked_until) values "
        "($1, 'github.read', 20, newel.now() + interval '10 minutes', null), "
        "($1, 'github.write', 1, newel.now(), newel.now() + interval '1 minute')",
        credential,
    )
    page = await client.get("/systems/github")
    twin = {
        each["name"]: each
        for each in (await client.get("/api/v1/systems/github")).json()["budgets"]
    }
    assert (twin["github.read"]["used_percent"], twin["github.read"]["left"]) == (90, 20)
    assert twin["github.read"]["full_at"] is not None
    assert twin["github.write"]["blocked_until"] is not None
    told = text_of(page.text)
    assert "90 % used, 20 of 200 left at once; 4,000 an hour; full again" in told
    assert "nothing before" in told
    assert "90 % used" in text_of((await client.get("/systems")).text)
    await house.move(timedelta(hours=1))
    later = (await client.get("/api/v1/systems/github")).json()["budgets"]
    assert [each["used_percent"] for each in later if each["name"] == "github.read"] == [0]


async def test_how_a_system_answers_is_told_from_what_workers_have_counted(client, house):
    """Calls of three hours: how many, how many failed, and the time within which 95 % ended."""
    hour = (await house.now()).replace(minute=0, second=0, microsecond=0)
    counted = [
        (hour, 200, 90, 0),
        (hour, 2500, 10, 4),
        (hour - timedelta(hours=2), 100, 100, 0),
        (hour - timedelta(hours=30), 20000, 1000, 1000),
    ]
    for at, upto, calls, failures in counted:
        await house.database.execute(
            "insert into newel.system_calls values ('github', $1, $2, $3, $4)",
            at, upto, calls, failures,
        )  # fmt: skip
    twin = (await client.get("/api/v1/systems/github")).json()
    assert (twin["calls"]["calls"], twin["calls"]["failures"]) == (200, 4)
    assert twin["calls"]["failed_percent"] == 2.0
    assert twin["calls"]["nearly_all_ms"] == twin["system"]["nearly_all_ms"] == 200
    last = twin["calls"]["hours"][-1]
    assert (last["calls"], last["failures"], last["nearly_all_ms"]) == (100, 4, 2000)
    page = text_of((await client.get("/systems/github")).text)
    assert "200 calls in 24 hours, 4 failed." in page
    assert "95 % within 0.2 s" in page or "95 % within 200 ms" in page
    slack = text_of((await client.get("/systems/slack")).text)
    assert "It was not called in the last 24 hours." in slack
