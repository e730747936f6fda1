"""Query plans: what runs all the time never scans what is over."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
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
    connection: asyncpg.Connection[asyncpg.Record],
    module: str,
    name: str,
    *values: object,
    small: Collection[str] | None = None,
) -> set[str]:
    """The tables that a block scans from end to end."""
    statement = getattr(queries(module), name)
    found = await connection.fetchval(f"explain (format json) {statement}", *values)
    plan = orjson.loads(found)[0]["Plan"]
    return {
        node["Relation Name"]
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan"
        and node["Relation Name"] not in (SMALL if small is None else small)
    }


SMALL = {
    "deployment",
    "worker",
    "definition",
    "audit_stream",
    "person",
    "person_key",
    "legal_hold",
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
        ("commands", "starters", (run,)),
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


_GRANTS = """
insert into newel.access_grant (id, person, system, entitlement, state, valid_from, reason_kind,
    route, made_run, made_key, made_seq, recorded_at)
select gen_random_uuid(), gen_random_uuid(), 'wiki', 'wiki:account', 'active', now(), 'policy',
    'admin_api', id, 'give', 1, now()
from newel.run where finished_at is not null
"""


async def test_what_a_cancelled_run_left_is_found_from_the_run(filled):
    """Neither all runs that ended nor all that they gave are read for the few cancelled ones."""
    await filled.execute(_GRANTS)
    await filled.execute("analyze")
    assert await scans(filled, "ledger", "left") == set()
    grant = await filled.fetchval("select id from newel.access_grant limit 1")
    assert await scans(filled, "ledger", "came_with", grant) == set()
    assert await scans(filled, "ledger", "ended_of_awaited", "take-back-over") == set()


_HELD = """
insert into newel.open_act (run_id, key, kind, state, opened_at, due_at, reason, owner,
                            credential, system)
select r.id, 'give-up[' || c || ',' || n || ']', 'step', 'parked', now(), null, 'held',
       'admin', 'wiki:' || c, 'wiki'
from (select id from newel.run where finished_at is null limit 50) r,
     generate_series(1, 3) c, generate_series(1, 20) n
"""
_BY_HAND = """
update newel.open_act set kind = 'step', state = 'retrying', event = null, match = null,
    next_at = now() + interval '1 hour', reason = 'again'
where event = 'pause'
"""


async def test_what_is_held_costs_no_look_more_than_a_row_of_each_credential(filled):
    """Three thousand steps are held: each worker asks twice a second whether there are any."""
    await filled.execute(_HELD)
    await filled.execute("vacuum analyze newel.open_act")
    assert await _most_read(filled, "gates", "holding") <= 4
    found = await filled.fetch(queries("gates").holding)
    assert [row["credential"] for row in found] == ["wiki:1", "wiki:2", "wiki:3"]


async def test_what_waits_for_another_attempt_costs_those_asked_by_hand_nothing(filled):
    """Hundreds of steps are tried again in an outage, and nobody is asked for urgent work."""
    await filled.execute(_BY_HAND)
    await filled.execute("vacuum analyze newel.open_act")
    assert await _most_read(filled, "incidents", "urgent_by_hand") == 0


_CROWD = """
insert into newel.person (ref, display_name, work_email, hr_key, search_grams)
select gen_random_uuid(), 'P' || n, 'p' || n || '@acme.example', 'E' || n,
       array['  p', ' p' || n % 10, 'p' || n % 100, substr(md5(n::text), 1, 3),
             substr(md5(n::text), 4, 3)]
from generate_series(1, 20000) n
"""
_TASKS = """
insert into newel.task (id, run_id, key, kind, title, owner, opened_at, due_at, state, decision,
                        decided_by, decided_at)
select gen_random_uuid(), id, 'confirm', 'approval', 'confirm', 'hr', now(), now(),
       case when finished_at is null then 'open' else 'decided' end,
       case when finished_at is not null then 'approve' end,
       case when finished_at is not null then subject end, finished_at
from newel.run
"""
_INCIDENTS = """
insert into newel.incident (id, fingerprint, system, class, title, state, lead_run, lead_key,
                            opened_at, closed_at)
select gen_random_uuid(), 'c/' || n, 'github', 'transient', 'GitHub',
       case when n > 20 then 'closed' else 'watching' end, gen_random_uuid(), 'k', now(),
       case when n > 20 then now() end
from generate_series(1, 20000) n
"""
_INBOX = """
insert into newel.inbox (source, event_id, name, match, payload, digest, taken_by)
select 'bank', n::text, 'paid', 'FIN-' || n, '\\x00', '\\x00',
       case when n > 50 then gen_random_uuid() end
