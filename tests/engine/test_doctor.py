"""`newel doctor`: every check speaks when what it checks is broken, and only then."""

from __future__ import annotations

import inspect
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from newel import days, every, process, step, timer
from newel.engine import doctor
from newel.engine.doctor import examined, judged_server
from newel.store import invariants
from newel.store.database import Database
from newel.store.doctor import server_facts
from tests.faults.pooler import behind


@step
async def work() -> None:
    """Work."""


@process(subject=None)
async def waits() -> None:
    """Work, wait, and work again."""
    await work[1]()
    await timer("pause", after=days(1))
    await work[2]()


ALWAYS = {"durability", "synchronous-commit", "superuser", "purpose"}
"""What is said of every database of these tests: careless, its owner a superuser's, a test's."""


@pytest.fixture
async def house(build):
    """Give a deployment with one run that waits."""
    async with build([waits], schedules=[every("0 0 * * *", waits.request())]) as built:
        yield built


async def codes(house) -> set[str]:
    """What the doctor finds beyond what is always so here."""
    return {each.code for each in await examined(house.database)} - ALWAYS


async def resting(house):
    """A run that waits for its timer."""
    run = await house.start("waits")
    async with house.worker():
        await house.rested(run)
    return run


async def test_a_sound_deployment_has_no_findings(house):
    """With a worker at work nothing is said, whatever runs have been through."""
    await house.start("waits")
    async with house.worker():
        run = await house.start("waits")
        await house.rested(run)
        await house.move_to_next(run)
        assert await house.ended(run) == "completed"

        async def is_sound() -> bool:  # the schedule is due by now, and started a moment later
            return await codes(house) == set()

        await house.until(is_sound)


async def sound(house):
    """The facts of a server where all is well."""
    seen = await server_facts(house.database)
    return replace(
        seen,
        is_synced=True,
        writes_full_pages=True,
        synchronous_commit="on",
        is_superuser=False,
    )


@pytest.mark.parametrize(
    ("changed", "code", "level"),
    [
        ({"version": 140_012, "version_text": "14.12"}, "version", "error"),
        ({"is_synced": False}, "durability", "error"),
        ({"writes_full_pages": False}, "durability", "error"),
        ({"synchronous_commit": "off"}, "synchronous-commit", "error"),
        ({"is_vacuumed": False}, "autovacuum", "warning"),
        ({"is_standby": True}, "standby", "error"),
        ({"is_interchanged": True, "is_cached": True}, "pooler", "error"),
        ({"max_connections": 10, "connections": 8}, "connections", "warning"),
        ({"skew": timedelta(seconds=2)}, "clock", "warning"),
        ({"skew": timedelta(seconds=-45)}, "clock", "error"),
        ({"is_superuser": True}, "superuser", "warning"),
        ({"is_public": True}, "public", "error"),
    ],
)
async def test_each_fact_of_the_server_is_judged(house, changed, code, level):
    """One thing changed is one finding."""
    facts = await sound(house)
    assert judged_server(facts) == []
    (found,) = judged_server(replace(facts, **changed))
    assert (found.code, found.level) == (code, level)
    assert found.fix


async def test_a_pooler_is_no_fault_where_it_is_known(house):
    """Without prepared statements connections may be interchanged."""
    facts = await sound(house)
    assert judged_server(replace(facts, is_interchanged=True, is_cached=False)) == []


async def test_facts_are_read_from_the_server(database_url, house):
    """Settings of the database are seen as a new connection has them."""
    await house.database.execute("grant usage on schema newel to public")
    name = await house.database.fetchval("select current_database()")
    await house.database.execute(f'alter database "{name}" set synchronous_commit = on')
    direct = await Database.open(behind(database_url))  # a pooler keeps connections of before
    found = {each.code for each in await examined(direct)}
    await direct.close()
    assert "public" in found
    assert "synchronous-commit" not in found
    pooled = await Database.open(database_url, is_pooled=True)
    assert (await server_facts(pooled)).is_cached is False
    await pooled.close()


async def test_an_older_schema_is_the_only_thing_that_is_said_of_it(house):
    """Where migrations are missing, nothing else is asked of the tables."""
    await house.database.execute("delete from newel.migration where number > 1")
    found = {each.code: each for each in await examined(house.database)}
    assert found["schema"].fix == "newel migrate"
    assert "purpose" not in found


