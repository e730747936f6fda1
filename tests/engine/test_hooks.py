"""Deliveries from other systems: proven, kept once, carried out in the same transaction."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import orjson
import pytest

from newel import Delivery, Event, Person, SecretRef, days, hook, process
from newel.audit.leaf import Actor
from newel.base.errors import DefinitionError, InvalidInput, NotWaiting
from newel.base.secrets import Secret
from newel.base.settings import Settings
from newel.connectors.signatures import BambooHRSigned, BodySigned, SlackSigned, StandardWebhooks
from newel.connectors.webhooks import LARGEST_BODY, SignatureInvalid, fresh_secret, signed
from newel.engine.silence import Silence
from newel.flow.hooks import Arrived
from newel.web.app import create_app

OLD, NEW = fresh_secret(bytes(range(32))), fresh_secret(bytes(range(1, 41)))
SLACK = Secret("8f742231b10e8888abcd99yyyzzz85a5")


@dataclass(frozen=True, kw_only=True)
class Paid:
    """What payroll says of a claim."""

    amount: int


paid = Event("paid", Paid)
ringing = Event("ringing", Paid, buffered=False)


@process(subject=None)
async def refund(claim: str) -> int:
    """Wait until a claim is paid."""
    return (await paid.wait(match=claim)).amount


@process
async def greet(person: Person) -> str:
    """Greet somebody."""
    await paid.wait(match=person.email)
    return person.name


STANDARD = StandardWebhooks(SecretRef("env:HOOK_OLD"), SecretRef("env:HOOK_NEW"))


@hook(signed=STANDARD)
def payroll(delivery: Delivery) -> Any:
    """Start, send, or both, as the body says."""
    told = delivery.document
    reactions: list[Any] = [refund.request(claim) for claim in told.get("claims", ())]
    reactions += [greet.request(Person(name=n, email=e)) for n, e in told.get("hires", ())]
    reactions += [paid.message(Paid(amount=a), match=m) for m, a in told.get("paid", ())]
    reactions += [ringing.message(Paid(amount=a), match=m) for m, a in told.get("rings", ())]
    if "wrong" in told:
        raise KeyError(told["wrong"])
    return reactions


@hook(signed=SlackSigned(SecretRef("env:HOOK_SLACK")), name="chat")
def slack(delivery: Delivery) -> Any:
    """Start what a click asks for."""
    return refund.request(delivery.document["claim"])


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in (("OLD", OLD), ("NEW", NEW), ("SLACK", SLACK)):
        monkeypatch.setenv(f"HOOK_{name}", secret.reveal())


@pytest.fixture
async def house(build):
    """Give a deployment with both hooks and nobody at work."""
    async with build([refund, greet], hooks=[payroll, slack], events=[paid, ringing]) as opened:
        yield opened


def client(engine: Any) -> httpx2.AsyncClient:
    """Give a caller from another machine, as a sender is one, to a web process of its own."""
    app = create_app(engine, settings=Settings())
    transport = httpx2.ASGITransport(app=app, client=("192.0.2.7", 50_000))
    return httpx2.AsyncClient(transport=transport, base_url="https://newel.example")


@pytest.fixture
async def web(house):
    """Give a caller of the deployment."""
    async with client(house.engine) as opened:
        yield opened


async def delivered(house, web, document: Any, *, id_: str = "msg_1", **more: Any) -> int:
    """Deliver a document, signed; answers with the status."""
    body = json.dumps(document).encode()
    now = await house.now() + more.get("off", timedelta(0))
    headers = dict(signed(id_, body, more.get("secrets", [OLD]), now))
    body = more.get("sent", body)
    return (await web.post("/hooks/payroll", content=body, headers=headers)).status_code


async def count(house) -> int:
    """How many runs there are."""
    return int(await house.database.fetchval("select count(*) from newel.run"))


async def refusals(house) -> list[dict[str, Any]]:
    """What the audit log tells of deliveries that were not accepted."""
    rows = await house.database.fetch(
        "select entry from newel.event where type = 'event.refused' order by seq"
    )
    return [orjson.loads(row["entry"])["data"] for row in rows]


async def test_a_delivery_starts_a_run_once_that_says_where_it_came_from(house, web):
    """C43: the first is new, the second and one of tomorrow are known; the leaf names it."""
    assert await delivered(house, web, {"claims": ["c-1"]}) == 202
    assert await delivered(house, web, {"claims": ["c-1"]}) == 200
    await house.move(timedelta(days=1))
    assert await delivered(house, web, {"claims": ["c-1"]}, secrets=[NEW]) == 200
    run = await house.database.fetchval("select id from newel.run")
    first, *_ = await house.leaves(run)
    assert first["data"]["source"] == {"type": "webhook", "ref": "payroll/msg_1"}
    assert first["actor"] == {"type": "service", "id": "svc_payroll", "via": "webhook/payroll"}
    assert await count(house) == 1


async def test_the_same_at_once_through_two_web_processes_is_one(house, web):
    """Ten copies over two servers: one 202, nine 200, one run."""
    other = type(house.engine)(
        house.database, house.engine.vault, [refund, greet], hooks=[payroll], events=[paid]
    )
    await other.register()
    async with client(other) as second:
        answers = await asyncio.gather(
            *(delivered(house, each, {"claims": ["c-1"]}) for each in [web, second] * 5)
        )
    assert sorted(answers) == [200] * 9 + [202]
    assert await count(house) == 1


async def test_a_message_reaches_who_waits_and_is_marked_as_proven(house, web):
    """Sent before it is awaited or after: the wait takes it, and the leaf says it was verified."""
    async with house.worker():
        assert await delivered(house, web, {"paid": [["c-1", 7]]}) == 202
        run = await house.start("refund", "c-1")
        assert await house.ended(run) == "completed"
        late = await house.start("refund", "c-2")
        await house.rested(late)
        assert await delivered(house, web, {"paid": [["c-2", 8]]}, id_="msg_2") == 202
        house.poke()
        assert await house.ended(late) == "completed"
    received = next(leaf for leaf in await house.leaves(late) if leaf["type"] == "event.received")
    assert received["data"]["source"] == "webhook/payroll"
    assert (received["data"]["signature"], received["data"]["message_id"]) == ("verified", "msg_2")


async def test_nobody_else_can_say_that_a_message_was_proven(house):
    """A caller who names a hook as the source is refused, and nothing is kept."""
    caller = Actor(type="service", id="svc_test", via="api")
    with pytest.raises(InvalidInput, match="is for what comes signed"):
        await house.engine.send(
            Event("paid", int), 1, actor=caller, match="x", source="webhook/payroll"
        )
    assert await house.database.fetchval("select count(*) from newel.inbox") == 0


async def test_what_nobody_waits_for_and_nobody_keeps_is_lost(house, web):
    """A message of an unbuffered event is told to nobody, and the delivery is accepted."""
    assert await delivered(house, web, {"rings": [["c-1", 7]]}) == 202
    assert [each["cause"] for each in await refusals(house)] == ["nobody-waits"]


async def test_who_dies_before_the_commit_has_kept_nothing(house, web, monkeypatch):
    """Killed when the run was written and the delivery was not: the sender's next one counts."""

    async def killed(*_: object, **__: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr("newel.store.webhooks.settle_received", killed)
        assert await delivered(house, web, {"claims": ["c-1"], "paid": [["x", 1]]}) == 503
    assert await count(house) == 0
    assert await house.database.fetchval("select count(*) from newel.inbox") == 0
    assert await house.database.fetchval("select count(*) from newel.webhook_received") == 0
    assert await delivered(house, web, {"claims": ["c-1"], "paid": [["x", 1]]}) == 202
    assert await count(house) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"secrets": [fresh_secret(bytes(32))]},
        {"sent": b'{"claims": ["c-2"]}'},
        {"off": timedelta(minutes=-6)},
        {"off": timedelta(minutes=6)},
    ],
)
async def test_what_is_not_proven_is_not_read(house, web, more):
    """C43: another secret, another body, another time: 401, and nothing is kept."""
    assert await delivered(house, web, {"claims": ["c-1"]}, **more) == 401
    assert await count(house) == 0
    assert await house.database.fetchval("select count(*) from newel.webhook_received") == 0


