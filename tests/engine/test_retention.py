"""Retention: what runs took and gave is emptied in time; what happened stays told and provable."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, timedelta

import asyncpg
import orjson
import pytest

from newel import days, process, step, timer
from newel.store import invariants
from newel.store.overview import overview
from newel.web.console.views.run import run_view
from newel.web.site import Reader

KEPT = timedelta(days=90)


@step
async def tell(what: str) -> str:
    """Give something back."""
    return f"told {what}"


@process(subject=None)
async def short(what: str) -> str:
    """Take something and give something."""
    return await tell(what)


@process(subject=None)
async def long(what: str) -> None:
    """Be open for longer than payloads are kept."""
    await tell(what)
    await timer("later", after=days(400))


@process(subject=None)
async def many(how_many: int) -> None:
    """Take many steps."""
    for _ in range(how_many):
        await tell("x")


@pytest.fixture
async def house(build):
    """Give a deployment that keeps payloads for ninety days."""
    async with build([short, long, many], keep_payloads=KEPT) as built:
        yield built


async def ended(house, how_many=1):
    """Runs that have ended."""
    runs = [await house.start("short", f"secret {n}") for n in range(how_many)]
    async with house.worker():
        for run in runs:
            assert await house.ended(run) == "completed"
    return runs


async def payloads(house, run):
    """The payloads of a run, by place."""
    rows = await house.database.fetch(
        "select seq, payload from newel.event where stream_id = $1 order by seq", run
    )
    return {row["seq"]: row["payload"] for row in rows if row["payload"] is not None}


async def test_payloads_are_emptied_when_their_time_is_over_and_not_before(house):
    """Ninety days after the end the run says which payloads are gone, and none is there."""
    (run,) = await ended(house)
    before = await payloads(house, run)
    leaves = await house.leaves(run)
    await house.move(KEPT - timedelta(minutes=1))
    assert await house.engine.retention.expire() == 0
    await house.move(timedelta(minutes=2))
    assert await house.engine.retention.expire() == 1
    assert await house.engine.retention.expire() == 0
    assert await payloads(house, run) == {}
    *kept, said = await house.leaves(run)
    assert kept == leaves
    assert said["type"] == "run.payload_expired"
    assert said["data"] == {
        "digests": [hashlib.sha256(before[seq]).hexdigest() for seq in sorted(before)],
        "policy": "payloads:90d",
    }
    assert said["prev"] == hashlib.sha256(b"\0" + orjson.dumps(leaves[-1])).hexdigest()


async def test_the_end_of_the_run_stays_as_it_was(house):
    """State and time of the end are not touched, and every invariant holds."""
    (run,) = await ended(house)
    before = await house.row(run)
    await house.move(days(91))
    await house.engine.retention.expire()
    after = await house.row(run)
    assert (after["state"], after["finished_at"]) == ("completed", before["finished_at"])
    assert await invariants.broken(house.database) == []


async def test_open_runs_keep_what_they_need(house):
    """A run that is open for more than a year is replayed from its payloads."""
    run = await house.start("long", "x")
    async with house.worker():
        await house.rested(run)
        await house.move(days(399))
        assert await house.engine.retention.expire() == 0
        await house.move(days(2))
        assert await house.ended(run) == "completed"


async def test_many_are_emptied_in_small_portions_each_once(house):
    """Two who do it at once share the runs."""
    runs = await ended(house, 60)
    await house.move(days(91))
    counts = await asyncio.gather(*(house.engine.retention.expire() for _ in range(3)))
    counts.append(await house.engine.retention.expire())
    counts.append(await house.engine.retention.expire())
    assert sum(counts) == 60
    assert max(counts) <= 50
    for run in runs:
        kinds = [kind for kind, _ in await house.events(run)]
        assert kinds.count("run.payload_expired") == 1


async def test_a_worker_does_it_beside_its_runs(house):
    """Nobody has to ask for it."""
    (run,) = await ended(house)
    await house.move(days(91))
    async with house.worker():

        async def gone() -> bool:
            house.workers[0].notices.tell()
            return await payloads(house, run) == {}

        await house.until(gone)


async def test_nothing_is_emptied_where_all_is_kept(build):
    """Without a limit payloads stay for ever."""
    async with build([short]) as house:
        await ended(house)
        await house.move(days(4000))
        assert await house.engine.retention.expire() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "update newel.event set payload = null where stream_id = $1",
        "update newel.event set payload = '\\x00' where stream_id = $1 and payload is not null",
        "update newel.event set entry = '{}' where stream_id = $1",
        "delete from newel.event where stream_id = $1",
    ],
)
async def test_the_journal_refuses_every_other_change(house, statement):
    """Of a run that is not marked even emptying is refused; marked, everything else still is."""
    (run,) = await ended(house)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await house.database.execute(statement, run)
    await house.database.execute(
        "update newel.run set payload_expired_at = now() where id = $1", run
    )
    if "payload = null" in statement:
        await house.database.execute(f"{statement} and payload is not null", run)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await house.database.execute(
                "update newel.event set payload = '\\x01' where stream_id = $1", run
            )
    else:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await house.database.execute(statement, run)


async def test_the_page_of_a_run_without_payloads_still_reads(house):
    """Its steps, its end and its history are told from the leaves; so is that payloads are gone."""
    (run,) = await ended(house)
    await house.move(days(91))
    reader = Reader(
        database=house.database,
        now=await house.now(),
        zone=UTC,
        overview=await overview(house.database),
        processes=house.engine.processes,
        proposal_of=house.engine.proposal_of,
        plan_of=house.engine.plan,
        ahead_of=house.engine.planner.ahead,
    )
    before = await run_view(reader, run)
    await house.engine.retention.expire()
    after = await run_view(reader, run)
    assert [key.key for key in after.keys] == [key.key for key in before.keys] == ["tell"]
    assert after.run == before.run


async def test_a_run_of_many_payloads_is_emptied_too(house):
    """Its leaves name them all; one of them is longer than a page of the database."""
    run = await house.start("many", 120)
    async with house.worker():
        assert await house.ended(run) == "completed"
    had = await payloads(house, run)
    await house.move(KEPT + timedelta(minutes=1))
    assert await house.engine.retention.expire() == 1
    told = [each for each in await house.leaves(run) if each["type"] == "run.payload_expired"]
    named = [digest for each in told for digest in each["data"]["digests"]]
    assert named == [hashlib.sha256(had[seq]).hexdigest() for seq in sorted(had)]
    assert len(told) == 2
    assert await payloads(house, run) == {}
