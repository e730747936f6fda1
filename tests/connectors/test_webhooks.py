"""Standard Webhooks: signing and verifying, both ways and against another implementation."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import socket
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from newel.base.errors import DefinitionError
from newel.base.secrets import Secret, SecretRef
from newel.connectors.outgoing import Delivered, Sender, is_public, resolved
from newel.connectors.signatures import StandardWebhooks
from newel.connectors.webhooks import (
    SignatureInvalid,
    fresh_secret,
    judged_delivery,
    next_attempt,
    signed,
    verified,
)
from newel.flow.endpoints import endpoint

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OTHER = fresh_secret(bytes(range(32)))


def test_the_published_example_is_signed_as_published():
    """C43: the fixed vector of the specification comes out byte for byte."""
    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        [SECRET],
        datetime.fromtimestamp(1614265330, UTC),
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_thousand_messages_agree_with_another_implementation():
    """C43: what we sign the library verifies, and back; one changed byte fails both."""
    chance = random.Random(20)
    # The library looks at the real time.
    now = datetime.now(UTC).replace(microsecond=0)
    for number in range(1_000):
        secret = fresh_secret(chance.randbytes(chance.randint(24, 64)))
        theirs = Webhook(secret.reveal())
        text = "".join(chr(chance.randint(1, 0x2FFF)) for _ in range(chance.randint(0, 40)))
        body = json.dumps({"text": text, "n": number}, ensure_ascii=False).encode()
        identity = f"msg_{chance.getrandbits(64):x}"
        ours = dict(signed(identity, body, [secret], now))
        assert theirs.verify(body, ours) == {"text": text, "n": number}
        stamp = str(int(now.timestamp()))
        signature = theirs.sign(identity, now, body.decode())
        given = {"webhook-id": identity, "webhook-timestamp": stamp, "webhook-signature": signature}
        assert verified(given, body, [secret], now) == identity
        place = chance.randrange(len(body))
        bent = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        with pytest.raises(SignatureInvalid):
            verified(given, bent, [secret], now)
        with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
            theirs.verify(bent, ours)


def given(**changes: str) -> dict[str, str]:
    """Give good headers, with changes; an empty one is left out."""
    headers = {**signed("msg_1", b"{}", [SECRET], NOW)}
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in headers.items() if value}


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        (given(webhook_id=""), "identity"),
        (given(webhook_id="msg.1"), "identity"),
        (given(webhook_id="x" * 257), "identity"),
        (given(webhook_timestamp=""), "no time"),
        (given(webhook_timestamp="now"), "no time"),
        (given(webhook_timestamp="1" * 30), "no time"),
        (given(webhook_timestamp=str(int(NOW.timestamp()) - 301)), "five minutes"),
        (given(webhook_timestamp=str(int(NOW.timestamp()) + 301)), "five minutes"),
        (given(webhook_timestamp=str(int(NOW.timestamp()) + 1)), "signature"),
        (given(webhook_signature=""), "signature"),
        (given(webhook_signature="v1,"), "signature"),
        (given(webhook_signature="v1a,abc v2,abc nonsense"), "signature"),
        (given(webhook_signature="v1,ü"), "signature"),
    ],
)
def test_what_is_not_proven_is_refused(headers: dict[str, str], why: str):
    """C43: a missing part, an old or future time, an unknown version: refused, saying which."""
    with pytest.raises(SignatureInvalid, match=why):
        verified(headers, b"{}", [SECRET], NOW)


def test_during_a_rotation_either_secret_suffices():
    """C43: a message with two signatures passes with either secret, beside unknown versions too."""
    headers = {**signed("msg_1", b"{}", [SECRET, OTHER], NOW)}
    headers["webhook-signature"] = "v1a,c2ln " + headers["webhook-signature"]
    for known in ([SECRET], [OTHER], [OTHER, SECRET]):
        assert verified(headers, b"{}", known, NOW) == "msg_1"
    one = signed("msg_1", b"{}", [OTHER], NOW)
    assert verified(one, b"{}", [SECRET, OTHER], NOW) == "msg_1"
    with pytest.raises(SignatureInvalid):
        verified(one, b"{}", [SECRET], NOW)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_short", "whsec_%%%", base64.b64encode(b"x" * 65).decode()]
)
def test_a_secret_that_is_none_is_refused_without_showing_it(secret: str):
    """A secret too short, too long or unreadable signs nothing, and is not quoted."""
    with pytest.raises(DefinitionError) as refused:
        signed("msg_1", b"{}", [Secret(secret)], NOW)
    assert secret in {"", "whsec_"} or secret not in str(refused.value)


@pytest.mark.parametrize(
    ("identity", "secrets"), [("msg.1", [SECRET]), ("", [SECRET]), ("msg_1", [])]
)
def test_a_message_needs_identity_and_secret(identity: str, secrets: list[Secret]):
    """An identity with a dot could be read as another; without a secret nothing is proven."""
    with pytest.raises(DefinitionError):
        signed(identity, b"{}", secrets, NOW)
    with pytest.raises(DefinitionError):
        fresh_secret(b"short")


def test_attempts_follow_the_schedule():
    """Ten attempts within 75 h 35 min 5 s, then none; a receiver may ask for later, not sooner."""
    moment, waits = NOW, []
    for attempts in range(1, 10):
        due = next_attempt(attempts, moment, chance=0)
        assert due is not None
        waits.append((due - moment).total_seconds())
        moment = due
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert moment - NOW == timedelta(hours=75, minutes=35, seconds=5)
    assert next_attempt(10, moment) is None
    later = NOW + timedelta(hours=1)
    assert next_attempt(1, NOW, retry_at=later) == later
    assert next_attempt(2, NOW, retry_at=NOW, chance=1) == NOW + timedelta(seconds=330)
    assert next_attempt(1, NOW, retry_at=NOW + timedelta(days=9)) == NOW + timedelta(hours=24)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, "accepted"), (204, "accepted"), (302, "failed"), (410, "gone"), (429, "failed")],
)
def test_answers_are_judged(status: int, verdict: str):
    """2xx accepts, 410 ends it, a redirection is a failure."""
    assert judged_delivery(status) == verdict


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1:a00:0:100:808:808",
        "2002:7f00:1::",
        "2001::1",
        "::10.0.0.1",
        "::ffff:0:10.0.0.1",
        "fec0::1",
        "3fff::1",
        "5f00::1",
        "192.88.99.1",
    ],
)
def test_private_addresses_are_not_public(address: str):
    """No private, local or metadata address passes, in no notation."""
    assert not is_public(address)
    assert is_public("93.184.216.34") and is_public("2606:2800:220:1:248:1893:25c8:1946")
    assert is_public("64:ff9b::5db8:d822")


class Network:
    """A name service and a receiver, and what reached them."""

    def __init__(self, addresses: Sequence[str], status: int = 202, **headers: str) -> None:
        self.addresses = list(addresses)
        self.closed: dict[str, type[httpx2.HTTPError]] = {}
        self.tried: list[str] = []
        self.requests: list[httpx2.Request] = []
        self.asked = 0
        self._answer = (status, headers)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Look a name up."""
        self.asked += 1
        if not self.addresses:
            message = "no such name"
            raise OSError(message)
        return self.addresses

    def receive(self, request: httpx2.Request) -> httpx2.Response:
        """Take a message, unless nobody listens there."""
        self.tried.append(request.url.host)
        if request.url.host in self.closed:
            message = "nobody listens"
            raise self.closed[request.url.host](message)
        self.requests.append(request)
        status, headers = self._answer
        if status == 0:
            message = "cut"
            raise httpx2.ReadError(message)
        return httpx2.Response(status, headers=headers)

    async def sent(self, url: str, **options: Any) -> Delivered:
        """Make one attempt in this network."""
        sender = Sender(resolve=self.resolve, transport=httpx2.MockTransport(self.receive))
        told = endpoint("siem", url, events=("run.*",), signed=SIGNED, **options)
        return await sender.send(told, b"{}", identity="msg_1", now=NOW)