async def test_refusals_are_told_at_once_and_then_counted(house, web):
    """A hundred forgeries are one leaf; the others are one more, a minute later."""
    for number in range(5):
        forged: dict[str, Any] = {"secrets": [fresh_secret(bytes(32))], "id_": f"msg_{number}"}
        assert await delivered(house, web, {}, **forged) == 401
    assert [each["n"] for each in await refusals(house)] == [1]
    await house.move(timedelta(minutes=2))
    await house.engine.hooks.look_after()
    await house.engine.hooks.look_after()
    told = await refusals(house)
    assert [(each["source"], each["cause"], each["n"]) for each in told] == [
        ("payroll", "signature", 1),
        ("payroll", "signature", 4),
    ]
    assert told[1]["window_s"] >= 120


async def test_two_secrets_are_valid_while_one_replaces_the_other(house, web, monkeypatch):
    """C43: either signs, both sign; when the old one is gone only the new one, without restart."""
    kept: dict[str, object] = {}
    monkeypatch.setattr("newel.base.secrets._kept", kept)
    for number, secrets in enumerate(([OLD], [NEW], [OLD, NEW])):
        assert await delivered(house, web, {}, id_=f"msg_{number}", secrets=secrets) == 202
    monkeypatch.delenv("HOOK_OLD")
    kept.clear()  # as after sixty seconds
    assert await delivered(house, web, {}, id_="msg_4", secrets=[NEW]) == 202
    assert await delivered(house, web, {}, id_="msg_5", secrets=[OLD]) == 401
    monkeypatch.delenv("HOOK_NEW")
    kept.clear()
    assert await delivered(house, web, {}, id_="msg_6", secrets=[NEW]) == 503


