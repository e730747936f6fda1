"""Legal hold: nothing of a person is emptied, until somebody releases it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import pytest

from newel.audit.leaf import Actor
from newel.base.errors import NotAllowed, NotFound, NotWaiting, ReasonMissing
from newel.base.ids import reference
from newel.engine.retention import Retention
from newel.store import erasure, files
from tests.engine.meeting import late, waits
from tests.engine.test_erasing import past

__all__ = ["past"]


async def emptied(past):
    """Empty what has had its time, a year later; the runs that are empty then."""
    await past.house.move(timedelta(days=366))
    retention = Retention(past.house.engine._operating, timedelta(days=90))
    while await retention.expire():
        pass
    rows = await past.house.database.fetch(
        "select subject, count(*) as many from newel.run where payload_expired_at is not null "
        "group by 1"
    )
    return {row["subject"]: row["many"] for row in rows}


async def test_what_is_held_outlives_its_time_and_cannot_be_erased(past):
    """Bob's payloads go, Jane's and those of her child about nobody stay; then hers go, too."""
    ann, hold = await past.actor("ann"), past.house.engine.legal_hold
    await hold.set(past.jane, actor=ann, reason="reason-canary")
    with pytest.raises(NotWaiting, match="a legal hold, which somebody has to release"):
        await past.erase()
    # Bob's run, and the child about nobody that it started.
    assert await emptied(past) == {past.bob: 1, None: 1}
    await hold.release(past.jane, actor=ann, reason="It is over.")
    assert await emptied(past) == {past.bob: 1, past.jane: 1, None: 2}
    rows = await past.house.database.fetch(
        "select type, entry from newel.event where type like 'person.hold%' order by occurred_at"
    )
    leaves = [json.loads(row["entry"]) for row in rows]
    assert [row["type"] for row in rows] == ["person.hold_set", "person.hold_released"]
    assert leaves[1]["data"] == {"hold": leaves[0]["id"]}
    assert not any(b"reason-canary" in row["entry"] for row in rows)
    await past.erase()
    assert (await past.verdict()).code() == 0


async def test_a_hold_ordered_before_the_second_person_confirms_stops_the_erasure(past):
    """What was ordered is not carried out; once released, it can be."""
    ann, ben = await past.actor("ann"), await past.actor("ben")
    await past.erasing.order(past.jane, actor=ann, reason="She has asked for it.")
    await past.house.engine.legal_hold.set(past.jane, actor=ben, reason="Case 12.")
    with pytest.raises(NotWaiting, match="legal hold"):
        await past.erasing.confirm(past.jane, actor=ben)
    await past.house.engine.legal_hold.release(past.jane, actor=ben, reason="Over.")
    assert (await past.erasing.confirm(past.jane, actor=ben)).keys == 1


async def test_a_hold_that_cannot_be_is_refused(past):
    """Twice, without a reason, by nobody, of nobody, of none, of somebody erased."""
    ann, hold = await past.actor("ann"), past.house.engine.legal_hold
    nobody = await past.house.engine.actor(None, via="cli")
    with pytest.raises(NotWaiting, match="under no hold"):
        await hold.release(past.jane, actor=ann, reason="Case 12.")
    for given, actor, reason, refusal in (
        (past.jane, ann, " ", ReasonMissing),
        (past.jane, nobody, "Case 12.", NotAllowed),
        (UUID(int=5), ann, "Case 12.", NotFound),
    ):
        with pytest.raises(refusal):
            await hold.set(given, actor=actor, reason=reason)
    await hold.set(past.bob, actor=ann, reason="Case 12.")
    bob = await past.actor("bob.stays")
    assert bob.person == reference("per", past.bob)
    with pytest.raises(NotAllowed, match="somebody else"):
        await hold.release(past.bob, actor=bob, reason="It is over.")
    with pytest.raises(NotWaiting, match="under hold already"):
        await hold.set(past.bob, actor=ann, reason="Case 12.")
    await past.erase()
    with pytest.raises(NotWaiting, match="erased already"):
        await hold.set(past.jane, actor=ann, reason="Case 12.")


async def test_one_run_is_held_alone(past):
    """Its payloads and those of its child about nobody stay; nobody releases a hold about them."""
    ann, hold = await past.actor("ann"), past.house.engine.legal_hold
    with pytest.raises(NotFound, match="run"):
        await hold.set(past.jane, actor=ann, reason="Case 12.", is_run=True)
    await hold.set(past.run, actor=ann, reason="Case 12.", is_run=True)
    with pytest.raises(NotWaiting, match="under hold already"):
        await hold.set(past.run, actor=ann, reason="Case 12.", is_run=True)
    with pytest.raises(NotWaiting, match="a legal hold, which somebody has to release"):
        await past.erase()
    assert await emptied(past) == {past.bob: 1, None: 1}
    jane = Actor(type="person", id=reference("per", past.jane), via="cli")
    with pytest.raises(NotAllowed, match="somebody else"):
        await hold.release(past.run, actor=jane, reason="It is over.", is_run=True)
    await hold.release(past.run, actor=ann, reason="It is over.", is_run=True)
    assert await emptied(past) == {past.bob: 1, past.jane: 1, None: 2}
    rows = await past.house.database.fetch(
        "select entry from newel.event where type like 'person.hold%' order by occurred_at"
    )
    leaves = [json.loads(row["entry"]) for row in rows]
    assert [each["data"].get("run") for each in leaves] == [reference("run", past.run)] * 2
    assert {each["subject"] for each in leaves} == {reference("per", past.jane)}
    await past.erase()
    assert (await past.verdict()).code() == 0


async def test_a_child_about_nobody_that_is_held_stops_the_erasure(past):
    """Erasing would empty it with its parent's."""
    ann, database = await past.actor("ann"), past.house.database
    child = await database.fetchval(
        "select c.id from newel.run c join newel.run p on p.id = c.parent_run "
        "where p.subject = $1 and c.subject is null",
        past.jane,
    )
    await past.house.engine.legal_hold.set(child, actor=ann, reason="Case 12.", is_run=True)
    with pytest.raises(NotWaiting, match="a legal hold, which somebody has to release"):
        await past.erase()
    await past.house.engine.legal_hold.release(child, actor=ann, reason="Over.", is_run=True)
    await past.erase()