SIGNED = StandardWebhooks(SecretRef("env:WEBHOOK_SECRET"))


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET.reveal())


async def test_a_message_goes_to_the_address_that_was_looked_at():
    """The name is looked up once; the connection is to that address, the certificate the name's."""
    network = Network(["93.184.216.34", "93.184.216.35"])
    done = await network.sent("https://siem.example:8443/in?x=1")
    assert (done.verdict, done.status, network.asked) == ("accepted", 202, 1)
    (request,) = network.requests
    assert str(request.url) == "https://93.184.216.34:8443/in?x=1"
    assert request.headers["host"] == "siem.example:8443"
    assert request.extensions["sni_hostname"] == "siem.example"
    assert verified(request.headers, request.content, [SECRET], NOW) == "msg_1"


@pytest.mark.parametrize("fault", [httpx2.ConnectError, httpx2.ConnectTimeout])
async def test_where_nobody_listens_the_next_address_is_tried(fault: type[httpx2.HTTPError]):
    """IPv6 and IPv4 in turn, each once, with the name's certificate; one message is sent in all."""
    six = [f"2606:2800:220:1::{number}" for number in range(1, 4)]
    network = Network([*six, "93.184.216.34", six[0], "93.184.216.35"])
    network.closed = dict.fromkeys([*six, "93.184.216.34"], fault)
    done = await network.sent("https://siem.example/in")
    assert (done.verdict, network.asked, len(network.requests)) == ("accepted", 1, 1)
    assert network.tried == [six[0], "93.184.216.34", six[1], "93.184.216.35"]
    (request,) = network.requests
    assert request.headers["host"] == "siem.example"
    assert request.extensions["sni_hostname"] == "siem.example"
    assert request.extensions["timeout"]["connect"] == 2.0  # of ten seconds for all five
    network.closed = dict.fromkeys([*network.addresses, "93.184.216.34"], fault)
    assert (await network.sent("https://siem.example/in")).why == f"no answer ({fault.__name__})"


