"""Access that could not be cut: whoever is asked to cut it by hand is asked until it is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from newel import Absent, Found, Transient, process, step, urgent
from newel.flow.step import Step
from newel.store.tasks import listed
from newel.testing import running
from newel.testing.desk import TicketDesk
from tests.engine.outages import GitHub

THERE: set[str] = set()


async def look(who: str) -> Found[None] | Absent:
    """Say whether the access is gone."""
    return Absent() if who in THERE else Found(None)


@step(verify=look, retry=urgent)
async def take_away(who: str) -> None:
    """Cut what the system does not let go; done where it is gone already."""
    if who in THERE:
        raise Transient("503")


cut = Step(take_away.function, "cut", take_away.options, verify=look, owner=GitHub())


@process(subject=None, owner="it")
async def leaving(who: str) -> None:
    """One access is cut."""
    await cut(who)


async def asked(run: Any) -> list[Any]:
    """Open tasks for work by hand."""
    rows = await run.do(listed(run.engine.database))
    return [row for row in rows if row["process"] == "newel.revoke-by-hand"]


async def test_work_by_hand_is_asked_for_again_until_the_access_is_gone():
    """Said to be done and still there: a new task that says so; once it is gone, none is left."""
    THERE.add("leo")
    async with running(leaving.request("leo")) as run:
        run.clock.advance(timedelta(minutes=6))
        assert set(run.parked()) == {"cut"}
        run.clock.advance(timedelta(minutes=2))
        [first] = await asked(run)
        operator = await run.do(run.engine.actor("ops@acme.example", via="console"))
        await run.do(run.engine.fill(first["id"], actor=operator, note="Deleted in the console."))
        assert await asked(run) == []
        run.clock.advance(timedelta(minutes=6))
        [again] = await asked(run)
        assert "still sees the access" in again["instructions"]
        THERE.clear()
        await run.do(run.engine.fill(again["id"], actor=operator, note="Deleted it once more."))
        assert run.state == "completed"
        run.clock.advance(timedelta(hours=2))
        assert await asked(run) == []


async def test_a_channel_that_is_down_takes_nothing_back():
    """The reminder after 15 minutes reaches nobody: the task stays, and the next one is sent."""
    THERE.add("leo")
    chat = TicketDesk("chat")
    chat.is_tracker = False
    async with running(leaving.request("leo"), desk=chat) as run:
        run.clock.advance(timedelta(minutes=8))
        [task] = await asked(run)
        chat.is_down = True
        run.clock.advance(timedelta(minutes=30))
        assert [each["id"] for each in await asked(run)] == [task["id"]]
        chat.is_down = False
        run.clock.advance(timedelta(hours=1))
        assert chat.opened[-1].endswith("(an hour later)")
        THERE.clear()
        run.clock.advance(timedelta(minutes=10))
        assert run.state == "completed"
        assert await asked(run) == []
