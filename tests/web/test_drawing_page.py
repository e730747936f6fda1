"""The drawing and the plan of a run: one plan, told by the page, the API and the picture alike."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from urllib.parse import unquote

import pytest
from playwright.async_api import expect

from newel.base.ids import reference
from newel.drawing.overlay import WORDS
from tests.web.test_browser import NARROW, browse
from tests.web.test_pages import text_of

__all__ = ["browse"]

STRANGE = "O'Brien <b>🎉</b>"
"""A name that would be markup, if anybody forgot to escape it."""


async def test_page_and_interface_tell_the_same_plan(client, house, scene):
    """One sentence, one word for each act, a line of the list behind each card of the picture.

    What is parked, done, to come and not needed is told with its reason; nothing on the page is
    inline style or script.
    """
    async with house.worker():
        run = f"/runs/{reference('run', await scene.parked())}"
    plan = (await client.get(f"/api/v1{run}/plan")).json()
    page = (await client.get(f"{run}?view=plan")).text
    lines = {each["key"] or each["node"]: each for each in plan["lines"]}
    assert lines["google.ensure_account"]["state"] == "done"
    assert lines["github.ensure_member"]["state"] == "parked"
    assert lines["first-day"]["forecast"] == "will-run"
    assert lines["first-day"]["due"] is not None
    assert lines["salesforce.ensure_account"]["forecast"] == "not-needed"
    assert "engineer" in lines["salesforce.ensure_account"]["reason"]
    assert plan["sentence"].startswith(f"{plan['done']} of {plan['total']} steps are done. ")
    assert "is parked." in plan["sentence"]
    assert sum(plan["counts"].values()) == len(plan["lines"])
    assert plan["sentence"] in text_of(page)
    words = re.findall(r'class="act-line in-\d">.*?<span class="chip[^>]*>.*?</svg>(.*?)</span>',
                       page, re.DOTALL)  # fmt: skip
    said = [WORDS[each["state"] or each["forecast"]] for each in plan["lines"]]
    assert sorted(set(words)) == sorted(set(said))
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    cards = [unquote(each) for each in re.findall(r'class="node [^"]*" href="#([^"]*)"', page)]
    assert cards
    assert set(cards) <= set(ids)
    assert re.search(r"\sstyle=|<style|<script(?! type=\"module\" src=)", page) is None


async def test_a_drawing_is_given_as_picture_list_and_flowchart(client, house):
    """The picture may look as its own sheet says and do nothing else; names are text everywhere."""
    run = f"/api/v1/runs/{reference('run', await house.onboard(name=STRANGE))}"
    picture = await client.get(f"{run}/drawing")
    sheet = re.search(r"<style>(.*?)</style>", picture.text, re.DOTALL)
    assert sheet is not None
    digest = base64.b64encode(hashlib.sha256(sheet[1].encode()).digest()).decode()
    assert picture.headers["content-type"] == "image/svg+xml"
    assert f"style-src 'sha256-{digest}';" in picture.headers["content-security-policy"]
    assert (await client.get(f"{run}/drawing")).content == picture.content
    listed = await client.get(f"{run}/drawing?format=text")
    assert "Manager confirms" in listed.text
    assert "— Next" in listed.text
    assert (await client.get(f"{run}/drawing?format=mermaid")).text.startswith("flowchart TD\n")
    assert (await client.get(f"{run}/drawing?format=odd")).status_code == 422
    nobody = "/api/v1/runs/run_00000000000000000000000001"
    for what in ("plan", "drawing"):
        assert (await client.get(f"{nobody}/{what}")).status_code == 404
    page = (await client.get(run.removeprefix("/api/v1") + "?view=plan")).text
    assert STRANGE in unescape(page)
    assert "<b>🎉" not in page


async def test_a_run_of_code_that_is_gone_keeps_its_page(client, house, monkeypatch):
    """Its page says that it cannot be drawn; its plan is not found; its steps are there."""
    run = f"/runs/{reference('run', await house.onboard())}"
    monkeypatch.setattr(house.engine, "processes", {})
    for view in ("", "?view=plan"):
        page = await client.get(f"{run}{view}")
        assert page.status_code == 200
        assert "cannot be drawn" in text_of(page.text)
    assert (await client.get(f"/api/v1{run}/plan")).status_code == 404
    assert (await client.get(run)).status_code == 200


async def test_the_page_of_a_run_begins_with_its_drawing_and_what_needs_a_person(
    client, house, scene
):
    """Each card leads to itself in the inspector, which begins with what is parked.

    It tells cause, attempts, verbs and what the code says; a part that has not begun says why. A
    key of many, and a key that nobody has, show the part and the default.
    """
    async with house.worker():
        run = f"/runs/{reference('run', await scene.parked())}"
    page = (await client.get(run)).text
    looked = _inspector(page)
    assert "Parked" in looked
    assert "GitHub" in looked
    assert re.search(r"Code company\.onboarding:\d+", looked)
    assert "Retry" in looked
    assert "attempts" in looked
    chosen = re.findall(r'class="node [^"]*" href="([^"]*)" aria-current="true">', page)
    assert [unquote(each) for each in chosen] == ["?key=github.ensure_member#inspector"]
    cards = re.findall(r'class="node [^"]*" href="([^"]*)"', page)
    assert len(cards) > 5
    for card in cards:
        assert "In the code" in _inspector((await client.get(run + unescape(card))).text)
    ahead = _inspector((await client.get(f"{run}?key=first-day")).text)
    assert ahead.startswith("Next First day")
    assert "It has not begun." in ahead
    off = _inspector((await client.get(f"{run}?key=salesforce.ensure_account")).text)
    assert "Not needed" in off
    assert "engineer" in off
    assert _inspector((await client.get(f"{run}?key=%3Cb%3E%F0%9F%8E%89'")).text) == looked
    assert "other path" in page
    assert "other path" not in (await client.get(f"{run}?paths=all&open=x&open=%3Cb%3E")).text
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert re.search(r"\sstyle=|<style|<script(?! type=\"module\" src=)", page) is None


def _inspector(page: str) -> str:
    found = re.search(r'<aside class="card inspector".*?</aside>', page, re.DOTALL)
    assert found is not None
    return text_of(found[0])


@pytest.mark.browser
async def test_the_drawing_is_seen_walked_and_read(house, scene, browse):
    """Wide: each card leads to its line, without a script. Narrow: the list stands alone.

    The stylesheet of the page reaches the picture, light and dark, and that of a file its own.
    """
    async with house.worker():
        run = f"/runs/{reference('run', await scene.parked())}"
    fill = "getComputedStyle(document.querySelector('.flow .s-parked .card')).stroke"
    seen = set()
    light = await (await browse(color_scheme="light")).go(f"{run}?view=plan")
    page = await (await browse(color_scheme="dark")).go(f"{run}?view=plan")
    for shown in (light, page):
        seen.add(await shown.evaluate(fill))
        assert await shown.evaluate("document.documentElement.scrollWidth") <= 1440
    assert len(seen) == 2
    await page.goto(page.url.partition("/runs")[0] + f"/api/v1{run}/drawing")
    assert await page.evaluate(fill) not in {"none", "rgb(0, 0, 0)"}
    bare = await (await browse(java_script_enabled=False)).go(f"{run}?view=plan")
    await bare.locator(".flow a.s-parked").click()
    await expect(bare.locator(".plan > li:target .chip")).to_have_text("Parked")
    await bare.goto(bare.url.partition("?")[0])
    await bare.locator(".flow a.s-done").first.click()
    await expect(bare.locator("#inspector .chip").first).to_have_text("Done")
    await expect(bare.locator(".flow a[aria-current] .halo")).to_be_visible()
    narrow = await (await browse(NARROW)).go(f"{run}?view=plan")
    await expect(narrow.locator(".flow")).to_be_hidden()
    await expect(narrow.locator(".plan")).to_be_visible()
    assert await narrow.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