async def test_limits_are_answered(house, web):
    """Unknown source, too large, no JSON, its id with another body: each has its answer."""
    assert (await web.post("/hooks/nobody", content=b"{}")).status_code == 404
    large = {"x": "y" * LARGEST_BODY}
    assert await delivered(house, web, large) == 413
    body = b"not json"
    headers = signed("msg_1", body, [OLD], await house.now())
    assert (await web.post("/hooks/payroll", content=body, headers=headers)).status_code == 422
    assert await delivered(house, web, {"claims": ["c-1"]}) == 202
    assert await delivered(house, web, {"claims": ["c-2"]}) == 409
    assert [each["cause"] for each in await refusals(house)] == ["changed"]
    assert await count(house) == 1


async def test_a_source_that_sends_too_much_is_told_when_to_come_again(house, web):
    """More than three hundred a minute from one source are refused before they are looked at."""
    answers = [(await web.post("/hooks/payroll", content=b"{}")).status_code for _ in range(305)]
    assert (answers.count(401), answers.count(429)) == (300, 5)


async def test_what_cannot_be_done_is_kept_with_its_reason_and_done_later(house, web):
    """One hire has an open run: the other starts; looked at again later, only the first does."""
    hires = [["Jane Doe", "jane@acme.example"], ["Sam Poe", "sam@acme.example"]]
    first = {"hires": hires[:1]}
    assert await delivered(house, web, first) == 202
    assert await delivered(house, web, {"hires": hires}, id_="msg_2") == 202
    (refused,) = await house.engine.hooks.listed(only_refused=True)
    assert len(refused["runs"]) == 1
    assert "jane" not in refused["refused"].lower()
    async with house.worker():
        run = (await house.engine.hooks.listed())[-1]["runs"][0]
        assert await delivered(house, web, {"paid": [["jane@acme.example", 1]]}, id_="m3") == 202
        house.poke()
        assert await house.ended(run) == "completed"
    again = await house.engine.hooks.again(refused["id"])
    assert again.refused is None
    assert again.runs[1] == refused["runs"][0]
    assert await count(house) == 3
    with pytest.raises(NotWaiting):
        await house.engine.hooks.again(refused["id"])