from generate_series(1, 20000) n
"""


async def test_what_people_and_messages_ask_for_scans_nothing_that_grows(filled):
    """Inbox of tasks, delivery, probes, search, status and counts scan no table that grows."""
    for statement in (_CROWD, _TASKS, _INCIDENTS, _INBOX, "vacuum analyze"):
        await filled.execute(statement)
    person = await filled.fetchval("select ref from newel.person limit 1")
    run = await filled.fetchval("select id from newel.run where finished_at is null limit 1")
    three, minute = ["abc", "bcd", "cde"], timedelta(minutes=1)
    blocks: list[tuple[str, str, tuple[object, ...]]] = [
        ("tasks", "opened", (50,)),
        ("messages", "waiting", ("pause", "x", None)),
        ("messages", "waiting", ("pause", None, run)),
        ("messages", "take", ("paid", "FIN-3", run)),
        ("messages", "kept_before", ("bank", "7")),
        ("incidents", "open_incidents", ()),
        ("incidents", "take_due_probes", (minute, minute)),
        ("incidents", "open_by_fingerprint", (["c/3", "c/4"],)),
        ("people", "fitting", ("jane", three, three, 50)),
        ("people", "similar", (three, three, ["abc|bcd"], 600, 60, 60)),
        ("people", "common", (three,)),
        ("people", "read", (person,)),
        ("people", "runs_of", (person, 50)),
        ("people", "latest", (person, 40)),
        ("open_acts", "of_runs", ([run],)),
        ("ledger", "of_person", (person,)),
        ("overview", "overview", (10_001,)),
        ("run_list", "open_counts", (10_001,)),
        ("run_list", "open_counts_of_process", ("review", 10_001)),
        ("run_list", "ended_counts_of_process", ("review", 10_001)),
        ("run_list", "counts_of_subject", (person, None)),
        ("run_list", "moving_ids", (None, None, None, 50, "paused")),
    ]
    crowd = {"person", "task", "incident", "inbox", "run", "event", "open_act"}
    found = [
        (f"{module}.{name}", tables & crowd)
        for module, name, values in blocks
        if (tables := await scans(filled, module, name, *values, small=SMALL - crowd)) & crowd
    ]
    assert found == []


_DELIVERIES = """
insert into newel.webhook_delivery (endpoint, stream_id, seq, event_id, type, made_at, state,
                                    attempts, next_at, ended_at)
select 'siem', gen_random_uuid(), 1, gen_random_uuid(), 'run.started',
       now() - n * interval '1 minute',
       case when n % 1000 = 1 then 'waiting' when n % 1000 = 2 then 'dead' else 'accepted' end, 1,
       case when n % 1000 = 1 then now() end, case when n % 1000 <> 1 then now() end
from generate_series(1, 20000) n
"""


async def test_what_looks_after_webhooks_reads_no_history(filled):
    """Forgetting, looked for each minute, and the lists of the console come from indexes."""
    await filled.execute(_DELIVERIES)
    await filled.execute("vacuum analyze newel.webhook_delivery")
    week, month = (datetime.now(UTC) - timedelta(days=days) for days in (7, 30))
    blocks: list[tuple[str, tuple[object, ...]]] = [
        ("forget", (week, month, 1_000)),
        ("claim", ("siem", 8, 60.0)),
        ("deliveries", ("siem", None, None, None, 25)),
        ("deliveries", ("siem", None, week, uuid4(), 25)),
        ("listed", ()),
    ]
    found = [
        (name, tables)
        for name, values in blocks
        if "webhook_delivery" in (tables := await scans(filled, "endpoints", name, *values))
    ]
    assert found == []


async def test_a_count_reads_no_further_than_to_its_bound(filled):
    """Fifty thousand ended runs are counted up to a hundred, and no more entries are read."""
    for module, name, values in (
        ("run_list", "ended_counts", (100,)),
        ("run_list", "ended_counts_of_process", ("onboarding", 100)),
        ("run_list", "open_counts", (100,)),
        ("overview", "overview", (100,)),
    ):
        statement = getattr(queries(module), name)
        found = await filled.fetchval(f"explain (analyze, format json) {statement}", *values)
        read = [node["Actual Rows"] * node["Actual Loops"] for node in nodes(_plan(found))]
        assert max(read) <= 100, name


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


async def _most_read(
    connection: asyncpg.Connection[asyncpg.Record], module: str, name: str, *values: object
) -> int:
    """How many rows the busiest node of a block's plan reads."""
    statement = getattr(queries(module), name)
    found = await connection.fetchval(f"explain (analyze, format json) {statement}", *values)
    return max(
        int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes(_plan(found))
    )


def _plan(found: str) -> dict[str, Any]:
    plan: dict[str, Any] = orjson.loads(found)[0]["Plan"]
    return plan
