"""The inbox: what it keeps of signed messages, and whom it refuses; signed by another's library."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks.webhooks import Webhook

from newel.simulators import InboxSimulator, RevokeToken, SimulatedClock, Status
from newel.testing import SimulatorTransport
from tests.simulators.support import START

TOLD = {"type": "run.completed", "timestamp": "2026-01-05T09:00:00Z", "data": {"name": "Zoë 🦊"}}


@pytest.fixture
def inbox() -> InboxSimulator:
    """An inbox at one moment."""
    return InboxSimulator(clock=SimulatedClock(standing_at=START))


@pytest.fixture
async def client(inbox) -> AsyncIterator[httpx2.AsyncClient]:
    """Whoever tells it."""
    transport = SimulatorTransport(inbox)
    async with httpx2.AsyncClient(transport=transport, base_url="http://inbox.test") as made:
        yield made


def headed(
    inbox: InboxSimulator, body: str, identity: str = "msg_1", late: int = 0
) -> dict[str, str]:
    """Sign by the reference implementation, so many seconds late; gives the headers."""
    secret = inbox.credentials()["INBOX_SECRET"]
    moment = START + timedelta(seconds=late)
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(identity, moment, body),
    }


async def test_a_message_is_kept_once_however_often_it_comes(inbox, client):
    """The second time is counted, and changes nothing; another id is another message."""
    body = json.dumps(TOLD)
    for identity in ("msg_1", "msg_1", "msg_2"):
        answer = await client.post("/in", content=body, headers=headed(inbox, body, identity))
        assert (answer.status_code, answer.content) == (204, b"")
        inbox.clock.advance(timedelta(seconds=1))
    first, second = inbox.messages()
    assert (first["id"], first["type"], first["deliveries"]) == ("msg_1", "run.completed", 2)
    assert (first["message"], first["received_at"]) == (TOLD, "2026-01-05T09:00:00Z")
    assert second["deliveries"] == 1
    inbox.assert_exactly_once("message/msg_1")


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"webhook-signature": "v1,AAAA"}, 401),
        ({"webhook-signature": "v1a,AAAA"}, 401),
        ({"webhook-signature": "v1"}, 401),
        ({"webhook-signature": ""}, 401),
        ({"webhook-id": "msg_2"}, 401),
        ({"webhook-id": ""}, 400),
        ({"webhook-timestamp": str(int(START.timestamp()) + 1)}, 401),
        ({"webhook-timestamp": str(int(START.timestamp()) - 301)}, 401),
        ({"webhook-timestamp": "soon"}, 400),
        ({"webhook-timestamp": "²"}, 400),
    ],
    ids=str,
)
async def test_what_is_not_signed_as_it_is_is_refused(inbox, client, changed, status):
    """A wrong, missing or other signature, id or moment: a sentence, and nothing is kept."""
    body = json.dumps(TOLD)
    heads = {name: each.encode() for name, each in (headed(inbox, body) | changed).items()}
    answer = await client.post("/in", content=body, headers=heads)
    assert (answer.status_code, inbox.messages()) == (status, [])
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize("late", [301, -301])
async def test_a_message_of_another_time_is_refused(inbox, client, late):
    """Five minutes are borne either way; a message that was kept back cannot be played again."""
    for wait, status in ((late // abs(late) * 300, 204), (late, 401)):
        head = headed(inbox, "{}", late=wait)
        assert (await client.post("/in", content="{}", headers=head)).status_code == status


async def test_a_body_that_is_no_object_is_refused(inbox, client):
    """However well it is signed."""
    for body in ("[]", "{", '"text"'):
        answer = await client.post("/in", content=body, headers=headed(inbox, body))
        assert (answer.status_code, inbox.messages()) == (400, [])


async def test_a_secret_is_replaced_without_a_gap(inbox, client):
    """Two are trusted for a while, one of them a pair of keys; then the old one no more."""
    private = Ed25519PrivateKey.generate()
    inbox.trust("whpk_" + b64encode(private.public_key().public_bytes_raw()).decode())
    by_secret = headed(inbox, "{}")
    signed = f"msg_1.{by_secret['webhook-timestamp']}.{{}}".encode()
    by_keys = by_secret | {"webhook-signature": "v1a," + b64encode(private.sign(signed)).decode()}
    both = f"v1,AAAA {by_keys['webhook-signature']}"
    for head in (by_secret, by_keys, by_keys | {"webhook-signature": both}):
        assert (await client.post("/in", content="{}", headers=head)).status_code == 204
    inbox.distrust(inbox.credentials()["INBOX_SECRET"])
    assert (await client.post("/in", content="{}", headers=by_secret)).status_code == 401
    assert (await client.post("/in", content="{}", headers=by_keys)).status_code == 204
    for wrong in ("whsk_AAAA", "whsec_", "whsec_?", "secret"):
        with pytest.raises(ValueError, match="then base64"):
            inbox.trust(wrong)


async def test_rules_strike_it_as_any_system(inbox, client):
    """It is not there, wants nothing more, or has forgotten the secret."""
    head = headed(inbox, "{}")
    inbox.fail("deliver", Status(503), times=1)
    inbox.fail("deliver", Status(410), times=1)
    for status in (503, 410, 204):
        assert (await client.post("/in", content="{}", headers=head)).status_code == status
    inbox.fail("*", RevokeToken())
    assert (await client.post("/in", content="{}", headers=head)).status_code == 401
    assert [each["deliveries"] for each in inbox.messages()] == [1]
