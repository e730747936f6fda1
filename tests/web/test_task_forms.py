"""A form on its task page: made from the schema, filled in by a person, refused field by field."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import async_playwright, expect

from newel.base.ids import reference
from newel.base.settings import Settings
from newel.domain.people import Person, manager_of
from newel.flow.forms import form
from newel.flow.process import process
from newel.web.app import create_app
from tests.browsing import at_home
from tests.engine.house import House, opened
from tests.engine.test_waits import JANE, result
from tests.web.serving import served
from tests.web.test_browser import FLAGS, NARROW, WIDE

SETTINGS = Settings(company_name="Acme")
BERLIN = ZoneInfo("Europe/Berlin")


class Size(Enum):
    """How large."""

    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a desk stands."""

    building: str
    floor: int


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """What a colleague gets."""

    model: str
    size: Size
    price: Decimal
    ready_on: date
    place: Place
    extras: tuple[str, ...] = ()
    is_used: bool = False


@process(owner="it")
async def equipping(person: Person) -> str:
    """The manager says what is needed, and hands it over."""
    asked = await form(
        "choose-equipment",
        Equipment,
        by=manager_of(person),
        within=timedelta(days=5),
        title="choose the equipment",
        instructions="What should stand on the desk on the first day?",
    )
    done = await form(
        "hand-over", by=manager_of(person), title="hand over the laptop", evidence="note"
    )
    return f"{asked.model} {asked.size.value} {asked.price} {asked.place.floor} {done.note}"


@pytest.fixture
async def house(database_url: str, tmp_path) -> AsyncIterator[House]:
    """Give a house with one process that asks for forms, and a worker."""
    made = await opened(database_url, tmp_path / "kek", [equipping])
    async with made.worker():
        yield made
    await made.database.close()


async def asked(house: House) -> tuple[UUID, str]:
    """Start the process; gives the run's id and the page of its open task."""
    run = await house.start("equipping", JANE)
    await house.rested(run)
    return run, f"/tasks/{reference('tsk', await house.task(run))}"


FILLED = {
    "model": "T14", "size": "large", "price": "1299.90", "ready_on": "2026-03-01",
    "place.building": "Main", "place.floor": "4", "extras": ["dock", ""], "note": "",
    "zone": "Europe/Berlin", "actor": "mary@example.com",
}  # fmt: skip


async def test_a_form_is_filled_in_on_its_page(house):
    """Errors come back at their fields with what was typed; the good answer goes on."""
    run, page = await asked(house)
    app = create_app(house.engine, settings=SETTINGS, zone=BERLIN)
    async with at_home(app, is_browser=True) as client:
        shown = await client.get(page)
        assert "Choose the equipment: Jane Doe" in shown.text
        assert "nobody else may do it" in shown.text
        places = [shown.text.index(f'name="{name}"') for name in ("model", "size", "price")]
        assert places == sorted(places), "fields stand in the order of the class"
        wrong = {**FILLED, "price": "cheap", "place.floor": ""}
        refused = await client.post(f"{page}/fill", data=wrong)
        assert refused.status_code == 422
        assert 'value="T14"' in refused.text
        assert 'id="field-place-floor-error"' in refused.text
        other = await client.post(f"{page}/fill", data={**FILLED, "actor": "john@example.com"})
        assert other.status_code == 403
        twin = await client.get(f"/api/v1{page}")
        assert twin.json()["form"]["properties"]["model"]["type"] == "string"
        answer = await client.post(f"{page}/fill", data=FILLED)
        assert (answer.status_code, answer.headers["location"]) == (303, page)
        house.poke()
        await house.rested(run)
        second = f"/tasks/{reference('tsk', await house.task(run))}"
        short = await client.post(f"{second}/fill", data={**FILLED, "note": "done"})
        assert 'id="field-note-error"' in short.text
        await client.post(f"{second}/fill", data={**FILLED, "note": "seen at her desk"})
    house.poke()
    assert await house.ended(run) == "completed"
    assert await result(house, run) == "T14 large 1299.90 4 seen at her desk"


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light")])
async def test_a_person_fills_in_a_form_in_the_browser(house, chromium, width, scheme):
    """By labels and keyboard, in two schemes and two widths; nothing is wider than the window."""
    run, at = await asked(house)
    app = create_app(house.engine, settings=SETTINGS, zone=BERLIN)
    async with served(app) as address, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        context = await browser.new_context(
            viewport=width, color_scheme=scheme, locale="en-GB", reduced_motion="reduce"
        )
        page = await context.new_page()
        await page.goto(address + at)
        await page.get_by_label("Model").fill("T14")
        await page.get_by_label("Price").fill("1299.90")
        await page.get_by_label("Large").check()
        await page.get_by_label("Ready on").fill("2026-03-01")
        await page.get_by_label("Building").fill("Main")
        await page.get_by_role("button", name="Send").last.click()
        await expect(page.get_by_role("alert")).to_contain_text("floor")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.get_by_label("Floor").fill("4")
        await page.get_by_role("button", name="Send").last.click()
        await expect(page.get_by_text("Mary Major did this.")).to_be_visible()
        await browser.close()
    house.poke()
    await house.rested(run)
    assert set(await house.acts(run)) == {"hand-over"}
