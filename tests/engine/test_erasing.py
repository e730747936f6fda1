"""Erasing a person: two want it, nothing is open, and nothing of them is left in the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from newel import Account, Event, Person, approval, form, process, spawn, step, team
from newel.base.errors import (
    InvalidInput,
    NotAllowed,
    NotFound,
    NotWaiting,
    ReasonMissing,
)
from newel.base.ids import parse_reference, reference
from newel.base.settings import Settings
from newel.engine.event_export import FORMS
from newel.engine.exporting import Exports
from newel.engine.key_holder import KeyHolder
from newel.engine.sequencer import Sequencer
from newel.engine.verifying import Trusted, verified
from newel.store.export import snapshot
from newel.web.app import create_app
from tests.browsing import at_home
from tests.engine.house import House
from tests.engine.test_event_export import OPERATOR, exported
from tests.faults.pooler import behind

JANE = {"name": "Jane O'Canary 🦜", "email": "jane.canary@acme.example", "hr_key": "E-CANARY-7"}
BOB = {"name": "Bob Stays", "email": "bob.stays@acme.example", "hr_key": "E8"}
IBAN = "DE89370400440532013000"
CANARIES = (
    *("O'Canary", "jane.canary", "E-CANARY-7", IBAN, "handle-canary", "comment-canary"),
    *("reason-canary", "outcome-canary", "title-canary", "message-canary", "match-canary"),
    *("note-canary", "instructions-canary", "request-canary"),
)
signed = Event("signed", str)


@dataclass(frozen=True)
class Answer:
    """What a form asks for."""

    note: str


@step(system="wiki", grants="account", in_doubt="repeat")
async def give(person: Person, account: str) -> Account:
    """Give the account."""
    return Account(system="wiki", id=account, handle=account)


@step(in_doubt="repeat")
async def pay(person: Person, iban: str) -> str:
    """Give what is personal back."""
    return f"outcome-canary {iban}"


@step(system="wiki", revokes="account", in_doubt="repeat")
async def suspend(person: Person, account: str) -> Account:
    """Lock it."""
    return Account(system="wiki", id=account, handle=account, state="suspended")


@process(owner="it", subject=None)
async def told(text: str) -> str:
    """A child about nobody, that knows a person's data all the same."""
    return text


@process(owner="it")
async def employment(person: Person, iban: str, account: str) -> str:
    """A yes, an account, a form, a message, a child, an end."""
    await approval(
        "agreed", by=team("it"), title=f"title-canary {iban}", instructions="instructions-canary"
    )
    await give(person, account)
    await form("noted", Answer, by=team("it"))
    await pay(person, iban)
    await spawn(told, f"{person.name} {iban}")
    await signed.wait(match=f"match-canary {iban}")
    await suspend(person, account)
    return f"{person.name} has left"


class Past:
    """A deployment in which two people have a past, sealed."""

    def __init__(self, house: House, holder: KeyHolder, jane: UUID, bob: UUID, run: UUID) -> None:
        self.house, self.holder, self.jane, self.bob, self.run = house, holder, jane, bob, run
        self.erasing = house.engine.erasing

    async def actor(self, name: str) -> Any:
        """Give who acts, by address."""
        return await self.house.engine.actor(f"{name}@acme.example", via="cli")

    async def erase(self) -> Any:
        """Let two people erase Jane."""
        await self.erasing.order(
            self.jane, actor=await self.actor("ann"), reason="She has asked for it: reason-canary"
        )
        return await self.erasing.confirm(self.jane, actor=await self.actor("ben"))

    async def verdict(self) -> Any:
        """Seal and verify."""
        await Sequencer(self.house.database, self.holder).seal()
        async with snapshot(self.house.database) as seen:
            return await verified(seen.connection, Trusted(policy=self.holder.policy))