async def test_a_mistake_of_the_hook_is_kept_for_whoever_mends_it(house, web):
    """What the function raises is named by its class alone; the delivery is not lost."""
    assert await delivered(house, web, {"wrong": "secret of jane"}) == 202
    (row,) = await house.engine.hooks.listed(only_refused=True)
    assert row["refused"] == "The hook raised KeyError."
    assert [each["cause"] for each in await refusals(house)] == ["not-carried-out"]


async def test_bodies_are_sealed_and_emptied_when_nobody_sends_them_again(house, web):
    """The row does not hold the text; after eighty hours it holds nothing, and is known still."""
    assert await delivered(house, web, {"claims": ["c-4711"]}) == 202
    row = await house.database.fetchrow("select body from newel.webhook_received")
    assert b"4711" not in row["body"]
    await house.move(timedelta(hours=81))
    await house.engine.hooks.look_after()
    assert await house.database.fetchval("select body from newel.webhook_received") is None
    assert await delivered(house, web, {"claims": ["c-4711"]}) == 200


# --- sources that sign their own way ---------------------------------------------------------


def slack_headers(body: bytes, stamp: int, secret: Secret = SLACK) -> dict[str, str]:
    """Sign as Slack does."""
    signing = b"v0:%d:%s" % (stamp, body)
    digest = hmac.new(secret.reveal().encode(), signing, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(stamp), "X-Slack-Signature": f"v0={digest}"}


async def test_slack_is_believed_by_its_signature_for_five_minutes(house, web):
    """An event, its retry, a click in a form, an old one, a forged one, the question of address."""
    now = int((await house.now()).timestamp())

    async def post(body: bytes, headers: dict[str, str], kind: str = "application/json") -> Any:
        return await web.post("/hooks/chat", content=body, headers=headers | {"Content-Type": kind})

    event = json.dumps({"event_id": "Ev1", "claim": "c-1"}).encode()
    assert (await post(event, slack_headers(event, now))).status_code == 202
    assert (await post(event, slack_headers(event, now + 60))).status_code == 200
    click = b"payload=%7B%22claim%22%3A+%22c-2%22%7D"
    form = "application/x-www-form-urlencoded"
    assert (await post(click, slack_headers(click, now), form)).status_code == 202
    assert (await post(click, slack_headers(click, now), form)).status_code == 200
    assert (await post(event, slack_headers(event, now - 301))).status_code == 401
    assert (await post(event, slack_headers(event, now, Secret("other")))).status_code == 401
    asks = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aB"}).encode()
    assert (await post(asks, slack_headers(asks, now))).text == "3eZbrw1aB"
    assert await count(house) == 2


