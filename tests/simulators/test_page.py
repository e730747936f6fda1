"""The page of a simulator in a browser: watched, and used."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import expect

from newel.simulators import World, serve
from tests.simulators.support import signed_in

pytestmark = pytest.mark.browser

MEMBERSHIP = "/orgs/acme-example/memberships/"


@pytest.fixture
async def opened(world: World, chromium) -> AsyncIterator[Any]:
    """Give GitHub's page in Chromium, and a client of GitHub itself."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        async with (
            serve([world.github], token="t") as addresses,
            signed_in("github", world, address=addresses["github"]) as client,
        ):
            page = await browser.new_page()
            problems: list[str] = []
            page.on("console", lambda message: problems.append(message.text))
            page.on("pageerror", lambda wrong: problems.append(str(wrong)))
            await page.goto(f"{addresses['github']}/_sim/?token=t")
            yield page, client
            assert [each for each in problems if "400" not in each] == []
        await browser.close()


@pytest.mark.slow
async def test_a_person_watches_and_acts(opened, world):
    """Jane appears by herself, accepts, is broken by a script, and time passes.

    Slow: a browser is started, and the page asks for news every two seconds.
    """
    page, client = opened
    await client.put(MEMBERSHIP + "jane", json={})
    fresh = page.locator('table[data-title="Invitations"] tr.fresh', has_text="jane")
    await fresh.wait_for()
    await fresh.get_by_role("button", name="Accept").click()
    member = page.locator('table[data-title="Members"] tr', has_text="jane")
    await member.get_by_text("active").wait_for()

    await page.get_by_role("button", name="Throttled").click()
    await page.get_by_text("Faults in force: throttled.").wait_for()
    await page.locator("summary", has_text="Script").click()
    await page.get_by_role("button", name="Read rules").click()
    await expect(page.locator("#script")).to_have_value(re.compile("throttled"))
    await page.locator("#script").fill('[{"id": "gone", "effect": "down", "times": 2}]')
    await page.locator("#scripted button:not([type])").click()
    await page.get_by_text("Faults in force: gone.").wait_for()
    assert [rule.id for rule in world.github.faults.rules()] == ["gone"]
    await page.get_by_role("button", name="End").click()
    await page.get_by_text("No fault is in force.").wait_for()

    await page.locator("summary", has_text="Accept invitation").click()
    form = page.locator('form[data-act="accept_invitation"]')
    await form.get_by_label("Who").fill("nobody")
    await form.get_by_role("button").click()
    await page.get_by_text("nobody has no open invitation").wait_for()
    await page.get_by_role("button", name="+ 1 week").click()
    await page.get_by_text("Mon 12 Jan 2026").wait_for()


@pytest.mark.slow
async def test_a_narrow_page_has_no_sideways_scroll(opened):
    """On a telephone the tables become cards, and nothing is cut off.

    Slow: a browser is started.
    """
    page, client = opened
    await client.put(MEMBERSHIP + "jane", json={})
    for width in (1280, 800, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") == width
