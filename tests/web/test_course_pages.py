"""The course of a run on its pages: paused, moved, and its input seen before it is changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx2

from newel.base.ids import reference
from newel.base.settings import Settings
from newel.domain.people import Person
from newel.flow.process import process
from newel.flow.waits import timer
from newel.web.app import create_app
from tests.engine.house import opened

BERLIN = ZoneInfo("Europe/Berlin")
OPS = {"actor": "ops@example.com", "zone": "UTC"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Who begins when."""

    person: Person
    starts_at: datetime
    tools: tuple[str, ...] = ()


@process(owner="hr", subject=lambda plan: plan.person)
async def arriving(plan: Plan) -> str:
    """One day is waited for."""
    await timer("first-day", at=plan.starts_at)
    return plan.person.name


async def test_a_run_is_paused_amended_and_moved_on_its_pages(database_url, tmp_path):
    """Each page shows what follows first; a change of input is looked at, then confirmed."""
    house = await opened(database_url, tmp_path / "kek", [arriving])
    async with house.worker():
        day = (await house.now() + timedelta(days=9)).replace(microsecond=0, second=0)
        person = {"name": "Jane Doe", "email": "jane@example.com"}
        given = {"person": person, "starts_at": day.isoformat(), "tools": ["drill"]}
        run = await house.start("arriving", given)
        await house.rested(run)
        at = f"/runs/{reference('run', run)}"
        app = create_app(house.engine, settings=Settings(company_name="Acme"), zone=BERLIN)
        transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 50_000))
        async with httpx2.AsyncClient(
            transport=transport,
            base_url="http://127.0.0.1",
            headers={"Origin": "http://127.0.0.1"},
        ) as client:
            short = await client.post(f"{at}/pause", data={**OPS, "reason": "x"})
            assert short.status_code == 422
            await client.post(f"{at}/pause", data={**OPS, "reason": "works council"})
            assert "Paused by Ops since" in (await client.get(at)).text
            assert (await client.get("/runs?state=paused")).text.count("Jane Doe") >= 1
            await client.post(f"{at}/resume", data=OPS)

            shown = (await client.get(f"{at}/amend")).text
            assert 'value="drill"' in shown
            assert 'value="jane@example.com"' in shown
            typed = {
                **OPS, "person.name": "Jane Doe", "person.email": "jane@example.com",
                "starts_at": f"{day + timedelta(days=1):%Y-%m-%dT%H:%M}", "tools": ["drill", "saw"],
            }  # fmt: skip
            before = await house.events(run)
            seen = await client.post(f"{at}/amend", data=typed)
            assert "This changes plan.starts_at, plan.tools" in seen.text
            assert "first-day" in seen.text
            assert await house.events(run) == before
            bare = await client.post(f"{at}/amend", data={**typed, "confirm": "yes"})
            assert 'id="field-reason-error"' in bare.text
            sure = {**typed, "confirm": "yes", "reason": "HR moved it"}
            assert (await client.post(f"{at}/amend", data=sure)).status_code == 303
            house.poke()
            await house.rested(run)

            moved = {**OPS, "at": "2020-01-01T09:00", "reason": "she is here"}
            answer = await client.post(f"{at}/reschedule?key=first-day", data=moved)
            assert answer.status_code == 303
        house.poke()
        assert await house.ended(run) == "completed"
    await house.database.close()