async def lived(house: House, person: dict[str, str], iban: str) -> UUID:
    """Let somebody be employed, and leave."""
    mary = await house.engine.actor("mary@acme.example", via="api")
    document = {"person": person, "iban": iban, "account": f"handle-canary {iban}"}
    run = await house.start("employment", document, idempotency_key=f"request-canary {iban}")
    await house.rested(run)
    task = await house.task(run)
    await house.engine.decide(task, approved=True, actor=mary, comment="comment-canary")
    await house.rested(run)
    await house.engine.fill(await house.task(run), {"note": "note-canary"}, actor=mary)
    await house.rested(run)
    await house.engine.send(signed, "message-canary", actor=mary, match=f"match-canary {iban}")
    assert await house.ended(run) == "completed"
    await house.until(partial(_is_over, house))
    return run


async def _is_over(house: House) -> bool:
    """Whether nothing goes on any more: what they have spawned ends for itself."""
    return not await house.database.fetchval(
        "select count(*) from newel.run where finished_at is null"
    )


@pytest.fixture
async def past(build, tmp_path):
    """Jane and Bob, both gone, the log sealed."""
    async with build([employment, told]) as house:
        async with house.worker():
            run = await lived(house, JANE, IBAN)
            other = await lived(house, BOB, "other")
        jane, bob = [(await house.row(each))["subject"] for each in (run, other)]
        holder = KeyHolder(tmp_path / "log")
        await Sequencer(house.database, holder).seal()
        yield Past(house, holder, jane, bob, run)


async def dumped(database_url: str, but: Sequence[str] = ("definition",)) -> str:
    """Everything in the database as pg_dump writes it, but bytes so that text shows.

    but: tables that are left out; the definition is the source of a test's processes.
    """
    connection = await asyncpg.connect(behind(database_url))
    await connection.execute("set bytea_output = 'escape'")
    tables = await connection.fetch(
        "select format('%I.%I', table_schema, table_name) as name from information_schema.tables "
        "where table_schema = 'newel' and table_type = 'BASE TABLE' "
        "and table_name <> all($1::text[])",
        but,
    )
    text = ""
    for table in tables:
        rows = await connection.fetch(f"select t::text as line from {table['name']} t")
        text += "\n".join(row["line"] for row in rows)
    await connection.close()
    return text


def found(text: str) -> set[str]:
    """The canaries that a text holds."""
    return {canary for canary in CANARIES if canary in text}


async def test_an_erased_person_is_nowhere_and_every_proof_holds(past, database_url, tmp_path):
    """No name, text or payload is left; the log verifies, clean; others are as they were."""
    before = await dumped(database_url)
    assert {"O'Canary", "jane.canary", "handle-canary", "title-canary"} <= found(before)
    assert (await past.verdict()).code() == 0
    done = await past.erase()
    assert (done.keys, done.runs, done.person) == (1, 2, reference("per", past.jane))
    after = (
        (await dumped(database_url))
        .replace("handle-canary other", "")
        .replace("title-canary other", "")
    )
    bob = {"request-canary", "match-canary", "message-canary", "instructions-canary"}
    assert found(after) <= bob
    assert "E-CANARY-7" not in after
    assert f"request-canary {IBAN}" not in after
    assert f"match-canary {IBAN}" not in after
    report = await past.verdict()
    assert report.code() == 0, report.as_text()
    keys = await past.house.database.fetch("select person, wrapped from newel.person_key")
    assert {row["person"] for row in keys if row["wrapped"] is None} == {past.jane}
    for form_ in FORMS:
        _, text = await exported(past.house, tmp_path / form_, form_)
        assert found(text.decode()) == set()
    exports = Exports(past.house.database, past.house.engine.vault)
    ann = await past.actor("ann")
    out = await exports.deployment(
        tmp_path / "all", actor=ann, reason="To look at it.", is_opened=True
    )
    assert out.unreadable > 0
    tables = [path for path in (tmp_path / "all").rglob("*.jsonl") if path.stem != "definition"]
    opened = "".join(path.read_text("utf-8") for path in tables)
    assert "Bob Stays" in opened
    assert found(opened) & {"O'Canary", IBAN, "jane.canary", "E-CANARY-7"} == set()


