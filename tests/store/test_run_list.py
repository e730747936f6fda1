"""The counts of the run list are the lengths of its lists, and both follow the standing."""

from __future__ import annotations

import random
from uuid import UUID

import pytest

from newel.store import run_list
from newel.store.database import Database
from newel.store.queries import queries
from newel.store.run_list import Narrowed

_STANDINGS = ("paused", "parked", "task", "retrying", "running", "waiting",
              "completed", "failed", "cancelled")  # fmt: skip

_RUN = """
insert into newel.run (id, process, version, state, subject, stint, seq, head, last_at, wake_at,
                       parked_reason, parked_with, paused_at, paused_by, worker_id, worker_epoch,
                       room, started_at, finished_at)
values ($1, $2, 1, $3, $4, $5, 1, decode(repeat('00', 32), 'hex'), now(), $6::timestamptz,
        case when $3 = 'parked' then 'held' end, case when $3 = 'parked' then 'hr' end,
        case when $7 then now() end, case when $7 then 'u' end, $8::bigint, $8::bigint, $9, now(),
        case when $3 in ('completed', 'failed', 'cancelled') then now() end)
"""
_ACT = """
insert into newel.open_act (run_id, key, kind, state, attempt, opened_at, intended_at, worker_id,
                            worker_epoch, reason, owner)
values ($1, $2, 'step', $3, $4, now(), now(), 1, 1, $5, 'it')
"""
_TASK = """
insert into newel.task (id, run_id, key, kind, title, owner, opened_at, state)
values ($1, $1, 'confirm', 'approval', 'confirm', 'hr', now(), 'open')
"""


@pytest.fixture
async def many(database, database_url):
    """Give a database with four hundred runs in all that can come together."""
    chance = random.Random(11)
    past, later = await database.fetchrow(
        "select newel.now() - interval '1 hour', newel.now() + interval '1 hour'"
    )
    for number in range(400):
        ref = UUID(int=number + 1)
        state = chance.choice(["waiting"] * 4 + ["parked", "completed", "failed", "cancelled"])
        is_over = state in {"completed", "failed", "cancelled"}
        await database.execute(
            _RUN,
            ref,
            chance.choice(["onboarding", "review", "newel.incident"]),
            state,
            UUID(int=chance.randrange(5)),
            number,
            None if is_over else chance.choice([None, None, past, later]),
            not is_over and chance.random() < 0.1,
            None if is_over or chance.random() < 0.8 else 1,
            chance.choice([None, "room"]),
        )
        if is_over:
            continue
        for place in range(chance.choice([0, 0, 1, 2])):
            kind = chance.choice(["attempting", "retrying", "parked"])
            reason = "outage" if kind == "parked" else chance.choice([None, "place"])
            await database.execute(_ACT, ref, f"k{place}", kind, chance.choice([1, 2]), reason)
        if chance.random() < 0.15:
            await database.execute(_TASK, ref)
    opened = await Database.open(database_url)
    yield opened
    await opened.close()


@pytest.mark.parametrize("process", [None, "review", "newel.incident"])
@pytest.mark.parametrize("subject", [None, UUID(int=3)])
async def test_each_count_is_the_length_of_its_list(many, process, subject):
    """However runs are narrowed, every chip counts the rows behind it, and these stand so."""
    narrowed = {"process": process, "subject": subject}
    counted = await run_list.counts(many, Narrowed(**narrowed))
    rows = {
        standing: await run_list.listed(
            many, Narrowed(standing=standing, **narrowed), how_many=1_000
        )
        for standing in _STANDINGS
    }
    assert {each: counted.get(each, 0) for each in _STANDINGS} == {
        each: len(found) for each, found in rows.items()
    }
    assert all(row["standing"] == each for each, found in rows.items() for row in found)
    assert subject or all(rows.values())


async def test_nothing_is_counted_further_than_to_the_bound(many):
    """With a bound of four each count is four at most, and exact below it."""
    sql = queries("run_list")
    exact = await run_list.counts(many, Narrowed())
    rows = await many.fetch(sql.open_counts, 4) + await many.fetch(sql.ended_counts, 4)
    assert {row["standing"]: row["how_many"] for row in rows} == {
        standing: min(count, 4) for standing, count in exact.items()
    }
    review = await run_list.counts(many, Narrowed(process="review"))
    rows = await many.fetch(sql.open_counts_of_process, "review", 4)
    rows += await many.fetch(sql.ended_counts_of_process, "review", 4)
    assert {row["standing"]: row["how_many"] for row in rows} == {
        standing: min(count, 4) for standing, count in review.items()
    }
