"""Query plans: what runs all the time never scans what is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest

from newel.store.queries import queries

FINISHED = 50_000
OPEN = 500

_FILL = """
insert into newel.run (id, process, version, state, subject, seq, head, last_at, wake_at,
                       started_at, finished_at)
select gen_random_uuid(), 'onboarding', 1,
       case when n <= $1 then 'completed' else 'waiting' end,
       gen_random_uuid(), 1, decode(repeat('00', 32), 'hex'), now(),
       case when n > $1 then now() + n * interval '1 second' end,
       now() - n * interval '1 second',
       case when n <= $1 then now() end
from generate_series(1, $1 + $2) n
"""
_EVENTS = """
insert into newel.event (stream_id, seq, type, key, occurred_at, entry)
select r.id, s, 'step.succeeded', 'x', now(), '{}'::bytea
from newel.run r, generate_series(1, 4) s
"""
_ACTS = """
insert into newel.open_act (run_id, key, kind, state, opened_at, due_at, event, match)
select id, 'pause', 'event', 'open', now(), null, 'pause', id::text
from newel.run where finished_at is null
"""


@pytest.fixture
async def filled(database: asyncpg.Connection[asyncpg.Record]) -> Any:
    """Give a connection to a database with many finished runs and some open ones."""
    await database.execute("insert into newel.definition values ('onboarding', 'x', 1, '', 't')")
    await database.execute(_FILL.replace("$1", str(FINISHED)).replace("$2", str(OPEN)))
    await database.execute(_EVENTS)
    await database.execute(_ACTS)
    await database.execute("analyze")
    return database


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


async def scans(
    connection: asyncpg.Connection[asyncpg.Record], module: str, name: str, *values: object
) -> set[str]:
    """The tables that a block scans from end to end."""
    statement = getattr(queries(module), name)
    found = await connection.fetchval(f"explain (format json) {statement}", *values)
    plan = orjson.loads(found)[0]["Plan"]
    return {
        node["Relation Name"]
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] not in SMALL
    }


SMALL = {
    "deployment",
    "worker",
    "definition",
    "audit_stream",
    "person",
    "person_key",
    "room",
    "system",
    "task",
    "incident",
    "ticket",
    "inbox",
}
"""Tables that hold few rows here, where a scan says nothing."""


async def test_what_runs_all_the_time_scans_no_history(filled):
    """Claiming, looking for what is due or was written to, and messages read open rows only."""
    run = await filled.fetchval("select id from newel.run where finished_at is null limit 1")
    blocks: list[tuple[str, str, tuple[object, ...]]] = [
        ("runs", "claim_ready", (1, 1, 200, ["onboarding"], [1])),
        ("runs", "next_due", ()),
        ("runs", "nudged", (1,)),
        ("runs", "let_go_strays", (1, 1, [run])),
        ("runs", "load", ([run],)),
        ("runs", "locked", (run,)),
        ("runs", "open_of_subject", ("onboarding", uuid4())),
        ("journal", "outcomes", ([run],)),
        ("journal", "open_acts", ([run],)),
        ("journal", "events", (run, 0, 100)),
        ("workers", "lapsed", ()),
        ("workers", "let_go", (1,)),
        ("incidents", "members", (uuid4(),)),
        ("commands", "starter", (run,)),
        ("people", "runs_of", (uuid4(), 50)),
        ("runs", "expiring", (datetime.now(UTC), 50)),
        ("runs", "claim_in_rooms", (1, 1, 200, ["onboarding"], [1])),
        ("run_list", "open_ids", (None, None, None, 50)),
        ("run_list", "all_ids", (None, None, None, 50)),
        ("run_list", "ended_ids", (None, None, None, 50)),
        ("run_list", "stopped_ids", (None, None, None, 50, "failed")),
        ("run_list", "moving_ids", (None, None, None, 50, "parked")),
        ("run_list", "moving_ids", (None, None, None, 50, "retrying")),
        ("run_list", "listed", ([run],)),
    ]
    found = {name: await scans(filled, module, name, *values) for module, name, values in blocks}
    assert {name: tables for name, tables in found.items() if tables} == {}


async def test_the_guard_sees_a_scan(filled):
    """A statement that must read everything is told apart from one that need not."""
    found = await filled.fetchval(
        "explain (format json) select count(*) from newel.run where stint = 7"
    )
    kinds = {node["Node Type"] for node in nodes(orjson.loads(found)[0]["Plan"])}
    assert "Seq Scan" in kinds


async def test_looking_for_what_is_due_reads_one_row_however_many_wait(filled):
    """Twenty thousand waiting runs of two priorities cost what two cost."""
    await filled.execute(_FILL.replace("$1", "0").replace("$2", "20000"))
    await filled.execute("update newel.run set priority = 50 where wake_at is not null and seq = 1")
    await filled.execute(_FILL.replace("$1", "0").replace("$2", "20000"))
    await filled.execute("vacuum analyze newel.run")
    found = await filled.fetchval(
        f"explain (analyze, format json) {queries('runs').next_due}",
    )
    read = [node["Actual Rows"] * node["Actual Loops"] for node in nodes(_plan(found))]
    assert max(read) <= 3


def _plan(found: str) -> dict[str, Any]:
    plan: dict[str, Any] = orjson.loads(found)[0]["Plan"]
    return plan