async def test_pages_and_answers_name_nobody_who_was_erased(past):
    """Every page about the person and their run still answers, also where it is an error."""
    await past.erase()
    app = create_app(past.house.engine, settings=Settings(company_name="Acme"), zone=UTC)
    run, person = reference("run", past.run), reference("per", past.jane)
    day = (await past.house.row(past.run))["finished_at"].date()
    text = ""
    async with at_home(app) as client:
        for path in (
            *(f"/people/{person}", f"/runs/{run}", "/people", "/runs", "/search?q=Canary"),
            *(f"/api/v1/people/{person}", f"/api/v1/runs/{run}", "/api/v1/runs", "/api/v1/tasks"),
            *(f"/api/v1/runs/{run}/events", f"/api/v1/people/{person}/x", "/nowhere/jane"),
        ):
            answer = await client.get(path)
            assert answer.status_code < 500, f"{path}: {answer.text[:300]}"
            text += answer.text.replace("q=Canary", "")
        for path in (f"/api/v1/runs/{run}/plan", f"/api/v1/runs/{run}/drawing"):
            answer = await client.get(path)
            assert answer.status_code == 410, f"{path}: {answer.text[:300]}"
            text += answer.text
        held = await client.get(f"/api/v1/access?person={person}&on={day}")
    assert person in text
    assert "rased person" in text
    (access,) = held.json()["access"]
    assert (access["name"], access["decision"]["kind"]) == ("Erased person", "approval")
    assert access["decision"]["name"] == "Mary"
    canaries = {"O'Canary", "jane.canary", "E-CANARY-7", IBAN, "comment-canary"}
    assert found(text + held.text) & canaries == set()


async def test_the_log_says_who_wanted_it_and_what_was_emptied(past):
    """Order and erasure are two facts; the text of the reason is sealed for who gave it."""
    await past.erase()
    rows = await past.house.database.fetch(
        "select convert_from(entry, 'UTF8') as leaf from newel.event "
        "where type like 'subject.%' order by seq"
    )
    order, erased = [json.loads(row["leaf"]) for row in rows]
    assert order["reason"]["code"] == "erase"
    assert "reason-canary" not in str(order)
    ann, ben = [(await past.actor(name)).person for name in ("ann", "ben")]
    assert order["actor"]["on_behalf_of"] == erased["actor"]["on_behalf_of"] == ann
    assert erased["data"]["second"] == ben
    assert erased["data"]["order"] == order["id"]
    assert erased["subject"] == reference("per", past.jane)
    counts = erased["data"]["rows"]
    assert {name: counts[name] for name in ("run", "access_grant", "inbox")} == {
        "run": 2,
        "access_grant": 1,
        "inbox": 1,
    }
    gone = await past.house.leaves(past.run)
    assert gone[-1]["type"] == "run.payload_expired"
    assert gone[-1]["data"]["policy"] == "erasure"


