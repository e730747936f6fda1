"""`newel webhooks`: who is told of events, sending again, and what came in."""

from __future__ import annotations

import asyncio
import json
import os

import asyncpg

from newel.base.secrets import Secret
from newel.connectors.webhooks import signed, verified
from tests.faults.pooler import behind

COMPANY = '''
"""A greeting, and who is told of it."""

from newel import SecretRef, endpoint, hook, process
from newel.connectors.signatures import StandardWebhooks

SIGNED = StandardWebhooks(SecretRef("env:OUT_SECRET"))

@process(subject=None)
async def greet(name: str) -> str:
    """Greet."""
    return name

siem = endpoint(
    "siem", "https://siem.example:8443/in/s3cret", events=("run.*", "admin.*"), signed=SIGNED
)

@hook(signed=SIGNED)
def shop(delivery):
    """Greet a customer."""
    return greet.request(delivery.document["name"])
'''


def declared(project) -> None:
    """Write the company beside the project and let its settings name it."""
    (project / "company_told.py").write_text(COMPANY, encoding="utf-8")
    (project / "newel.toml").write_text('processes = ["company_told"]\n', encoding="utf-8")


def execute(statement: str) -> str:
    """Carry out a statement on the test's database."""

    async def done() -> str:
        connection = await asyncpg.connect(behind(os.environ["NEWEL_DATABASE_URL"]))
        try:
            return str(await connection.execute(statement))
        finally:
            await connection.close()

    return asyncio.run(done())


def test_an_endpoint_is_listed_operated_and_told_again(deployed, newel):
    """From declared to given up and sent again; the path of its address is shown nowhere."""
    assert 'endpoint("siem", …)' in newel("webhooks").out
    declared(deployed)
    assert newel("start", "greet", "--input", '"O\'Hara 🦊"').status == 0
    (siem,) = newel("webhooks", "--json").document["endpoints"]
    assert (siem["name"], siem["url_host"], siem["waiting"]) == ("siem", "siem.example:8443", 2)
    assert "well" in newel("webhooks").out
    waiting = newel("webhooks", "deliveries", "siem", "--json").document["deliveries"]
    assert {each["type"] for each in waiting} == {"admin.webhook_configured", "run.started"}
    execute(
        "update newel.webhook_delivery set state = 'dead', next_at = null, ended_at = now(), "
        "attempts = 10, answer = 'answered 500'"
    )
    assert "answered 500" in newel("webhooks", "deliveries", "siem", "--state", "dead").out
    assert newel("webhooks", "deliveries", "siem", "--state", "accepted").out.startswith("`siem` w")
    assert "2 deliveries" in newel("webhooks", "redeliver", "siem").out
    assert "1 deliveries" in newel("webhooks", "redeliver", "siem", waiting[0]["event_id"]).out
    assert newel("webhooks", "redeliver", "siem", "17").status == 1
    assert newel("webhooks", "redeliver", "sime").err == "newel: There is no endpoint 'sime'.\n"
    assert newel("webhooks", "disable", "siem").status == 1
    assert newel("webhooks", "disable", "siem", "--reason", "it's full").status == 0
    assert "disabled since" in newel("webhooks").out
    assert "told again" in newel("webhooks", "enable", "siem").out
    assert newel("webhooks", "enable", "siem").status == 1
    execute("update newel.webhook_endpoint set failing_since = now() - interval '2 hours'")
    assert "failing since" in newel("webhooks").out
    assert "webhook-failing" in newel("doctor").out
    assert "s3cret" not in newel("webhooks").out + newel("webhooks", "--json").out
    assert "siem.example:8443" in newel("inventory", "--egress").out
    pinged = newel("webhooks", "ping", "siem")
    assert (pinged.status, pinged.out) == (1, "`siem`: none of its secrets can be used.\n")


def test_what_came_in_is_listed_and_carried_out_again(deployed, newel):
    """A delivery whose text was refused is shown with the reason, and looked at again."""
    declared(deployed)
    assert newel("webhooks", "received").out == "Nothing came in.\n"

    async def came() -> None:
        from newel.cli.deployment import found_engine
        from newel.flow.hooks import Arrived

        async with found_engine(new=False) as engine:
            await engine.hooks.receive("shop", Arrived(id="msg_1"), {"nom": "Zoë"})

    asyncio.run(came())
    (shown,) = newel("webhooks", "received", "--refused", "--json").document["received"]
    assert "The hook raised KeyError." in newel("webhooks", "received", "--hook", "shop").out
    assert "KeyError" in newel("webhooks", "again", shown["id"]).out
    assert newel("webhooks", "again", "x").status == 1


def test_a_secret_is_drawn_and_events_are_told(newel):
    """Each secret is another one that signs; every event has a sentence."""
    drawn = [newel("webhooks", "secret").out.strip() for _ in range(2)]
    assert drawn[0] != drawn[1]
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    headers = signed("msg_1", b"{}", [Secret(drawn[0])], now)
    assert verified(headers, b"{}", [Secret(drawn[0])], now) == "msg_1"
    said = json.loads(newel("webhooks", "events", "--json").out)
    assert said["run.completed"] and all(said.values())
    assert "run.completed" in newel("webhooks", "events").out