@pytest.mark.parametrize("when", ["looked", "locked"])
async def test_a_hold_and_retention_come_one_after_the_other(past, monkeypatch, when):
    """Set while runs are looked for, it is respected; set once they are locked, it waits."""
    ann, hold, holding, waited = await past.actor("ann"), past.house.engine.legal_hold, [], []
    empty = files.empty

    async def held():
        await hold.set(past.jane, actor=ann, reason="Case 12.")

    async def locked(connection, ids):
        monkeypatch.setattr(files, "empty", empty)
        holding.append(asyncio.create_task(held()))
        waited.append(await waits(past.house.database, holding[0]))
        await empty(connection, ids)

    if when == "looked":
        late(monkeypatch, "expiring", held)
        assert await emptied(past) == {past.bob: 1, None: 1}
    else:
        monkeypatch.setattr(files, "empty", locked)
        assert await emptied(past) == {past.bob: 1, past.jane: 1, None: 2}
        assert waited == [True], "it says so only when it holds"
    await asyncio.gather(*holding)


async def test_a_hold_on_a_run_waits_while_a_child_about_nobody_is_emptied(past, monkeypatch):
    """Its child's payloads are its own, and may be emptied in another batch."""
    ann, database, holding, waited = await past.actor("ann"), past.house.database, [], []
    await database.execute(
        "update newel.run set payload_expired_at = newel.now() where subject is not null"
    )
    empty = files.empty

    async def locked(connection, ids):
        setting = past.house.engine.legal_hold.set(
            past.run, actor=ann, reason="Case 12.", is_run=True
        )
        holding.append(asyncio.create_task(setting))
        waited.append(await waits(database, holding[0]))
        await empty(connection, ids)

    monkeypatch.setattr(files, "empty", locked)
    await past.house.move(timedelta(days=366))
    assert await Retention(past.house.engine._operating, timedelta(days=90)).expire() == 2
    assert waited == [True]
    await asyncio.gather(*holding)


async def test_a_hold_on_a_run_and_erasing_come_one_after_the_other(past, monkeypatch):
    """Set while it is asked what stands in the way, it waits until the person is erased."""
    ann, ben, database = await past.actor("ann"), await past.actor("ben"), past.house.database
    await past.erasing.order(past.jane, actor=ann, reason="She has asked for it.")
    in_the_way, holding, waited = erasure.in_the_way, [], []

    async def asked(connection, person):
        found = await in_the_way(connection, person)
        setting = past.house.engine.legal_hold.set(
            past.run, actor=ann, reason="Case 12.", is_run=True
        )
        holding.append(asyncio.create_task(setting))
        waited.append(await waits(database, holding[0]))
        return found

    monkeypatch.setattr(erasure, "in_the_way", asked)
    assert (await past.erasing.confirm(past.jane, actor=ben)).runs == 2
    assert waited == [True]
    await asyncio.gather(*holding)
