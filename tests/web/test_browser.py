"""The console in Chromium: as a reader sees it, in two colour schemes and two widths."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from newel.base.ids import reference
from tests.acceptance.company_house import MANAGER
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.browser

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}
FLAGS = (
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    *(("--no-sandbox",) if os.geteuid() == 0 else ()),
)


class Watched:
    """A page, and all that it complained about or asked of others."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        # Chromium reports every 4xx answer as an error; those are asserted where they are expected.
        if "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "about:")):
            self.complaints.append(f"asked {request.url}")

    async def go(self, path: str) -> Page:
        """Open a path."""
        await self.page.goto(self.address + path)
        return self.page


@pytest.fixture
async def browse(chromium, address) -> AsyncIterator[Any]:
    """Give a maker of watched pages; at the end none may have complained."""
    async with async_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_S * 1000)
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=list(FLAGS), timeout=PATIENCE_S * 1000
        )
        opened: list[Watched] = []

        async def made(viewport: Any = WIDE, **more: Any) -> Watched:
            context = await browser.new_context(
                viewport=viewport,
                locale="en-GB",
                timezone_id="Europe/Berlin",
                reduced_motion="reduce",
                **more,
            )
            context.set_default_timeout(PATIENCE_S * 1000)
            opened.append(Watched(await context.new_page(), address))
            return opened[-1]

        yield made
        with contextlib.suppress(Exception):
            await browser.close()
        assert [complaint for each in opened for complaint in each.complaints] == []


async def pages_of(house, scene) -> list[str]:
    """Every page there is, over a company with a parked, a waiting and an asked run."""
    asked = await scene.asked(name="Maximiliana Featherstonehaugh-Wolfeschlegelstein", job="office")
    waiting = await scene.asked(name="ليلى حداد", job="office", email="leila@acme.example")
    await house.approve(await house.task(waiting))
    await house.at_rest(waiting)
    parked = await scene.parked()
    task = reference("tsk", await house.task(asked))
    runs = [f"/runs/{reference('run', run)}" for run in (parked, asked, waiting)]
    rows = await house.database.fetch("select ref from newel.person")
    return [
        "/runs",
        "/runs?state=ended",
        *runs,
        f"{runs[0]}?view=plan",
        *(f"/people/{reference('per', row['ref'])}" for row in rows),
        "/people",
        "/tasks",
        f"/tasks/{task}",
        "/start",
        "/start/onboarding",
        f"{runs[0]}/skip?key=github.ensure_member",
        f"{runs[0]}/complete-by-hand?key=github.ensure_member",
        f"{runs[0]}/cancel",
        "/systems",
        "/systems/github",
        "/systems/github/pause",
        "/systems/github?tab=access",
        "/webhooks",
        "/webhooks/siem",
        "/webhooks/siem/disable",
        "/runs/run_00000000000000000000000001",
    ]


async def test_every_page_fits_and_is_quiet(house, scene, browse):
    """Light and dark, wide and narrow: nothing is cut off sideways, no console line, no foreign
    request, one heading of the first level, a name for every control.

    Slow: some seventy pages are opened.
    """
    async with house.worker():
        paths = await pages_of(house, scene)
        for scheme in ("light", "dark"):
            for viewport in (WIDE, NARROW):
                watched = await browse(viewport, color_scheme=scheme)
                for path in paths:
                    page = await watched.go(path)
                    width = await page.evaluate("document.documentElement.scrollWidth")
                    assert width <= viewport["width"], f"{path} is {width} wide"
                    await expect(page.locator("h1")).to_have_count(1)
                    nameless = await page.evaluate(NAMELESS)
                    assert nameless == [], path


NAMELESS = """() => [...document.querySelectorAll(
    'button, a[href], select, textarea, input:not([type=hidden])'
  )].filter((each) => !(each.textContent || '').trim() && !each.labels?.length
    && !each.getAttribute('aria-label') && !each.querySelector('[aria-label]')
    && each.getAttribute('aria-hidden') !== 'true')
  .map((each) => each.outerHTML.slice(0, 120))"""


async def test_targets_are_large_enough_for_a_finger(house, scene, browse):
    """On a phone buttons are at least 40 high, and every link in the menu is.

    The inspector is hidden there until a link leads to it.
    """
    async with house.worker():
        run = await scene.parked()
        watched = await browse(NARROW, has_touch=True)
        page = await watched.go(f"/runs/{reference('run', run)}")
        await expect(page.locator("#inspector")).to_be_hidden()
        page = await watched.go(f"/runs/{reference('run', run)}#inspector")
        await expect(page.locator("#inspector")).to_be_visible()
        heights = await page.evaluate(
            "[...document.querySelectorAll('.button')].map((b) => b.getBoundingClientRect().height)"
        )
        await page.locator(".top summary").click()
        links = await page.evaluate(
            "[...document.querySelectorAll('.sheet a')].map((a) => a.offsetHeight)"
        )
    assert min(heights) >= 40
    assert min(links) >= 40


