"""Webhooks as people see them: who is told, how they fare, sending again, and what came in."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from newel import Delivery, SecretRef, endpoint, hook, process, step
from newel.base.secrets import Secret
from newel.base.settings import Settings
from newel.connectors.signatures import StandardWebhooks
from newel.connectors.webhooks import fresh_secret, signed
from newel.web.app import create_app
from tests.browsing import at_home
from tests.engine.house import House, opened
from tests.engine.receiver import Receiver, receiving
from tests.web.conftest import BERLIN
from tests.web.test_pages import text_of

SECRET = fresh_secret(bytes(range(32))).reveal()
SIGNED = StandardWebhooks(SecretRef("env:OUT_SECRET"))
OPERATOR = {"actor": "ops@acme.example"}


@step
async def greeted(name: str) -> str:
    """Greet."""
    return f"Hello {name}"


@process(subject=None)
async def greeting(name: str) -> str:
    """Greet somebody."""
    return await greeted(name)


@hook(signed=SIGNED)
def bank(delivery: Delivery) -> Any:
    """Start a greeting for what the bank tells; a number is no name."""
    return greeting.request(delivery.document["name"])


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    """Another system that is told of runs."""
    monkeypatch.setenv("OUT_SECRET", SECRET)
    async with receiving(SECRET) as made:
        yield made


@pytest.fixture
async def house(database_url: str, tmp_path, receiver: Receiver) -> AsyncIterator[House]:
    """A house with one endpoint and one hook, nobody at work."""
    told = endpoint(
        "siem",
        receiver.url,
        events=("run.started", "run.completed"),
        signed=SIGNED,
        network="127.0.0.0/8",
        owner="security",
    )
    made = await opened(database_url, tmp_path / "kek", [greeting], endpoints=[told], hooks=[bank])
    try:
        yield made
    finally:
        await made.database.close()


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of this machine."""
    app = create_app(house.engine, settings=Settings(company_name="Acme"), zone=BERLIN)
    async with at_home(app) as opened_:
        yield opened_


async def send(house: House) -> list[bool]:
    """Make one attempt for what is due."""
    return await house.engine.endpoints.send_due("siem")


async def test_the_page_says_how_an_endpoint_fares(house, client, receiver):
    """Its state, what it accepted and how soon, what waits: as the API says it."""
    receiver.statuses = [204, 503]
    for name in ("one", "two"):
        await house.start("greeting", name)
        await send(house)
    page = text_of((await client.get("/webhooks/siem")).text)
    twin = (await client.get("/api/v1/webhooks/siem")).json()
    assert twin["endpoint"]["state"] == "failing"
    assert "Failing" in page
    assert "there is a task for security." in page
    figures = twin["figures"]
    assert (figures["accepted"], figures["at_once"], figures["attempts"]) == (1, 1, 2)
    assert "1 in 7 days, with 2 attempts" in page
    assert "Last 24 hours: 1 accepted, 1 waiting, 0 given up." in page
    assert sum(hour["waiting"] for hour in twin["hours"]) == 1
    assert [each["answer"] for each in twin["deliveries"]] == ["answered 503", "answered 204"]
    listed = text_of((await client.get("/webhooks")).text)
    assert "siem" in listed
    assert "Failing" in listed


async def test_deliveries_are_narrowed_and_turned_page_by_page(house, client, receiver):
    """By state; from page to page no delivery is shown twice and none is left out."""
    for number in range(30):
        await house.start("greeting", f"n{number}")
    assert len(await send(house)) == 8
    first = (await client.get("/webhooks/siem")).text
    older = re.search(r'href="(/webhooks/siem\?after=[^"#]+)', first)
    assert older is not None
    second = (await client.get(older[1].replace("&amp;", "&"))).text
    ids = [re.findall(r'<tr id="([0-9a-f-]{36})"', page) for page in (first, second)]
    assert [len(each) for each in ids] == [25, 5]
    assert len({*ids[0], *ids[1]}) == 30
    accepted = (await client.get("/webhooks/siem?state=accepted")).text
    assert len(re.findall(r'<tr id="[0-9a-f-]{36}"', accepted)) == 8
    assert "No delivery is in this state" in (await client.get("/webhooks/siem?state=dead")).text
    for nowhere in ("nowhere", f"0001-01-01T00:00:00%2B14:00/{UUID(int=0)}"):
        assert (await client.get(f"/webhooks/siem?after={nowhere}")).status_code == 422
    assert (await client.get("/webhooks/nobody")).status_code == 404