async def test_what_may_have_been_sent_is_sent_to_no_second_address():
    """A connection that is cut may have carried the message; many addresses are not all tried."""
    network = Network([f"93.184.216.{number}" for number in range(1, 30)])
    network.closed = {"93.184.216.1": httpx2.ReadError}
    assert (await network.sent("https://siem.example/in")).verdict == "failed"
    assert network.tried == ["93.184.216.1"]
    network.closed = dict.fromkeys(network.addresses, httpx2.ConnectError)
    await network.sent("https://siem.example/in")
    assert len(network.tried) == 9


@pytest.mark.parametrize(
    "addresses",
    [["10.0.0.1"], ["93.184.216.34", "169.254.169.254"], ["::ffff:127.0.0.1"], []],
)
async def test_what_is_not_public_is_never_connected_to(addresses: list[str]):
    """One private address among several, in any notation, or none at all: nothing is sent."""
    network = Network(addresses)
    done = await network.sent("https://siem.example/in")
    assert (done.verdict, network.requests) == ("refused" if addresses else "failed", [])


async def test_a_host_may_be_in_the_inner_network_that_is_declared_with_it():
    """There http is spoken, too; an address beside the network is refused as ever."""
    inner = {"network": "10.2.0.0/16"}
    network = Network(["10.2.0.1"])
    assert (await network.sent("http://siem.internal:80/in", **inner)).verdict == "accepted"
    assert str(network.requests[0].url) == "http://10.2.0.1/in"
    for addresses in (["10.3.0.1"], ["10.2.0.1", "127.0.0.1"], ["fe80::1"]):
        assert (await Network(addresses).sent("https://s.internal/", **inner)).verdict == "refused"
    outside = Network(["93.184.216.34"])
    assert (await outside.sent("https://s.example/", **inner)).verdict == "accepted"
    in_clear = await outside.sent("http://s.example/", **inner)
    assert (in_clear.verdict, len(outside.requests)) == ("refused", 1)


async def test_names_that_cannot_be_looked_up_hold_up_nothing_else(monkeypatch):
    """Look-ups that hang keep none of the threads that secrets and the names of systems need."""
    goes_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: goes_on.wait() and [])
    hanging = [asyncio.create_task(resolved("dead.example", 443)) for _ in range(40)]
    try:
        await asyncio.sleep(0)
        assert await asyncio.wait_for(asyncio.to_thread(str), 5) == ""
    finally:
        goes_on.set()
        await asyncio.gather(*hanging)


async def test_a_receiver_that_never_ends_its_answer_is_not_waited_for(monkeypatch):
    """Twenty seconds in all, however slowly each byte comes."""
    monkeypatch.setattr("newel.connectors.outgoing._TOTAL_S", 0.01)

    async def never(_: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    network = Network(["93.184.216.34"])
    network.receive = never  # type: ignore[assignment,method-assign]
    assert (await network.sent("https://siem.example/")).why == "no answer in time"


@pytest.mark.parametrize(
    ("network", "verdict", "retry_at"),
    [
        (Network(["93.184.216.34"], 410), "gone", None),
        (Network(["93.184.216.34"], 302, location="https://evil.example"), "failed", None),
        (
            Network(["93.184.216.34"], 429, **{"retry-after": "60"}),
            "failed",
            NOW + timedelta(seconds=60),
        ),
        (Network(["93.184.216.34"], 0), "failed", None),
        (Network([]), "failed", None),
    ],
)
async def test_how_an_attempt_ends(network: Network, verdict: str, retry_at: datetime | None):
    """410 ends it for good; a redirection is not followed; a stated wait is passed on."""
    done = await network.sent("https://siem.example/in")
    assert (done.verdict, done.retry_at) == (verdict, retry_at)
    assert len(network.requests) <= 1