SCHEMA = {
    "indexes": "drop index newel.run_ready",
    "guards": "alter table newel.event disable trigger event_is_append_only",
    "grants": "grant select on newel.person to public",
}


@pytest.mark.parametrize("code", SCHEMA)
async def test_a_schema_that_was_tampered_with_is_found(house, code):
    """A missing index, a guard that is off, a table for everybody."""
    await house.database.execute(SCHEMA[code])
    assert await codes(house) == {code}


async def test_a_guard_that_is_gone_is_found(house):
    """Dropped is worse than disabled."""
    await house.database.execute("drop trigger run_state_needs_event on newel.run")
    assert await codes(house) == {"guards"}


async def test_an_index_that_cannot_be_used_is_found(house):
    """What a failed `create index concurrently` leaves behind is not an index."""
    await house.database.execute(
        "update pg_index set indisvalid = false where indexrelid = 'newel.task_open'::regclass"
    )
    (found,) = [each for each in await examined(house.database) if each.code == "indexes"]
    assert found.where == ("task_open",)


async def test_what_a_plan_turned_out_not_to_have_is_found(house):
    """Declared and never proved, and proved once and lost, are two things."""
    await house.database.execute(
        "insert into newel.capability (credential, system, name, checked_at, proved_at) values "
        "('c', 'slack', 'slack.scim', now(), null), "
        "('c', 'slack', 'slack.admin', now(), now() - interval '1 day'), "
        "('c', 'google', 'google.licensing', now(), now())"
    )
    found = await codes(house)
    assert {"capability-absent", "capability-lost"} <= found
    said = [each.what for each in await examined(house.database) if "capability" in each.code]
    assert ["slack.admin" in said[0], "slack.scim" in said[1], len(said)] == [True, True, 2]


async def test_bloat_is_found(house, monkeypatch):
    """A table of dead rows is named."""
    monkeypatch.setattr(doctor, "_DEAD_ROWS", 40)
    await house.database.execute("alter table newel.inbox set (autovacuum_enabled = off);")
    await house.database.execute(
        "insert into newel.inbox (source, event_id, name, digest, payload) "
        "select 's', n::text, 'x', '', '' from generate_series(1, 50) n"
    )
    await house.database.execute("delete from newel.inbox")
    await house.database.execute("analyze newel.inbox")
    await house.database.execute("select pg_stat_force_next_flush()")
    await house.database.execute("select 1")
    assert "bloat" in await codes(house)


async def test_open_runs_without_a_worker_are_found(house):
    """Nobody lives, somebody waits."""
    await resting(house)
    assert await codes(house) == {"workers"}


async def test_workers_of_two_versions_are_found(house):
    """A deploy that was never finished."""
    async with house.worker(), house.worker() as second:
        await house.database.execute(
            "update newel.worker set version = 'old' where id = $1", second.worker
        )
        assert await codes(house) == {"versions"}


async def test_runs_that_no_worker_knows_are_found(house):
    """Their process is in nobody's code."""
    run = await resting(house)
    async with house.worker():
        await house.database.execute("update newel.run set process = 'gone' where id = $1", run)
        (found,) = [each for each in await examined(house.database) if each.code not in ALWAYS]
    assert (found.code, found.where) == ("unknown-process", ("gone",))


async def test_runs_that_nobody_takes_are_found(house):
    """Due for minutes, and still nobody's."""
    await resting(house)
    await house.move(days(1) + timedelta(minutes=3))
    assert await codes(house) == {"late", "workers", "schedule-late"}


async def test_schedules_that_start_nothing_are_found(house):
    """Overdue is an error, refused a warning."""
    await house.database.execute(
        "insert into newel.occurrence (schedule, planned_at, decided_at, refused) "
        "values ('waits', now(), now(), 'there is an open run')"
    )
    (found,) = [each for each in await examined(house.database) if each.code not in ALWAYS]
    assert (found.code, found.level) == ("schedule-refused", "warning")
    await house.move(days(2))
    assert await codes(house) == {"schedule-refused", "schedule-late"}