async def test_an_operator_disables_enables_and_sends_again(house, client, receiver):
    """Each asks who acts, disabling also why; what waited is sent, under the id it had."""
    answer = await client.post("/webhooks/siem/disable", data={"actor": "", "reason": ""})
    assert answer.status_code == 422
    assert "Your work e-mail" in answer.text
    nobody = {"actor": "o\0ps@acme.example", "reason": "Who?"}
    assert (await client.post("/webhooks/siem/disable", data=nobody)).status_code == 404
    reason = {"reason": "They move house 🏠"}
    answer = await client.post("/webhooks/siem/disable", data={**OPERATOR, **reason})
    assert answer.status_code == 303
    run = await house.start("greeting", "O'Brien")
    assert await send(house) == []
    page = text_of((await client.get("/webhooks/siem")).text)
    assert "Disabled" in page
    assert "up to thirty days" in page
    assert (await client.post("/webhooks/siem/enable", data=OPERATOR)).status_code == 303
    assert await send(house) == [True]
    event = receiver.ids[0]
    assert house.reference(run) in (await client.get("/webhooks/siem")).text
    form = text_of((await client.get(f"/webhooks/siem/redeliver?event={event}")).text)
    assert event in form
    again = await client.post(f"/webhooks/siem/redeliver?event={event}", data=OPERATOR)
    assert again.status_code == 303
    assert await send(house) == [True]
    assert receiver.ids == [event, event]
    told = await house.database.fetch(
        "select type from newel.event where type like 'admin.webhook%' order by occurred_at, seq"
    )
    assert [each["type"] for each in told] == [
        "admin.webhook_configured", "admin.webhook_disabled", "admin.webhook_enabled",
        "admin.webhook_redelivered",
    ]  # fmt: skip


async def test_a_ping_shows_what_is_answered(house, client, receiver):
    """Whoever presses it sees the answer on the page, and nothing is recorded as delivered."""
    receiver.statuses = [204, 500]
    well, ill = [(await client.post("/webhooks/siem/ping")).text for _ in range(2)]
    assert "siem accepts messages: answered 204." in text_of(well)
    assert "siem does not accept messages: answered 500." in text_of(ill)
    assert (await client.get("/api/v1/webhooks/siem")).json()["deliveries"] == []


async def test_what_came_in_and_was_refused_is_carried_out_again(house, client):
    """A delivery that could not be done is named, with why; the button does it when it can be."""
    assert "Never heard" in text_of((await client.get("/webhooks")).text)
    now = await house.now()
    body = json.dumps({"name": 7}).encode()
    head = signed("msg_1", body, [Secret(SECRET)], now)
    answer = await client.post("/hooks/bank", content=body, headers=head)
    assert answer.status_code == 202
    page = (await client.get("/webhooks?received=refused")).text
    assert "Heard" in text_of(page)
    action = re.search(r'action="(/webhooks/received/[0-9a-f-]+/again)"', page)
    assert action is not None
    assert (await client.post(action[1])).status_code == 303
    assert "Carry out again" in (await client.get("/webhooks")).text
    assert (await client.post("/webhooks/received/x/again")).status_code == 404


async def test_old_deliveries_are_forgotten(house, client, receiver):
    """Accepted ones after a week, given up and waiting ones after thirty days, and no others."""
    receiver.statuses = [204, 503]
    for name in ("accepted", "waiting"):
        await house.start("greeting", name)
        await send(house)
    ours = set(receiver.ids)
    for days, left in ((6, 2), (2, 1), (20, 1), (3, 0)):
        await house.move(timedelta(days=days))
        await house.engine.endpoints.look_after()
        twin = (await client.get("/api/v1/webhooks/siem")).json()
        assert len(ours & {each["event"] for each in twin["deliveries"]}) == left
