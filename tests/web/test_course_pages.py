"""The course of a run on its pages: paused, moved, and its input seen before it is changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from newel.base.ids import reference
from newel.base.settings import Settings
from newel.domain.people import Person
from newel.flow.process import process
from newel.flow.step import step
from newel.flow.waits import timer
from newel.web.app import create_app
from tests.browsing import at_home
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
        async with at_home(app, is_browser=True) as client:
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


@step(in_doubt="repeat")
async def badge(tools: tuple[str, ...]) -> str:
    """Say what the badge opens."""
    return f"badge for {len(tools)}"


@process(owner="hr", subject=lambda plan: plan.person)
async def badged(plan: Plan) -> str:
    """A badge is made, then one day is waited for."""
    made = await badge(plan.tools)
    await timer("first-day", at=plan.starts_at)
    return made


@pytest.mark.parametrize("answer", ["keep", "retry"])
async def test_a_changed_input_is_shown_and_its_result_kept_or_made_again(
    database_url, tmp_path, answer
):
    """The page says what has changed; keeping needs a reason, and both let the run go on."""
    house = await opened(database_url, tmp_path / "kek", [badged])
    async with house.worker():
        day = (await house.now() + timedelta(days=9)).isoformat()
        given = {
            "person": {"name": "Jane Doe", "email": "jane@example.com"},
            "starts_at": day,
            "tools": ["drill"],
        }
        run = await house.start("badged", given)
        await house.rested(run)
        ops = await house.engine.actor("ops@example.com", via="console")
        amended = {**given, "tools": ["drill", "saw"]}
        await house.engine.amend(run, amended, actor=ops, reason="one tool more")
        house.poke()
        assert await house.rested(run) == "parked"
        at = f"/runs/{reference('run', run)}"
        app = create_app(house.engine, settings=Settings(company_name="Acme"), zone=BERLIN)
        async with at_home(app, is_browser=True) as client:
            shown = (await client.get(at)).text
            assert "Keep the result that it gave, or run it again." in shown
            assert f"{at}/keep?key=badge" in shown
            assert f"{at}/skip?key=badge" not in shown
            asked = (await client.get(f"{at}/keep?key=badge")).text
            assert "saw" in asked
            short = await client.post(f"{at}/keep?key=badge", data={**OPS, "reason": ""})
            assert short.status_code == 422
            said = {**OPS, "reason": "the same badge does"}
            assert (await client.post(f"{at}/{answer}?key=badge", data=said)).status_code == 303
        house.poke()
        assert await house.rested(run) == "waiting"
        done = [kind for kind, key in await house.events(run) if key == "badge"]
        assert done.count("step.succeeded") == (1 if answer == "keep" else 2)
        assert ("step.kept" in done) == (answer == "keep")
    await house.database.close()
