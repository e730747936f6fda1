"""An order that a second person confirms: made over the API, seen and confirmed on its page."""

from __future__ import annotations

import re

from newel import Invalid, Person, process, step
from newel.base.ids import reference
from newel.base.settings import Settings
from newel.web.app import create_app
from tests.browsing import at_home
from tests.engine.house import opened
from tests.web.conftest import BERLIN

WHY = "The wiki was shut down."


@step(system="wiki", grants="account", in_doubt="repeat")
async def give(person: Person) -> None:
    """Give what the wiki never gives."""
    raise Invalid("cannot be done")


@process(owner="it", second_person=True)
async def guarded(person: Person) -> None:
    """One step about access."""
    await give(person)


async def test_an_order_of_the_api_is_confirmed_on_its_page(database_url, tmp_path):
    """202 with the task, a page that says who and why, no yes of the same person, then one."""
    house = await opened(database_url, tmp_path / "kek", [guarded])
    async with house.worker():
        run = await house.start("guarded", {"name": "Leo", "email": "leo@acme.example"})
        assert await house.rested(run) == "parked"
        app = create_app(house.engine, settings=Settings(company_name="Acme"), zone=BERLIN)
        async with at_home(app, is_browser=True) as client:
            order = {"key": "give", "reason": WHY, "actor": "alice@acme.example"}
            made = await client.post(f"/api/v1/runs/{reference('run', run)}/skip", json=order)
            assert made.status_code == 202
            task = made.json()["task"]
            again = await client.post(
                f"/runs/{reference('run', run)}/skip?key=give",
                data={"reason": WHY, "actor": "bob@acme.example"},
            )
            assert again.status_code == 409
            shown = (await client.get(f"/tasks/{task}")).text
            assert WHY in shown
            assert re.search(r"Ordered by</dt><dd>\s*alice", shown, re.IGNORECASE)
            assert (await client.get(made.json()["href"])).json()["proposal"]["key"] == "give"
            answer = {"answer": "approve", "actor": "alice@acme.example"}
            own = await client.post(f"/tasks/{task}/decide", data=answer)
            assert own.status_code == 403
            answer["actor"] = "bob@acme.example"
            assert (await client.post(f"/tasks/{task}/decide", data=answer)).status_code == 303
        house.poke()
        assert await house.ended(run) == "completed"
    await house.database.close()
