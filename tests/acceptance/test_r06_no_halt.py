"""R06: must not "halt at step 4"."""

from __future__ import annotations

from newel.base.ids import reference
from tests.acceptance.company_house import browser
from tests.acceptance.outage import GITHUB, ticketed, to_github, until_parked


async def test_no_halt(acme, world):
    """R06, B2: GitHub down for ever: the other systems are done, only GitHub is parked."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await to_github(house, run)
        done = {key for kind, key in await house.events(run) if kind == "step.succeeded"}
        assert done >= {
            "google.ensure_account",
            "slack.ensure_account",
            "jira.ensure_account",
            "gusto.ensure_employee",
        }
        await until_parked(house, run)
        assert list(await house.acts(run)) == [GITHUB]
        held = await house.database.fetch("select distinct system from newel.access_grant")
        assert {row["system"] for row in held} == {"google", "slack", "jira", "gusto"}
        await ticketed(house, world)
        person = reference("per", (await house.row(run))["subject"])
        async with browser(house) as client:
            status = (await client.get(f"/api/v1/people/{person}/status")).json()
        # Google's account is prepared: it opens on the first day, and counts from then on.
        assert status["sentence"].startswith("Jane Doe's onboarding: 3 of 5 systems are ready")
        assert "GitHub is parked since" in status["sentence"]
        assert "ticket OPS-1" in status["sentence"]