def test_the_published_example_of_slack_is_accepted(monkeypatch):
    """The worked example of Slack's documentation verifies, and fails with one byte changed."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    monkeypatch.setenv("HOOK_SLACK", "8f742231b10e8888abcd99yyyzzz85a5")
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    verifier = SlackSigned(SecretRef("env:HOOK_SLACK"))
    now = datetime.fromtimestamp(1531420618, UTC)
    assert verifier.verified(headers, body, now, source="chat").id is None
    with pytest.raises(SignatureInvalid):
        verifier.verified(headers, body + b" ", now, source="chat")


def test_a_hundred_random_headers_are_refused_by_every_verifier(monkeypatch):
    """Whatever bytes come, a verifier accepts or raises SignatureInvalid, nothing else."""
    monkeypatch.setenv("HOOK_BAMBOO", "key")
    chance = random.Random(9)
    now = datetime.fromtimestamp(1531420618, UTC)
    names = ["webhook-id", "webhook-timestamp", "webhook-signature", "x-slack-signature"]
    names += ["x-slack-request-timestamp", "x-bamboohr-timestamp", "x-bamboohr-signature"]
    for _ in range(100):
        headers = {
            name: chance.choice(["", "1531420618", "v1,é", "v1a,====", "v0=\u0663", "٣" * 10])
            for name in names
        }
        for verifier in (
            STANDARD,
            SlackSigned(SecretRef("env:HOOK_SLACK")),
            BambooHRSigned(SecretRef("env:HOOK_BAMBOO")),
            BodySigned(SecretRef("env:HOOK_BAMBOO"), header="x-slack-signature"),
        ):
            with pytest.raises(SignatureInvalid):
                verifier.verified(headers, chance.randbytes(20), now, source="x")


# --- declaring -------------------------------------------------------------------------------


async def test_a_name_is_used_once(build):
    """Two hooks of one name are refused before anything starts, with both places."""
    other = replace(payroll, place="company.other")
    where = rf"Two hooks are named `payroll`: in `{__name__}` and in `company\.other`\."
    with pytest.raises(DefinitionError, match=where):
        async with build([refund, greet], hooks=[payroll, payroll, other]):
            pass


async def test_an_answer_that_is_nothing_is_kept_as_such(build):
    """A hook that answers with neither a start nor a message, or starts a foreign process."""

    @hook(signed=STANDARD, name="odd")
    def odd(delivery: Delivery) -> Any:
        return ["nothing"]

    @hook(signed=STANDARD, name="foreign")
    def foreign(delivery: Delivery) -> Any:
        return greet.request(Person(name="Jane", email="jane@acme.example"))

    async with build([refund], hooks=[odd, foreign]) as house, client(house.engine) as caller:
        for name in ("odd", "foreign"):
            headers = signed("m", b"{}", [OLD], await house.now())
            answer = await caller.post(f"/hooks/{name}", content=b"{}", headers=headers)
            assert answer.status_code == 202
        rows = await house.engine.hooks.listed(only_refused=True)
        assert ["does not run" in row["refused"] for row in rows] == [True, False]
        assert "answered with `str`" in rows[1]["refused"]


@hook(signed=STANDARD, silent_after=days(2), owner="finance")
def ledger(delivery: Delivery) -> Any:
    """Start what the ledger asks for."""
    return refund.request(delivery.document["claim"])


async def test_a_source_that_is_silent_for_too_long_becomes_one_task_until_it_speaks(build):
    """Never heard of, silent again, told twice: one task for each silence, withdrawn by a word."""
    async with build([refund, greet], hooks=[ledger, payroll], events=[paid, ringing]) as house:
        tasks = (
            "select title, owner, state from newel.task where owner = 'finance' order by opened_at"
        )

        async def looked() -> list[str]:
            """Let three workers look; answers with the states of the tasks."""
            for _ in range(3):
                silence = Silence(
                    house.database, house.engine.hooks.declared.values(), house.engine.attention
                )
                await silence.look()

            async def settled() -> bool:
                open_runs = (
                    "select 1 from newel.run where wake_at is not null or worker_id is not null"
                )
                return not await house.database.fetch(open_runs)

            await house.until(settled)
            return [row["state"] for row in await house.database.fetch(tasks)]

        async with house.worker():
            assert await looked() == []
            await house.move(timedelta(days=2, minutes=1))
            assert await looked() == ["open"]
            (task,) = await house.database.fetch(tasks)
            assert (task["title"], task["owner"]) == ("ledger is silent", "finance")
            await house.engine.hooks.receive("ledger", Arrived(id="m'1"), {"claim": "c 🧾"})
            assert await looked() == ["withdrawn"]
            await house.move(timedelta(days=1, hours=23))
            assert await looked() == ["withdrawn"]
            await house.move(timedelta(hours=2))
            assert await looked() == ["withdrawn", "open"]


def test_a_silence_shorter_than_anybody_looks_is_refused():
    """A source is looked at once a minute; an hour is the least."""
    with pytest.raises(DefinitionError, match="an hour or more"):
        hook(signed=STANDARD, silent_after=timedelta(minutes=5))
