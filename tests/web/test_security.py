"""Who is let in: keys, this machine, its own pages; and what browsers are told."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import httpx2
import pytest

from newel.audit.leaf import Actor
from newel.base.secrets import SecretRef
from newel.base.settings import Settings
from newel.engine.keys import Keys
from newel.web.app import create_app
from newel.web.security import HEADERS
from tests.acceptance.company_house import hire

ADMIN = Actor(type="system", id="newel")
PAGES = ("/runs", "/people", "/tasks", "/start", "/start/onboarding")
API = ("/api/v1/runs", "/api/v1/people", "/api/v1/tasks", "/api/v1/processes")


def caller(house, settings=None, *, address="127.0.0.1", base="http://127.0.0.1", **headers):
    """A client at an address, calling the server by a name."""
    app = create_app(house.engine, settings=settings or Settings())
    transport = httpx2.ASGITransport(app=app, client=(address, 50_000))
    return httpx2.AsyncClient(transport=transport, base_url=base, headers=headers)


@pytest.mark.parametrize("path", [*PAGES, *API])
@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("192.0.2.7", "http://127.0.0.1"),
        ("127.0.0.1", "http://newel.attacker.example"),
        ("2001:db8::1", "http://localhost"),
    ],
)
async def test_without_a_key_only_this_machine_is_served(house, path, address, base):
    """Another machine, and another name for this one, are both refused."""
    async with caller(house, address=address, base=base) as client:
        assert (await client.get(path)).status_code == 403


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("127.0.0.1", "http://localhost:8420"),
        ("::1", "http://[::1]:8420"),
        ("127.8.0.1", "http://127.0.0.1"),
    ],
)
async def test_this_machine_is_known_by_all_its_names(house, address, base):
    """Loopback addresses of both families are served."""
    async with caller(house, address=address, base=base) as client:
        assert [(await client.get(path)).status_code for path in ("/runs", "/api/v1/runs")] == [
            200,
            200,
        ]


async def test_a_key_opens_the_api_from_anywhere_and_pages_from_nowhere_else(house):
    """With a key the API answers another machine; the pages, which know no keys, do not."""
    made = await Keys(house.database).new("the HR system", lasts=timedelta(days=1), actor=ADMIN)
    bearer = {"Authorization": f"Bearer {made.text}"}
    async with caller(
        house, address="192.0.2.7", base="http://newel.acme.example", **bearer
    ) as far:
        assert [(await far.get(path)).status_code for path in (*API, "/runs")] == [200] * 4 + [403]
        started = await far.post("/api/v1/processes/onboarding/runs", json=hire())
        run = (await far.get(started.json()["href"])).json()
    assert run["started_by"] == f"API key {made.id}"


async def test_once_there_is_a_key_everybody_needs_one(house):
    """This machine too; a wrong, a cut, a revoked and an expired key open nothing."""
    keys = Keys(house.database)
    made = await keys.new("one", lasts=timedelta(days=1), actor=ADMIN)
    gone = await keys.new("two", lasts=timedelta(days=1), actor=ADMIN)
    old = await keys.new("three", lasts=timedelta(days=1), actor=ADMIN)
    await keys.revoke(gone.id, actor=ADMIN)
    await house.database.execute(
        "update newel.api_key set expires_at = clock_timestamp() - interval '1 s' where id = $1",
        old.id,
    )
    given = ("", f"Bearer {made.text[:-1]}", f"Bearer {gone.text}", f"Bearer {old.text}", "Basic x")
    async with caller(house) as client:
        for header in given:
            answer = await client.get("/api/v1/runs", headers={"Authorization": header})
            assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer")
            assert answer.headers["content-type"] == "application/problem+json"
        good = await client.get("/api/v1/runs", headers={"Authorization": f"bearer {made.text}"})
        assert good.status_code == 200


async def test_only_the_hash_of_a_key_is_stored(house):
    """The row holds the SHA-256 of the key, and when it was last used."""
    made = await Keys(house.database).new("one", lasts=timedelta(days=1), actor=ADMIN)
    async with caller(house, Authorization=f"Bearer {made.text}") as client:
        await client.get("/api/v1/runs")
    row = await house.database.fetchrow("select * from newel.api_key")
    assert row["sha256"] == hashlib.sha256(made.text.encode()).digest()
    assert made.text not in str(dict(row))
    assert row["last_used_at"] is not None


async def test_a_key_of_the_settings_works_like_any_other(house, monkeypatch):
    """Where the settings name a key, it opens the API and nothing else does."""
    monkeypatch.setenv("HOUSE_KEY", "open-sesame-of-the-tests")
    settings = Settings(api_key=SecretRef("env:HOUSE_KEY"))
    async with caller(house, settings) as client:
        right = {"Authorization": "Bearer open-sesame-of-the-tests"}
        statuses = [
            (await client.get("/api/v1/runs", headers=headers)).status_code
            for headers in ({}, {"Authorization": "Bearer x"}, right)
        ]
    assert statuses == [401, 401, 200]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_what_another_site_posts_is_refused(client, house, headers):
    """A form or script of another origin starts nothing."""
    for path in ("/start/onboarding/runs", "/api/v1/processes/onboarding/runs"):
        answer = await client.post(path, headers=headers, json=hire())
        assert (answer.status_code, answer.json()["type"]) == (403, "foreign-origin")
    assert await house.database.fetchval("select count(*) from newel.run") == 0


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://127.0.0.1"}, {"Sec-Fetch-Site": "same-origin"}, {}]
)
async def test_ones_own_pages_and_programs_may_post(client, house, headers):
    """The same origin, and callers that are no browser, go through."""
    answer = await client.post("/api/v1/processes/onboarding/runs", headers=headers, json=hire())
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "path", ["/runs", "/api/v1/runs", "/nothing", "/health", "/api/v1/nothing"]
)
async def test_every_answer_tells_browsers_what_it_may_do(client, house, path):
    """Policy, type, frame and referrer headers stand on pages, API and errors alike."""
    answer = await client.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


async def test_pages_hold_no_script_and_no_style_of_their_own(client, house):
    """What the policy forbids is not there: no inline script, style or handler."""
    for path in PAGES:
        text = (await client.get(path)).text
        assert " style=" not in text
        assert "<style" not in text
        assert " onclick=" not in text
        assert text.count("<script") == text.count('<script type="module" src="/static/') == 1


@pytest.mark.parametrize(
    "path",
    ["/runs?process=%00", "/runs?q=a%00b", "/people/%00", "/api/v1/runs?process=%00"],
)
async def test_an_address_with_a_nul_is_refused_in_a_sentence(client, path):
    """No text of the database can hold one: it would fail there, far from who wrote it."""
    answer = await client.get(path)
    assert (answer.status_code, "NUL" in answer.text) == (400, True)


async def test_markup_in_names_is_text(client, house):
    """A name with markup is shown, not obeyed."""
    document = hire(name="<script>alert(1)</script>", job="office", email="x@acme.example")
    person = (await client.post("/api/v1/processes/onboarding/runs", json=document)).json()[
        "person"
    ]
    text = (await client.get(f"/people/{person}")).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
