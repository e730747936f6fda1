"""The drawing of a run by keyboard, wheel and hand in a real browser, and without a script."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from playwright.async_api import expect

from newel.base.ids import reference
from tests.web.test_browser import browse

__all__ = ["browse"]

pytestmark = pytest.mark.browser

CARDS = ".flow a.node"
FOCUSED = f"{CARDS}:focus"
ARROWS = ("ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft")


async def _drawn(house, scene, *, is_parked: bool = True) -> str:
    run = await (scene.parked() if is_parked else scene.asked())
    return f"/runs/{reference('run', run)}"


async def test_arrows_reach_every_card_and_the_drawing_is_one_stop(house, scene, browse):
    """The stop is the card that is looked at; Home and End lead to the ends, Enter on from a card.

    Tab leads on to what stands behind the drawing.
    """
    async with house.worker():
        run = await _drawn(house, scene)
    page = await (await browse()).go(f"{run}?paths=all")
    stops = page.locator(f"{CARDS}[tabindex='0']")
    await expect(stops).to_have_attribute("aria-current", "true")
    await page.get_by_role("link", name="Save as SVG").focus()
    await page.keyboard.press("Tab")
    await expect(page.locator(f"{CARDS}[aria-current]")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.locator(FOCUSED)).to_have_count(0)
    await page.keyboard.press("Shift+Tab")
    await expect(page.locator(f"{CARDS}[aria-current]")).to_be_focused()
    ids = await page.locator(CARDS).evaluate_all("cards => cards.map(card => card.id)")
    assert await _reached(page) == set(ids)
    await page.keyboard.press("Home")
    await expect(page.locator(f"[id='{ids[0]}']")).to_be_focused()
    await page.keyboard.press("End")
    await expect(stops).to_have_attribute("id", ids[-1])
    href = await stops.get_attribute("href")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/runs/*{href}")
    assert "paths=all" in page.url
    await expect(page.locator(f"{CARDS}[aria-current]")).to_have_attribute("id", ids[-1])


async def _reached(page) -> set[str]:
    """The ids of all cards that arrows alone lead to, from the one in focus."""
    first = await page.locator(FOCUSED).get_attribute("id")
    known, ahead = {first}, [first]
    while ahead:
        at = ahead.pop()
        for arrow in ARROWS:
            await page.locator(f"[id='{at}']").focus()
            await page.keyboard.press(arrow)
            to = await page.locator(FOCUSED).get_attribute("id")
            if to not in known:
                known.add(to)
                ahead.append(to)
    return known


async def test_arrows_go_along_the_flow_and_between_branches(house, scene, browse):
    """Down leads to what comes next, across to the branch beside it, and back again."""
    async with house.worker():
        run = await _drawn(house, scene)
    page = await (await browse()).go(run)
    await page.locator(CARDS).first.focus()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(FOCUSED)).to_contain_text("Manager confirms")
    await page.keyboard.press("ArrowUp")
    await expect(page.locator(CARDS).first).to_be_focused()
    slack = page.locator(CARDS).filter(has_text="Slack").first
    await slack.focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator(FOCUSED)).to_contain_text("Jira")
    await page.keyboard.press("ArrowLeft")
    await expect(slack).to_be_focused()


async def test_a_card_in_focus_keeps_it_while_the_run_goes_on(house, scene, browse):
    """What has happened is shown without a reload; the stop is still the card in focus."""
    async with house.worker():
        run = await _drawn(house, scene, is_parked=False)
        page = await (await browse()).go(run)
        card = page.locator(CARDS).filter(has_text="Manager confirms")
        await card.focus()
        await expect(card).to_have_class(re.compile("s-task"))
        task = await house.database.fetchval("select id from newel.task")
        await house.approve(task)
        await expect(card).to_have_class(re.compile("s-done"))
        await expect(card).to_be_focused()
        await expect(page.locator(f"{CARDS}[tabindex='0']")).to_have_count(1)
        await expect(card).to_have_attribute("tabindex", "0")


async def test_the_size_is_set_by_links_by_the_wheel_and_stays(house, scene, browse):
    """It stands in the address and is set without a reload; the paper can be pulled."""
    async with house.worker():
        run = await _drawn(house, scene)
    page = await (await browse()).go(f"{run}?key=first-day")
    flow, canvas = page.locator(".flow"), page.locator(".canvas")
    own = float((await flow.get_attribute("viewBox") or "").split()[2])
    await page.evaluate("window.isSame = true")
    larger = page.get_by_role("link", name="Larger")
    for percent in ("125", "150", "200", "200"):
        await larger.click()
        await page.wait_for_url(f"**/runs/*?key=first-day&zoom={percent}")
        await expect(flow).to_have_attribute("width", f"{round(own * int(percent) / 100, 1):g}")
    await expect(larger).to_be_focused()
    await expect(page.locator("#inspector")).to_contain_text("First day")
    assert await canvas.evaluate("it => it.scrollWidth > it.clientWidth")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 1440
    before = await canvas.evaluate("it => it.scrollLeft")
    box = await canvas.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 20, box["y"] + 5)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 60, box["y"] + 5)
    await page.mouse.up()
    assert await canvas.evaluate("it => it.scrollLeft") == before - 40
    await page.keyboard.down("Control")
    await page.mouse.wheel(0, 100)
    await page.wait_for_url("**/runs/*zoom=150")
    await page.keyboard.up("Control")
    await page.get_by_role("link", name="100 %").click()
    await expect(flow).to_have_attribute("width", f"{own:g}")
    await page.get_by_role("link", name="Fit").click()
    await page.wait_for_url("**/runs/*?key=first-day")
    assert await page.evaluate("window.isSame")


async def test_without_a_script_cards_are_stops_and_sizes_are_pages(house, scene, browse):
    """Each card can be reached by Tab; a size leads to the same page, the plan's as well."""
    async with house.worker():
        run = await _drawn(house, scene)
    bare = await (await browse(java_script_enabled=False)).go(f"{run}?key=first-day&paths=all")
    assert await bare.locator(f"{CARDS}[tabindex]").count() == 0
    await bare.get_by_role("link", name="Larger").click()
    assert unquote(bare.url).endswith("?key=first-day&paths=all&zoom=125#drawing")
    await expect(bare.locator(".flow.sized")).to_be_visible()
    await bare.get_by_role("link", name="Paths that are taken").click()
    assert unquote(bare.url).endswith("?key=first-day&zoom=125#drawing")
    await bare.goto(bare.url.partition("?")[0] + "?view=plan")
    await bare.get_by_role("link", name="Smaller").click()
    assert bare.url.endswith("?view=plan&zoom=80#drawing")
    await expect(bare.locator("#plan")).to_be_visible()
