"""Erasing a person: asked by one, agreed by another; nothing readable is left, all proofs hold."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from newel import Account, Person, approval, days, process, step, team, timer
from newel.base.errors import InvalidInput, NotFound, NotWaiting, SelfApproval
from newel.base.ids import reference
from newel.engine.erasing import person_of
from newel.engine.key_holder import KeyHolder
from newel.engine.verifying import Trusted, verified
from newel.store.export import snapshot
from tests.engine.house import OPERATOR

CANARIES = ("Zebulon", "Quixote", "zq@acme.example", "E-98765", "left for Tahiti", "zebuq")


@step(system="wiki", grants="account", in_doubt="repeat")
async def give(person: Person) -> Account:
    """Give the account."""
    return Account(system="wiki", id="u7", handle="zebuq")


@step(system="wiki", revokes="account", in_doubt="repeat")
async def remove(person: Person) -> None:
    """Delete it."""


@step
async def told(person: Person) -> str:
    """Give back something personal."""
    return f"{person.name} left for Tahiti"


@process(owner="it")
async def employment(person: Person) -> str:
    """A yes, an account, a while, and its end."""
    await approval("agreed", by=team("it"), title=f"May {person.name} come?")
    await give(person)
    await timer("leave", after=days(30))
    await remove(person)
    return await told(person)


async def found(database):
    """Which canaries stand anywhere in the database, but for the source of this very test."""
    hits = set()
    tables = await database.fetch(
        "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname = 'newel' and c.relkind = 'r' and c.relname <> 'definition'"
    )
    for table in tables:
        rows = await database.fetch(f"select t::text as line from newel.{table['relname']} t")
        text = "\n".join(row["line"] for row in rows).lower()
        for canary in CANARIES:
            if canary.lower() in text or canary.encode().hex() in text:
                hits.add((canary, table["relname"]))
    return hits


async def test_a_person_is_gone_and_every_proof_holds(build, database, tmp_path):
    """Nobody can read anything about them any more, and the log verifies as before."""
    holder = KeyHolder(tmp_path / "log")
    async with build([employment], key_holder=holder) as house, house.worker():
        engine = house.engine
        alice = await engine.actor("alice@acme.example", via="api")
        bob = await engine.actor("bob@acme.example", via="api")
        zebulon = {"name": "Zebulon Quixote", "email": "zq@acme.example", "hr_key": "E-98765"}
        run = await house.start("employment", zebulon)
        await house.rested(run)
        person = (await house.row(run))["subject"]
        with pytest.raises(NotWaiting):
            await engine.erasing.ask(person, why="request", actor=alice)
        comment = "He left for Tahiti before."
        task = await house.task(run)
        await engine.decide(task, approved=True, actor=alice, comment=comment)
        await house.rested(run)
        await house.move(timedelta(days=30))
        assert await house.ended(run) == "completed"
        await engine.sequencer.seal()
        assert {canary for canary, _ in await found(database)} >= {"Zebulon", "E-98765"}
        with pytest.raises(InvalidInput):
            await engine.erasing.ask(person, why="request", actor=OPERATOR)
        asking = await engine.erasing.ask(person, why="request", actor=alice)
        house.poke()
        await house.rested(asking)
        agree = await house.task(asking)
        with pytest.raises(SelfApproval):
            await engine.decide(agree, approved=True, actor=alice)
        await engine.decide(agree, approved=True, actor=bob)
        assert await house.ended(asking) == "completed"
        await engine.sequencer.seal()
        assert await found(database) == set()
        again = await engine.erasing.erase(person, second="per_x")
        assert (again.runs, again.keys) == (0, 0)
        keys = await database.fetch(
            "select wrapped from newel.person_key where person = $1", person
        )
        assert [row["wrapped"] for row in keys] == [None]
        async with snapshot(house.database) as seen:
            report = await verified(seen.connection, Trusted(policy=holder.policy))
        assert report.code() == 0, report.as_text()
        [row] = await database.fetch("select entry from newel.event where type = 'subject.erased'")
        leaf = json.loads(row["entry"])
        assert leaf["subject"] == reference("per", person)
        assert leaf["data"]["second"] == bob.person
        assert leaf["data"]["keys"] == leaf["data"]["runs"] == 1


@pytest.mark.parametrize("named", ["per_x", "run_01m8kb82zfe9q9bzt5xvcmecp5", "Leo"])
def test_only_a_person_can_be_named(named):
    """What is no reference of a person is nobody."""
    with pytest.raises(NotFound):
        person_of(named)
