"""Under the strict rule two have to agree on what weakens the record; one is never enough."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import pytest

from newel.base.errors import NotAllowed, NotWaiting, ReasonMissing
from newel.base.ids import parse_reference, reference
from newel.engine.anchors import anchor_of
from newel.engine.four_eyes import Ordered
from newel.engine.key_holder import KeyHolder
from newel.engine.log_keeping import LogKeeping
from newel.engine.verifying import Trusted, verified
from newel.store import erasure
from newel.store.export import snapshot
from tests.engine.house import OPERATOR, opened

WHY = "O'Hara's reason 🦊"


class Strict:
    """A deployment under the strict rule, its log sealed, and three people in it."""

    def __init__(self, house, holder):
        self.house, self.holder = house, holder
        self.hold = house.engine.legal_hold
        self.keeping = LogKeeping(house.database, house.engine.vault, holder, "strict")

    async def actor(self, name):
        """Give who acts, by address."""
        return await self.house.engine.actor(f"{name}@acme.example", via="cli")

    async def told(self, *types):
        """Give the leaves of these types, in order."""
        rows = await self.house.database.fetch(
            "select entry from newel.event where type = any($1) order by occurred_at, seq",
            list(types),
        )
        return [json.loads(row["entry"]) for row in rows]


@pytest.fixture
async def strict(database_url, tmp_path):
    """A house of which the log is sealed and anchored."""
    holder = KeyHolder(tmp_path / "log", anchors=[anchor_of("directory:drawer", tmp_path)])
    house = await opened(
        database_url, tmp_path / "kek", [], key_holder=holder, second_person="strict"
    )
    made = Strict(house, holder)
    for name in ("ann", "ben", "jane"):
        await made.actor(name)
    assert house.engine.sequencer is not None
    await house.engine.sequencer.seal()
    yield made
    await house.database.close()


async def test_a_hold_is_released_by_two(strict):
    """The one who orders it, the one it is about and nobody confirm it; somebody else does."""
    ann, ben, jane = [await strict.actor(name) for name in ("ann", "ben", "jane")]
    whom: UUID = parse_reference(jane.person)[1]
    await strict.hold.set(whom, actor=ann, reason=WHY)
    with pytest.raises(NotWaiting, match="not ordered"):
        await strict.hold.release(whom, actor=ben, confirms=True)
    with pytest.raises(ReasonMissing):
        await strict.hold.release(whom, actor=ann, reason=" ")
    ordered = await strict.hold.release(whom, actor=ann, reason=WHY)
    assert isinstance(ordered, Ordered)
    assert ordered.expires_at == await strict.house.now() + timedelta(hours=24) or (
        timedelta(hours=23) < ordered.expires_at - await strict.house.now()
    )
    with pytest.raises(NotWaiting, match="second person already"):
        await strict.hold.release(whom, actor=ben, reason=WHY)
    for actor, match in ((ann, "a second person"), (jane, "somebody else"), (OPERATOR, "name a")):
        with pytest.raises(NotAllowed, match=match):
            await strict.hold.release(whom, actor=actor, confirms=True)
    assert await strict.told("person.hold_released") == []
    assert await strict.hold.release(whom, actor=ben, confirms=True) is None
    (released,) = await strict.told("person.hold_released")
    (ordering,) = await strict.told("admin.ordered")
    (confirmed,) = await strict.told("admin.confirmed")
    assert confirmed["data"] == {"of": ordering["id"], "verb": "release"}
    assert confirmed["actor"]["on_behalf_of"] == ben.person
    assert released["actor"]["on_behalf_of"] == ann.person
    assert released["data"]["second"] == ben.person
    assert WHY not in json.dumps([ordering, released, confirmed], ensure_ascii=False)
    await strict.house.engine.sequencer.seal()
    async with snapshot(strict.house.database) as seen:
        report = await verified(seen.connection, Trusted(policy=strict.holder.policy))
    assert report.code() == 0, report.as_text()


async def test_an_order_lapses_after_a_day_and_only_what_was_ordered_is_confirmed(strict):
    """A day later nobody confirms it, and it may be ordered anew; another hold was not ordered."""
    ann, ben, jane = [await strict.actor(name) for name in ("ann", "ben", "jane")]
    whom, other = (parse_reference(each.person)[1] for each in (jane, ben))
    for each in (whom, other):
        await strict.hold.set(each, actor=ann, reason=WHY)
    await strict.hold.release(whom, actor=ann, reason=WHY)
    with pytest.raises(NotWaiting, match="not ordered"):
        await strict.hold.release(other, actor=jane, confirms=True)
    await strict.house.move(timedelta(hours=24))
    with pytest.raises(NotWaiting, match="not ordered"):
        await strict.hold.release(whom, actor=ben, confirms=True)
    await strict.hold.release(whom, actor=ben, reason=WHY)
    await strict.hold.release(whom, actor=ann, confirms=True)


async def test_two_who_confirm_at_once_do_it_once(strict):
    """The one is told that nothing is ordered any more; a death before the commit undoes both."""
    ann, ben, jane = [await strict.actor(name) for name in ("ann", "ben", "jane")]
    carl = await strict.actor("carl")
    whom = parse_reference(jane.person)[1]
    await strict.hold.set(whom, actor=ann, reason=WHY)
    await strict.hold.release(whom, actor=ann, reason=WHY)
    real = erasure.release_hold

    async def dies(*_, **__):
        raise ConnectionError

    erasure.release_hold = dies
    try:
        with pytest.raises(ConnectionError):
            await strict.hold.release(whom, actor=ben, confirms=True)
    finally:
        erasure.release_hold = real
    assert await strict.told("admin.confirmed") == []
    done = await asyncio.gather(
        *(strict.hold.release(whom, actor=each, confirms=True) for each in (ben, carl)),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["NoneType", "NotWaiting"]
    assert len(await strict.told("person.hold_released")) == 1


async def test_a_stolen_key_is_given_up_by_two_and_a_planned_change_needs_one(strict):
    """Nothing is made until the second has agreed; the log has both."""
    ann, ben = await strict.actor("ann"), await strict.actor("ben")
    key = (strict.holder.folder / "key").read_text()
    ordered = await strict.keeping.rotate(actor=ann, reason=WHY, is_compromised=True)
    assert isinstance(ordered, Ordered)
    assert not (strict.holder.folder / "key.next").exists()
    with pytest.raises(NotAllowed, match="a second person"):
        await strict.keeping.rotate(actor=ann, is_compromised=True, confirms=True)
    new = await strict.keeping.rotate(actor=ben, is_compromised=True, confirms=True)
    assert isinstance(new, str)
    assert (strict.holder.folder / "key").read_text() != key
    (rotated,) = await strict.told("log.key_rotated")
    assert rotated["data"]["second"] == ben.person
    assert rotated["actor"]["on_behalf_of"] == ann.person
    assert rotated["reason"] == {"code": "compromised"}
    await strict.house.engine.sequencer.seal()
    await strict.house.engine.sequencer.anchoring.anchor()
    await strict.keeping.retire()
    assert isinstance(await strict.keeping.rotate(actor=ann, reason=WHY), str)


async def test_a_head_is_adopted_by_two(strict):
    """A machine without memory signs on only when somebody else has looked, too."""
    ann, ben = await strict.actor("ann"), await strict.actor("ben")
    size = await strict.house.engine.sequencer.seal()
    (strict.holder.folder / "checkpoint.1").unlink()
    assert isinstance(await strict.keeping.adopt(actor=ann, reason=WHY), Ordered)
    assert strict.holder.remembered(1) is None
    assert await strict.keeping.adopt(actor=ben, confirms=True) == size
    (adopted,) = await strict.told("log.head_adopted")
    assert adopted["data"]["second"] == ben.person
    assert reference("per", parse_reference(ben.person)[1]) == ben.person
