"""Endpoints: other systems are told of events, signed, until they have accepted them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from newel import Person, SecretRef, approval, endpoint, process, step, team
from newel.base.errors import DefinitionError, NotFound, NotWaiting, ReasonMissing
from newel.base.settings import Settings
from newel.connectors.outgoing import Sender
from newel.connectors.signatures import StandardWebhooks
from newel.connectors.webhooks import fresh_secret
from newel.web.app import create_app
from tests.engine.house import OPERATOR
from tests.engine.receiver import Receiver, receiving
from tests.patience import PATIENCE_S

OLD, NEW = (fresh_secret(bytes(range(each, each + 32))).reveal() for each in (0, 50))
SIGNED = StandardWebhooks(SecretRef("env:OUT_SECRET"))
BOTH = StandardWebhooks(SecretRef("env:OUT_SECRET"), SecretRef("env:OUT_SECRET_NEW"))
WORKER = Path(__file__).with_name("telling_worker.py")


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUT_SECRET", OLD)
    monkeypatch.setenv("OUT_SECRET_NEW", NEW)


@step
async def greeted(name: str) -> str:
    """Greet."""
    return f"Hello {name} 👋"


@process(subject=None)
async def greeting(name: str) -> str:
    """Greet somebody."""
    return await greeted(name)


@process
async def welcome(person: Person) -> str:
    """Greet a person whom somebody knows."""
    agreed = await approval("known", by=team("it"))
    return await greeted(person.name) if agreed.approved else "declined"


def told(receiver: Receiver, *events: str, name: str = "siem", **more: Any) -> Any:
    """Declare an endpoint at a receiver on this machine."""
    more = {"signed": SIGNED, "network": "127.0.0.0/8", **more}
    return endpoint(name, receiver.url, events=events or ("run.started",), **more)


async def deliveries(house: Any) -> list[tuple[str, int, str | None]]:
    """State, attempts and answer of every delivery, by event."""
    rows = await house.database.fetch(
        "select state, attempts, answer from newel.webhook_delivery order by made_at, seq"
    )
    return [tuple(row) for row in rows]


async def endpoint_row(house: Any) -> Any:
    """The only endpoint, as it is listed."""
    (row,) = await house.engine.endpoints.listed()
    return row


async def send(house: Any, name: str = "siem") -> list[bool]:
    """Make one attempt for what is due."""
    return await house.engine.endpoints.send_due(name)


async def next_due(house: Any) -> float:
    """Move the clock to the next attempt; answers with how long that was, in seconds."""
    row = await house.database.fetchrow(
        "select min(next_at) as due, newel.now() as as_of from newel.webhook_delivery "
        "where state = 'waiting'"
    )
    assert row is not None
    ahead: timedelta = row["due"] - row["as_of"]
    await house.move(ahead + timedelta(milliseconds=1))
    return ahead.total_seconds()


async def test_a_worker_tells_an_endpoint_what_it_wants_and_nothing_else(build):
    """Each event once, as a signed CloudEvent whose id is that of the leaf."""
    async with (
        receiving(OLD) as siem,
        build([greeting], endpoints=[told(siem, "run.started", "run.completed")]) as house,
        house.worker(),
    ):
        run = await house.start("greeting", "O'Brien 🎉")
        await house.ended(run)

        async def accepted() -> bool:
            return [each[0] for each in await deliveries(house)] == ["accepted"] * 2

        await house.until(accepted)
        leaves = await house.leaves(run)
    wanted = [leaf for leaf in leaves if leaf["type"] in {"run.started", "run.completed"}]
    assert len(wanted) == 2
    assert sorted(siem.ids) == sorted(leaf["id"] for leaf in wanted)
    assert siem.ids == [each["id"] for each in siem.got]
    assert siem.heads[0]["content-type"] == "application/cloudevents+json"
    message = next(each for each in siem.got if each["type"] == "newel.run.completed.v1")
    assert message["subject"] == f"run/{house.reference(run)}"
    assert message["source"].startswith("urn:newel:")
    assert (message["specversion"], message["newelseq"]) == ("1.0", len(leaves))
    assert message["data"]["run_state"] == "completed"
    assert message["data"]["process"]["name"] == "greeting"
    assert "O'Brien" not in json.dumps(siem.got)


async def test_nothing_personal_leaves(build):
    """Names, addresses, comments and reasons stay here, whatever an endpoint is told of."""
    secret = ["Zoë O'Hara 🦊", "zoe@example.com", "because of her leg", "wrong person", "Maja Q"]
    async with (
        receiving(OLD) as siem,
        build([welcome], endpoints=[told(siem, "*")]) as house,
        house.worker(),
    ):
        person = {"name": secret[0], "email": secret[1]}
        boss = await house.engine.actor("maja.q@example.com", via="api")
        run = await house.start("welcome", person)
        await house.rested(run)
        await house.engine.decide(
            await house.task(run), approved=True, actor=boss, comment=secret[2]
        )
        await house.ended(run)
        other = await house.start("welcome", {"name": secret[0], "email": "z2@example.com"})
        await house.rested(other)
        await house.engine.cancel(other, actor=boss, reason=secret[3])
        await house.ended(other)

        async def accepted() -> bool:
            return all(each[0] == "accepted" for each in await deliveries(house))

        await house.until(accepted)
        told_of = await house.database.fetchval("select count(*) from newel.event")
        owed = await house.database.fetchval("select count(*) from newel.webhook_delivery")
    said = json.dumps(siem.got, ensure_ascii=False)
    assert not [each for each in [*secret, "maja.q", "z2@", "Hello"] if each in said]
    # The endpoint was declared after the first definitions were written down, and no earlier.
    assert len({each["id"] for each in siem.got}) == owed == told_of
    kinds = {each["type"] for each in siem.got}
    assert {"newel.person.registered.v1", "newel.task.decided.v1"} & kinds


async def test_an_attempt_that_fails_is_made_again_under_the_same_id(build):
    """500, then a wait that the receiver asks for, then accepted: one id, each time a new time."""
    async with (
        receiving(OLD, statuses=[500, 503], headers={"retry-after": "600"}) as siem,
        build([greeting], endpoints=[told(siem)]) as house,
    ):
        await house.start("greeting", "A")
        assert await send(house) == [False]
        assert await send(house) == []
        assert 595 < await next_due(house) < 601
        siem.headers.clear()
        # What is signed with a time of tomorrow is refused, so the receiver looks at ours.
        siem.secrets.clear()
        assert await send(house) == [False]
        assert 295 < await next_due(house) < 331
        assert await send(house) == [True]
        assert await deliveries(house) == [("accepted", 3, "answered 204")]
        assert (await endpoint_row(house))["failing_since"] is None
    assert len(siem.ids) == 3 and len(set(siem.ids)) == 1
    assert len({head["webhook-timestamp"] for head in siem.heads}) == 3
    assert siem.got[0] == siem.got[2]


async def test_nothing_that_a_receiver_says_ends_a_worker(build):
    """A wait without end is a day at most, and a fault of one endpoint is only told to the log."""
    async with (
        receiving(OLD, statuses=[503], headers={"retry-after": "9" * 40}) as siem,
        build([greeting], endpoints=[told(siem), told(siem, "run.completed", name="b")]) as house,
    ):
        failed = house.engine.endpoints._attempt

        async def strange(declared: Any, row: Any) -> bool:
            return await failed(declared, row if declared.name == "siem" else None)

        house.engine.endpoints._attempt = strange
        async with house.worker():
            await house.ended(await house.start("greeting", "A"))

            async def answered() -> bool:
                return ("waiting", 1, "answered 503") in await deliveries(house)

            await house.until(answered)
            assert await house.ended(await house.start("greeting", "B")) == "completed"


async def test_a_message_is_given_up_after_ten_attempts_and_sent_again_by_an_operator(build):
    """It stays there with its last answer; sending it again begins anew, under the same id."""
    async with (
        receiving(statuses=[500] * 10) as siem,
        build([greeting], endpoints=[told(siem)]) as house,
    ):
        await house.start("greeting", "A")
        waited = 0.0
        assert await send(house) == [False]
        for _ in range(9):
            waited += await next_due(house)
            assert await send(house) == [False]
        assert 75.5 < waited / 3600 < 84
        assert await deliveries(house) == [("dead", 10, "answered 500")]
        assert (await endpoint_row(house))["dead"] == 1
        assert await house.engine.endpoints.redeliver("siem", actor=OPERATOR) == 1
        assert await house.engine.endpoints.redeliver("siem", actor=OPERATOR) == 0
        assert await send(house) == [True]
        event = UUID(siem.ids[0])
        assert await house.engine.endpoints.redeliver("siem", [event], actor=OPERATOR) == 1
        assert await send(house) == [True]
        (kept,) = await house.engine.endpoints.deliveries("siem", state="accepted")
        assert (kept["event_id"], kept["attempts"]) == (event, 1)
        for name, events in (("siem", [UUID(int=7)]), ("nobody", None)):
            with pytest.raises(NotFound):
                await house.engine.endpoints.redeliver(name, events, actor=OPERATOR)
    assert len(siem.ids) == 12 and len(set(siem.ids)) == 1


async def test_an_endpoint_that_is_gone_is_told_nothing_until_somebody_enables_it(build):
    """C44: 410, no further attempt, a task for its owner; enabled, it gets what it has missed."""
    async with (
        receiving(statuses=[410]) as siem,
        build([greeting], endpoints=[told(siem, owner="security")]) as house,
    ):
        await house.start("greeting", "A")
        assert await send(house) == [False]
        await house.start("greeting", "B")
        await house.move(timedelta(days=2))
        assert await send(house) == []
        assert (await endpoint_row(house))["disabled_for"] == "gone"
        async with house.worker():
            await house.engine.endpoints.look_after()
            asked = "select id, owner, title from newel.task where state = 'open'"

            async def is_asked() -> bool:
                return bool(await house.database.fetch(asked))

            await house.until(is_asked)
            (task,) = await house.database.fetch(asked)
            assert (task["owner"], task["title"]) == ("security", "look at the webhook siem")
            await house.engine.endpoints.enable("siem", actor=OPERATOR)
            await house.engine.endpoints.look_after()

            async def is_through() -> bool:
                states = {each[0] for each in await deliveries(house)}
                return not await house.database.fetch(asked) and states == {"accepted"}

            await house.until(is_through)
        with pytest.raises(NotWaiting):
            await house.engine.endpoints.enable("siem", actor=OPERATOR)
        leaves = await house.database.fetch(
            "select type from newel.event where type like 'admin.webhook%' order by seq"
        )
    # The two, the first of them twice, and the run in which somebody was asked.
    assert len(siem.ids) == 4 and len(set(siem.ids)) == 3
    assert [each["type"] for each in leaves] == [
        "admin.webhook_configured",
        "admin.webhook_disabled",
        "admin.webhook_enabled",
    ]


async def test_what_is_not_public_is_not_spoken_to_and_redirections_are_not_followed(build):
    """C44: a private address is never connected to; a redirection is a failure."""

    async def inner(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "::ffff:127.0.0.1"]

    async with receiving(OLD) as other:
        moved = {"location": other.url}
        async with (
            receiving(OLD, statuses=[302], headers=moved) as siem,
            build(
                [greeting],
                endpoints=[
                    told(siem),
                    endpoint("inner", "https://x.example/", events=("run.started",), signed=SIGNED),
                ],
            ) as house,
        ):
            await house.start("greeting", "A")
            assert await send(house) == [False]
            house.engine.endpoints._sender = Sender(resolve=inner)
            assert await send(house, "inner") == [False]
            answers = {each[2] for each in await deliveries(house)}
    assert answers == {"answered 302", "its address is not on the public internet"}
    assert (len(siem.got), other.got) == (1, [])


async def test_while_a_secret_is_replaced_either_one_proves_a_message(build, monkeypatch):
    """Two signatures; then one secret is gone; without any, nothing is sent and it says why."""
    async with (
        receiving(OLD, NEW) as siem,
        build([greeting], endpoints=[told(siem, signed=BOTH)]) as house,
    ):
        await house.start("greeting", "A")
        assert await send(house) == [True]
        assert len(siem.heads[0]["webhook-signature"].split()) == 2
        _forget(monkeypatch, "OUT_SECRET")
        siem.secrets.remove(OLD)
        await house.start("greeting", "B")
        assert await send(house) == [True]
        _forget(monkeypatch, "OUT_SECRET_NEW")
        await house.start("greeting", "C")
        assert await send(house) == [False]
        assert (await deliveries(house))[-1] == ("waiting", 1, "none of its secrets can be used")
    assert len(siem.got) == 2


def _forget(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from newel.base import secrets

    monkeypatch.delenv(name)
    monkeypatch.setattr(secrets, "_kept", {})


async def test_three_days_without_success_become_a_task_that_success_withdraws(build):
    """The owner is asked once; when the endpoint accepts again, the task is over by itself."""
    tasks = "select run_id, state from newel.task"
    async with (
        receiving(statuses=[500] * 9) as siem,
        build([greeting], endpoints=[told(siem)]) as house,
    ):
        await house.start("greeting", "A")
        for _ in range(9):
            assert await send(house) == [False]
            await next_due(house)

        async def is_asked() -> bool:
            return bool(await house.database.fetch(tasks))

        async def waits(_: Any) -> None:
            await house.until(is_asked)

        siem.on_message = waits
        async with house.worker():

            async def is_over() -> bool:
                await house.engine.endpoints.look_after()
                rows = await house.database.fetch(tasks)
                return [row["state"] for row in rows] == ["withdrawn"]

            await house.until(is_over)
            (row,) = await house.database.fetch(tasks)
            assert await house.ended(row["run_id"]) == "completed"


async def test_two_workers_tell_each_event_once(build):
    """Forty events, two workers and a claim of each: nothing is sent twice, nothing is left."""
    async with (
        receiving(OLD) as siem,
        build([greeting], endpoints=[told(siem, "run.completed"), told(siem, name="b")]) as house,
        house.worker(),
        house.worker(),
    ):
        await asyncio.gather(*(house.start("greeting", f"P{n}") for n in range(40)))

        async def is_through() -> bool:
            states = [each[0] for each in await deliveries(house)]
            return len(states) == 80 and set(states) == {"accepted"}

        await house.until(is_through)
    assert len(siem.ids) == len(set(siem.ids)) == 80


async def test_what_is_refused_is_told_to_nobody(build):
    """An event and who is told of it are written together or not at all."""
    async with (
        receiving(OLD) as siem,
        build([greeting, welcome], endpoints=[told(siem, "*")]) as house,
    ):
        key = {"idempotency_key": "k'1"}
        first = await house.start("greeting", "A", **key)
        assert await house.start("greeting", "A", **key) == first
        person = {"name": "Jane", "email": "jane@example.com"}
        await house.start("welcome", person)
        with pytest.raises(Exception, match="runs for this person already"):
            await house.start("welcome", person)
        unlike = await house.database.fetch(
            "select stream_id, seq from newel.webhook_delivery except "
            "select stream_id, seq from newel.event"
        )
        assert unlike == []


@pytest.mark.parametrize("meanwhile", [204, 503])
async def test_a_late_attempt_does_not_undo_what_another_has_recorded(build, meanwhile):
    """A worker that was frozen while it sent comes back: its failure counts for nothing."""
    async with (
        receiving(OLD, statuses=[meanwhile, 500]) as siem,
        build([greeting], endpoints=[told(siem)]) as house,
    ):
        await house.start("greeting", "A")
        frozen, thawed = asyncio.Event(), asyncio.Event()

        async def freezes(_: Any) -> None:
            if not frozen.is_set():
                frozen.set()
                await thawed.wait()

        siem.on_message = freezes
        late = asyncio.create_task(send(house))
        await asyncio.wait_for(frozen.wait(), PATIENCE_S)
        assert await send(house) == []  # claimed
        await _claims_run_out(house)
        assert await send(house) == [meanwhile == 204]
        before = await house.database.fetch("select * from newel.webhook_delivery")
        thawed.set()
        assert await late == [False]
        assert await house.database.fetch("select * from newel.webhook_delivery") == before
        assert [each[2] for each in await deliveries(house)] == [f"answered {meanwhile}"]
    assert len(set(siem.ids)) == 1


async def _claims_run_out(house: Any) -> None:
    await house.database.execute(
        "update newel.webhook_delivery set claimed_until = clock_timestamp() - interval '1 second' "
        "where claimed_until is not null"
    )


async def test_a_worker_that_is_killed_between_sending_and_recording_loses_nothing(
    build, database_url, tmp_path
):
    """SIGKILL while the receiver has it: it is sent once more, under the same id."""
    async with (
        receiving(OLD) as siem,
        build([greeting], endpoints=[told(siem)]) as house,
    ):
        await house.start("greeting", "A")
        environment = {**os.environ, "URL": database_url, "TO": siem.url}
        environment |= {"KEK": str(tmp_path / "kek")}
        worker = await asyncio.create_subprocess_exec(sys.executable, str(WORKER), env=environment)

        async def kills(_: Any) -> None:
            worker.send_signal(signal.SIGKILL)
            await worker.wait()

        siem.on_message = kills
        assert await asyncio.wait_for(worker.wait(), PATIENCE_S) == -signal.SIGKILL
        assert await deliveries(house) == [("waiting", 1, None)]
        siem.on_message = None
        await _claims_run_out(house)
        assert await send(house) == [True]
        assert await deliveries(house) == [("accepted", 2, "answered 204")]
    assert len(siem.ids) == 2 and len(set(siem.ids)) == 1


async def test_where_data_go_stands_in_the_audit_log(build, database_url, tmp_path):
    """An endpoint is told of when it is declared, declared otherwise, disabled, and retired."""
    entries: list[Any] = []
    async with receiving(OLD) as siem:
        for declared in ([told(siem)], [told(siem)], [told(siem, "access.*")], []):
            async with build([greeting], endpoints=declared) as house:
                if declared and declared[0].events == ("access.*",):
                    with pytest.raises(ReasonMissing):
                        await house.engine.endpoints.disable("siem", actor=OPERATOR, reason=" ")
                    why = {"actor": OPERATOR, "reason": "it's full 🪣"}
                    await house.engine.endpoints.disable("siem", **why)
                    with pytest.raises(NotWaiting):
                        await house.engine.endpoints.disable("siem", **why)
                entries = await house.database.fetch(
                    "select entry from newel.event where type like 'admin.webhook%' order by seq"
                )
        leaves = [json.loads(row["entry"]) for row in entries]
        assert [(each["type"], each["data"].get("events")) for each in leaves] == [
            ("admin.webhook_configured", ["run.started"]),
            ("admin.webhook_configured", ["access.*"]),
            ("admin.webhook_disabled", None),
            ("admin.webhook_retired", None),
        ]
        assert "/in" not in json.dumps(leaves) and "full" not in json.dumps(leaves)


async def test_an_endpoint_is_operated_over_http(build):
    """Seen, disabled with a reason, enabled, and sent again; the path of its address is hidden."""
    async with (
        receiving(OLD, statuses=[500]) as siem,
        build([greeting], endpoints=[told(siem)]) as house,
        _web(house.engine) as web,
    ):
        await house.start("greeting", "A")
        await send(house)
        (shown,) = (await web.get("/webhooks")).json()["endpoints"]
        assert (shown["state"], shown["waiting"], shown["given_up"]) == ("failing", 1, 0)
        assert "/in" not in shown["host"]
        for body, status in (({}, 422), ({"reason": "it's full 🪣"}, 200), ({"reason": "x"}, 409)):
            assert (await web.post("/webhooks/siem/disable", json=body)).status_code == status
        (shown,) = (await web.post("/webhooks/siem/enable")).json()["endpoints"]
        assert shown["state"] == "well"
        (kept,) = (await web.get("/webhooks/siem/deliveries")).json()["deliveries"]
        assert (kept["type"], kept["attempts"], kept["answer"]) == (
            "run.started",
            1,
            "answered 500",
        )
        again = {"events": [kept["event"]]}
        assert (await web.post("/webhooks/siem/redeliver", json=again)).json() == {"due": 1}
        assert (await web.post("/webhooks/siem/redeliver")).json() == {"due": 0}
        await house.database.execute(
            "update newel.webhook_delivery set state = 'dead', next_at = null, ended_at = made_at"
        )
        none: dict[str, list[str]] = {"events": []}
        assert (await web.post("/webhooks/siem/redeliver", json=none)).json() == {"due": 0}
        assert (await web.post("/webhooks/siem/redeliver")).json() == {"due": 1}
        for wrong in ("x", ["x"], [7]):
            answer = await web.post("/webhooks/siem/redeliver", json={"events": wrong})
            assert answer.status_code == 422
        dead = (await web.get("/webhooks/siem/deliveries?state=dead")).json()
        assert dead == {"deliveries": [], "after": None}
        assert (await web.get("/webhooks/nobody/deliveries")).status_code == 404
        assert await send(house) == [True]
        answer = (await web.post("/webhooks/siem/ping")).json()
        assert answer == {"accepted": True, "answer": "answered 204"}
        assert (await web.post("/webhooks/nobody/ping")).status_code == 404
    assert (siem.got[-1]["type"], siem.got[-1]["id"]) == ("newel.ping.v1", siem.ids[-1])


def _web(engine: Any) -> httpx2.AsyncClient:
    app = create_app(engine, settings=Settings())
    transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 50_000))
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1/api/v1")


async def test_what_is_over_is_forgotten_after_a_while(build):
    """Accepted: a week; given up, or waiting for nobody: thirty days."""
    async with (
        receiving(OLD, statuses=[204, 500]) as siem,
        build([greeting], endpoints=[told(siem)]) as house,
    ):
        for name in "AB":
            await house.start("greeting", name)
            await send(house)
        mine = "select count(*) from newel.webhook_delivery where attempts > 0"
        for days, left in ((6, 2), (2, 1), (24, 0)):
            await house.move(timedelta(days=days))
            await house.engine.endpoints.look_after()
            assert await house.database.fetchval(mine) == left


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"url": "http://siem.example/"}, "not one that messages"),
        ({"url": "https://me:pw@siem.example/"}, "not one that messages"),
        *(
            ({"url": f"https://{each}"}, "not one that messages")
            for each in (
                *("x.example:99999/", "x.example:pw/", "pw..example/", f"{'x' * 64}.example/"),
                *("münchen.example/", "x .example/", "x.example/\n", "[::1/", "[pw]/", "/pw"),
                *("x.example\\@y.example/", "x.example/#pw", "x.example/a b"),
            )
        ),
        ({"url": "ftp://siem.example/", "network": "10.0.0.0/8"}, "not one that messages"),
        ({"events": ("run.ended",)}, r"no event `run\.ended`.*did you mean `run\."),
        ({"events": ("rnu.*",)}, r"did you mean `run\.\*`"),
        ({"events": ()}, "told of nothing"),
        ({"network": "0.0.0.0/0"}, "no inner network"),
        ({"network": "169.254.0.0/16"}, "no inner network"),
        ({"network": "10.1"}, "no inner network"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(given: dict[str, Any], why: str):
    """Each with a sentence that helps; an address is not quoted, its path may be a secret."""
    url = given.pop("url", "https://siem.example/")
    with pytest.raises(DefinitionError, match=why) as refused:
        endpoint("siem", url, **{"events": ("run.*",), "signed": SIGNED, **given})
    assert "pw" not in str(refused.value)


def test_an_endpoint_that_is_printed_keeps_its_path_to_itself():
    """In a log or a traceback: the path may be a secret."""
    made = endpoint("siem", "https://siem.example/s3cret", events=("run.*",), signed=SIGNED)
    assert "s3cret" not in repr(made)


async def test_whoever_declares_an_endpoint_tells_it_whatever_other_code_says(build):
    """Somebody's older checkout, in which it is not declared, stops nobody from being told."""
    async with (
        receiving(OLD) as siem,
        build([greeting], endpoints=[told(siem)]) as house,
    ):
        await house.start("greeting", "A")
        async with build([greeting]) as older:
            await older.start("greeting", "B")
            with pytest.raises(NotFound):
                await older.engine.endpoints.deliveries("siem")
        assert await send(house) == [True]
        assert len(await house.engine.endpoints.deliveries("siem")) == 1


async def test_two_endpoints_of_one_name_are_refused(build):
    """The second would never be told."""
    one = endpoint("siem", "https://siem.example/", events=("run.*",), signed=SIGNED)
    with pytest.raises(DefinitionError, match="Two endpoints are named `siem`"):
        async with build([greeting], endpoints=[one, replace(one)]):
            pass