async def test_endpoints_that_are_told_in_vain_are_found(house):
    """Failing for an hour, gone, and given up: each is a warning."""
    await house.database.execute(
        "insert into newel.webhook_endpoint (name, url_host, events, registered_at, failing_since) "
        "values ('siem', 'siem.example', '{run.*}', now(), now() - interval '61 minutes')"
    )
    assert await codes(house) == {"webhook-failing"}
    await house.database.execute(
        "update newel.webhook_endpoint set disabled_at = now(), disabled_for = 'gone'"
    )
    await house.database.execute(
        "insert into newel.webhook_delivery (endpoint, stream_id, seq, event_id, type, made_at, "
        "state, ended_at) values "
        "('siem', gen_random_uuid(), 1, gen_random_uuid(), 'run.started', now(), 'dead', now())"
    )
    assert await codes(house) == {"webhook-disabled", "webhook-dead"}


UNGUARDED = (
    "alter table newel.event disable trigger user; alter table newel.run disable trigger user"
)
INSERTED = (
    "insert into newel.event (stream_id, seq, type, key, occurred_at, entry) "
    "select id, seq + 1, '{}', 'work[1]', now(), '{{}}' from newel.run"
)
BREACHES = {
    "stuck": "delete from newel.open_act; update newel.run set wake_at = null",
    "abandoned": "update newel.run set worker_id = 99, worker_epoch = 1, wake_at = null",
    "forgotten_intents": "update newel.open_act set kind = 'step', state = 'attempting', "
    "due_at = null, worker_id = 1, intended_at = now()",
    "unintended": "delete from newel.event where type = 'step.started'; "
    "update newel.event set seq = seq - 1 where type <> 'run.started'",
    "doubled": INSERTED.format("step.succeeded"),
    "gaps": "delete from newel.event where type = 'step.started'",
    "misstated": "delete from newel.open_act; update newel.run set state = 'completed', "
    "finished_at = now(), wake_at = null",
    "orphans": "update newel.run set state = 'cancelled', finished_at = now(), wake_at = null",
    "orphaned_tasks": "insert into newel.task (id, run_id, key, kind, title, owner, opened_at, "
    "state) select gen_random_uuid(), id, 'x', 'approval', 't', 'hr', now(), 'open' "
    "from newel.run",
    "doubled_tickets": "with made as (insert into newel.incident (id, fingerprint, system, class, "
    "title, state, lead_run, lead_key, opened_at) select gen_random_uuid(), n::text, 's', 'x', "
    "'t', 'escalated', r.id, 'k', now() from newel.run r, generate_series(1, 2) n returning id) "
    "insert into newel.ticket (incident_id, channel, external_key, run_id) "
    "select id, 'jira', 'OPS-1', id from made",
}


@pytest.mark.parametrize("question", BREACHES)
async def test_every_breach_of_an_invariant_is_found(house, question):
    """The rows are broken on purpose; the question that is about it names the run."""
    run = await resting(house)
    assert await invariants.broken(house.database) == []
    for statement in f"{UNGUARDED}; {BREACHES[question]}".split("; "):
        await house.database.execute(statement)
    found = {each.question: each for each in await invariants.broken(house.database)}
    assert question in found
    assert found[question].invariant == invariants.INVARIANTS[question]
    assert found[question].run == run
    assert question.replace("_", "-") in await codes(house)


def test_every_check_has_a_test_that_makes_it_speak():
    """A code that the doctor can say, and no test names, would be a check nobody has seen fail."""
    source = inspect.getsource(doctor)
    said = {line.strip().strip('",') for line in source.splitlines() if line.strip()[:1] == '"'}
    own = Path(__file__).read_text("utf-8")
    after = [
        source[at + len(name) :].lstrip("( \n").split('"')[1]
        for name in ("_error(", "_warning(", "make(")
        for at in _places(source, name)
        if source[at + len(name) :].lstrip("( \n").startswith('"')
    ]
    assert set(after) <= said
    assert {code for code in after if f'"{code}"' not in own} == set()
    assert set(BREACHES) == set(invariants.INVARIANTS)


def _places(text: str, name: str) -> list[int]:
    found, at = [], text.find(name)
    while at >= 0:
        found.append(at)
        at = text.find(name, at + 1)
    return found