@pytest.mark.parametrize("has_script", [True, False], ids=["with script", "without script"])
async def test_from_the_start_form_to_the_person(house, scene, browse, has_script):
    """A colleague is started, the manager decides, and the person page says where it stands."""
    async with house.worker():
        watched = await browse(java_script_enabled=has_script)
        page = await watched.go("/start/onboarding")
        await page.get_by_role("button", name="Start", exact=True).last.click()
        await expect(page.get_by_role("heading", name="This was not accepted")).to_be_visible()
        await page.locator("#field-name").fill("Seán O'Brien")
        await page.locator("#field-email").fill("sean@acme.example")
        await page.locator("#field-manager-name").fill("Priya Manager")
        await page.locator("#field-manager-email").fill(MANAGER)
        await page.get_by_label("Office").check()
        await page.locator("#field-team").fill("people")
        await page.locator("#field-starts_at").fill("2031-03-10T09:00")
        await page.locator("#field-actor").fill("hr@acme.example")
        await page.get_by_role("button", name="Start", exact=True).last.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Onboarding: Seán O'Brien")
        run = await house.database.fetchval("select id from newel.run")
        house.poke()
        await house.at_rest(run)
        await page.reload()
        await page.get_by_role("link", name="Decide…").first.click()
        await page.locator("#field-actor").fill(MANAGER)
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_text("Priya Manager approved this.")).to_be_visible()
        house.poke()
        await house.at_rest(run)
        await page.get_by_role("link", name="Open run").click()
        await page.get_by_role("link", name="Open person").click()
        await page.reload()
        await expect(page.locator("[data-sentence]")).to_contain_text("Seán O'Brien's onboarding: ")
        await expect(page.get_by_role("row", name="Slack")).to_contain_text("Granted")
    assert await house.database.fetchval("select count(*) from newel.run") == 1


async def test_a_double_click_starts_one_run(house, browse):
    """Clicking twice, and going back and clicking again, makes one run."""
    watched = await browse()
    page = await watched.go("/start/onboarding")
    for name, value in (
        ("name", "Jane Doe"), ("email", "jane.doe@acme.example"), ("manager-name", "Priya Manager"),
        ("manager-email", MANAGER), ("team", "people"), ("starts_at", "2031-03-10T09:00"),
        ("actor", "hr@acme.example"),
    ):  # fmt: skip
        await page.locator(f"#field-{name}").fill(value)
    await page.get_by_label("Office").check()
    await page.get_by_role("button", name="Start", exact=True).last.dblclick()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Onboarding: Jane Doe")
    await page.go_back()
    await page.get_by_role("button", name="Start", exact=True).last.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Onboarding: Jane Doe")
    assert await house.database.fetchval("select count(*) from newel.run") == 1


async def test_a_page_follows_its_run_and_keeps_its_place(house, scene, browse):
    """A step that finishes shows without a reload; focus and open attempts stay where they are."""
    async with house.worker():
        run = await scene.parked()
        watched = await browse()
        page = await watched.go(f"/runs/{reference('run', run)}")
        await expect(page.locator("#livemark")).to_have_text("Live")
        attempts = page.locator("[id='attempts-github.ensure_member']")
        await attempts.locator("summary").click()
        await page.get_by_role("link", name="Open person").focus()
        await scene.healed(run)
        await expect(page.get_by_role("heading", name="Invitation poll").first).to_be_visible()
        focused = await page.evaluate("document.activeElement.textContent")
        assert focused == "Open person"
        await expect(attempts).to_have_attribute("open", "")


async def test_what_is_being_typed_is_left_alone(house, scene, browse):
    """A comment half written survives the refresh of the page around it."""
    async with house.worker():
        run = await scene.asked()
        watched = await browse()
        page = await watched.go(f"/tasks/{reference('tsk', await house.task(run))}")
        await expect(page.locator("#livemark")).to_have_text("Live")
        await page.locator("#field-comment").fill("half a sen")
        async with page.expect_response(lambda answer: answer.request.headers.get("newel-live")):
            await scene.asked(name="Tom Alvarez", job="office")
        async with page.expect_response(lambda answer: answer.request.headers.get("newel-live")):
            pass
        assert await page.locator("#field-comment").input_value() == "half a sen"


async def test_lost_and_found_again(house, browse, address):
    """When the server does not answer the page says so, keeps what it shows, and recovers."""
    watched = await browse()
    page = await watched.go("/runs")
    await expect(page.locator("#livemark")).to_have_text("Live")
    await page.context.set_offline(True)
    await expect(page.locator("#livemark")).to_have_text("Live updates lost, trying again")
    await page.context.set_offline(False)
    await expect(page.locator("#livemark")).to_have_text("Live")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Runs")


async def test_the_keyboard_reaches_everything(house, scene, browse):
    """The first tab stop skips to the content; the focus ring can be seen; Enter opens."""
    async with house.worker():
        await scene.asked()
        watched = await browse()
        page = await watched.go("/runs")
        await page.keyboard.press("Tab")
        await expect(page.locator(":focus")).to_have_text("Skip to the content")
        await page.keyboard.press("Enter")
        for _ in range(20):
            await page.keyboard.press("Tab")
            if (await page.locator(":focus").inner_text()) == "Jane Doe":
                break
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Onboarding: Jane Doe")


async def test_injected_script_and_style_do_nothing(house, browse):
    """The policy holds: an inline script added to the page is not run."""
    watched = await browse()
    page = await watched.go("/runs")
    await page.evaluate(
        """() => { const made = document.createElement('script');
        made.textContent = 'window.broken = true'; document.body.append(made); }"""
    )
    assert await page.evaluate("window.broken === undefined")
    watched.complaints = [
        text for text in watched.complaints if "Content Security Policy" not in text
    ]


async def test_print_leaves_the_shell_out(house, scene, browse):
    """On paper there is the sentence and the access, and neither navigation nor buttons."""
    async with house.worker():
        await scene.asked()
        watched = await browse()
        page = await watched.go("/people")
        await page.get_by_role("link", name="Jane Doe").click()
        await page.emulate_media(media="print")
        await expect(page.locator("[data-sentence]")).to_be_visible()
        await expect(page.locator(".side")).to_be_hidden()
        await expect(page.get_by_role("link", name="Open run")).to_be_hidden()