async def test_it_takes_two_and_a_reason(past):
    """Neither alone, nor the person, nor nobody, nor too late; and it is done once."""
    ann, ben = await past.actor("ann"), await past.actor("ben")
    jane = await past.house.engine.actor("jane.canary@acme.example", via="cli")
    erasing = past.erasing
    with pytest.raises(ReasonMissing):
        await erasing.order(past.jane, actor=ann, reason=" ")
    for wrong in (OPERATOR, jane):
        with pytest.raises(NotAllowed):
            await erasing.order(past.jane, actor=wrong, reason="Because.")
    with pytest.raises(NotFound):
        await erasing.order(UUID(int=1), actor=ann, reason="Because.")
    with pytest.raises(NotWaiting, match="not ordered"):
        await erasing.confirm(past.jane, actor=ben)
    await erasing.order(past.jane, actor=ann, reason="Because.")
    with pytest.raises(NotWaiting, match="second person already"):
        await erasing.order(past.jane, actor=ben, reason="Because.")
    for wrong in (ann, jane, OPERATOR):
        with pytest.raises(NotAllowed):
            await erasing.confirm(past.jane, actor=wrong)
    await past.house.move(timedelta(hours=25))
    with pytest.raises(NotWaiting, match="not ordered"):
        await erasing.confirm(past.jane, actor=ben)
    await erasing.order(past.jane, actor=ben, reason="Because, again.")
    both = await asyncio.gather(
        *(erasing.confirm(past.jane, actor=ann) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in both) == ["Erased", "NotWaiting"]
    with pytest.raises(NotWaiting, match="erased already"):
        await erasing.order(past.jane, actor=ann, reason="Because.")
    assert (await past.verdict()).code() == 0


async def test_nothing_open_is_erased_and_nobody_comes_back_under_the_reference(past):
    """An open run, its grant and its task stand in the way by name; later starts are refused."""
    ann, ben = await past.actor("ann"), await past.actor("ben")
    await past.erasing.order(past.jane, actor=ann, reason="Because.")
    again = {"person": JANE, "iban": IBAN, "account": "again"}
    async with past.house.worker():
        run = await past.house.start("employment", again)
        with pytest.raises(NotWaiting, match=f"the run {reference('run', run)} .employment."):
            await past.erasing.confirm(past.jane, actor=ben)
        await past.house.rested(run)
        await past.house.engine.decide(await past.house.task(run), approved=True, actor=ann)
        await past.house.rested(run)
        await past.house.engine.cancel(run, reason="She will not come.", actor=ann)
        assert await past.house.ended(run) == "cancelled"
        with pytest.raises(NotWaiting, match=r"the access grt_\w+ .wiki:account."):
            await past.erasing.confirm(past.jane, actor=ben)
    await past.house.database.execute(
        "update newel.access_grant set state = 'revoked', valid_to = valid_from, ended_run = "
        "made_run, ended_key = made_key, ended_seq = made_seq where state = 'active'"
    )
    assert (await past.erasing.confirm(past.jane, actor=ben)).runs == 3
    with pytest.raises(InvalidInput, match="reference of nobody"):
        await past.house.start(
            "employment", {**again, "person": {**JANE, "ref": reference("per", past.jane)}}
        )
    with pytest.raises(InvalidInput, match="no address is given twice"):
        await past.house.start("employment", again)
    new = {**again, "person": {**JANE, "email": "jane2@example.com"}}
    fresh = await past.house.start("employment", new)
    assert (await past.house.row(fresh))["subject"] != past.jane


async def test_a_start_and_an_erasure_at_once_leave_no_open_run_of_an_erased_person(past):
    """Whoever comes first wins: the erasure is refused, or the start is about somebody new."""
    await past.erasing.order(past.jane, actor=await past.actor("ann"), reason="Because.")
    ben = await past.actor("ben")
    again = {"person": JANE, "iban": IBAN, "account": "again"}
    both = await asyncio.gather(
        past.house.start("employment", again),
        past.erasing.confirm(past.jane, actor=ben),
        return_exceptions=True,
    )
    assert not isinstance(both[0], BaseException) or isinstance(both[0], InvalidInput)
    unreadable = await past.house.database.fetchval(
        "select count(*) from newel.run r join newel.person p on p.ref = r.subject "
        "where p.key_state = 'erased' and r.finished_at is null"
    )
    assert unreadable == 0


async def test_cut_off_in_the_middle_nothing_is_erased(past, monkeypatch, database_url):
    """What ends the transaction before it is over leaves everything as it was."""
    await past.erasing.order(past.jane, actor=await past.actor("ann"), reason="Because.")
    before = await dumped(database_url)

    async def cut(*_: object, **__: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr("newel.engine.erasing.write_aside", cut)
    with pytest.raises(ConnectionResetError):
        await past.erasing.confirm(past.jane, actor=await past.actor("ben"))
    assert found(await dumped(database_url)) == found(before)
    assert parse_reference(reference("per", past.jane))[1] == past.jane
