"""Roles: the application cannot change its own record, whoever seals can do little else.

All in one test: roles belong to the server, which tests in other programs share.
"""

from __future__ import annotations

import contextlib
import secrets
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from newel.audit.catalogue import LogAnchorFailing, LogAnchorRecovered
from newel.domain.change import Beside
from newel.engine.anchors import anchor_of
from newel.engine.archiving import Archiving, Pruned
from newel.engine.key_holder import KeyHolder
from newel.engine.operating import write_aside
from newel.engine.restore_check import RestoreChecked, recorded
from newel.engine.retention import Retention
from newel.engine.sequencer import Sequencer
from newel.engine.verifying import Trusted, verified
from newel.flow.process import process
from newel.flow.step import step
from newel.store import roles
from newel.store.database import Database, Listeners
from newel.store.export import snapshot
from newel.store.log_events import sealed_in
from newel.store.roles import (
    APP,
    READER,
    RETENTION,
    ROLES,
    SEQUENCER,
    differences,
    missing_roles,
    roles_sql,
)
from newel.store.run_list import Narrowed, listed
from tests.engine.house import OPERATOR, opened
from tests.faults.pooler import behind


@step
async def greet(name: str) -> str:
    """Greet."""
    return name


@process(subject=None)
async def greeting(name: str) -> str:
    """Greet somebody."""
    return await greet(name)


@pytest.fixture
async def logins(database, database_url):
    """Give an address for each role, with a login of this test's own in it."""
    await database.execute(roles_sql())
    await database.execute(roles_sql())
    made = {}
    for role in ROLES:
        name, word = f"{role}_{secrets.token_hex(4)}", secrets.token_hex(8)
        await database.execute(f"create role {name} login password '{word}' in role {role}")
        parts = urlsplit(behind(database_url))  # a pooler knows one login
        there = parts.netloc.rpartition("@")[2]
        made[role] = urlunsplit(parts._replace(netloc=f"{name}:{word}@{there}"))
    yield made
    for url in made.values():
        await database.execute(f"drop role {urlsplit(url).username}")


async def refused(url, *statements):
    """Every statement is refused for want of the right to it."""
    connection = await asyncpg.connect(url)
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


async def exposed(logins, database):
    """A right that a platform gives to everybody gives no row, and no way to write one."""
    await database.execute(
        "grant usage on schema newel to public; "
        "grant select, insert, update, delete on all tables in schema newel to public"
    )
    connection = await asyncpg.connect(logins[READER])
    for table in ("person", "person_key", "task", "received_secret", "event_default", "worker"):
        assert await connection.fetch(f"select 1 from newel.{table}") == [], table
    assert await connection.fetch("select 1 from newel.run") != []
    for statement in ("update newel.run set state = 'failed'", "delete from newel.room"):
        assert (await connection.execute(statement)).endswith(" 0")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("insert into newel.room (name) values ('mine')")
    await connection.close()
    await database.execute(
        "revoke all on schema newel from public; "
        "revoke all on all tables in schema newel from public"
    )


async def line_by_line(logins, database):
    """Run as psql does it, the statements never show a running newel a table without rows."""
    app = await asyncpg.connect(logins[APP])
    await app.execute("set lock_timeout = '20ms'")
    statements = [each for each in roles._lines() if not each.startswith("--")]
    for at, statement in enumerate(statements):
        await database.execute(statement)
        if statement == roles._UNASKED or at % 40 == 0:
            with contextlib.suppress(asyncpg.LockNotAvailableError):
                assert await app.fetchval("select count(*) from newel.deployment") == 1, statement
    await app.close()


async def through_views(database):
    """A view gives no row that its tables would not give."""
    name = f"anon_{secrets.token_hex(4)}"
    await database.execute(
        f"create role {name}; grant usage on schema newel to {name}; "
        f"grant select on all tables in schema newel to {name}; set role {name}"
    )
    for view in sorted(set(roles._made(roles._VIEW))):
        assert await database.fetchval(f"select count(*) from newel.{view}") == 0, view
    await database.execute(f"reset role; drop owned by {name}; drop role {name}")


async def pruned(house, sealing, holder, url):
    """A run of long ago is archived by the application, and pruned by the role for that."""
    ann = await house.engine.actor("ann@acme.example", via="api")
    await house.move(timedelta(days=401))
    assert await Retention(house.engine._operating, timedelta(days=90)).expire() == 1
    async with sealing.transaction() as connection:
        ids = house.engine.vault.ids()
        told = Beside("log", LogAnchorRecovered(target="x"), await house.now(), OPERATOR, None)
        await write_aside(connection, [told] * 256, id_=ids.new(), new_event_id=ids.event_id)
    sequencer = Sequencer(sealing, holder)
    await sequencer.seal()
    assert await sequencer.anchoring.anchor() == 1
    await house.move(timedelta(days=401))
    pruning = await Database.open(url)
    archiving = Archiving(house.engine._operating, holder, timedelta(days=400), pruning)
    why = {"actor": ann, "reason": "Old. 🦊"}
    assert len(await archiving.archive(before=await house.now(), **why)) == 1
    await sequencer.seal()
    done = await archiving.prune(**why)
    assert isinstance(done, Pruned)
    assert (done.runs, done.events) == (1, 2)
    await sequencer.seal()
    await pruning.close()


async def compared(database, database_url):
    """Nothing is missing, and what somebody adds or takes away is named."""
    opened_here = await Database.open(database_url)
    assert await missing_roles(opened_here) == []
    assert await differences(opened_here) == ([], [])
    await database.execute(
        f"grant delete on newel.event to {APP}; revoke select on newel.run from {READER}"
    )
    missing, extra = await differences(opened_here)
    assert [str(each) for each in missing] == ["newel_reader: select on newel.run"]
    assert [str(each) for each in extra] == ["newel_app: delete on newel.event"]
    await database.execute(
        "alter table newel.task disable row level security; "
        "create policy mine on newel.person for select using (true); "
        "drop policy newel_retention_delete on newel.event; "
        "create policy newel_retention_delete on newel.event for delete to newel_retention "
        "using (true); "
        "alter view newel.sealed_event set (security_invoker = off)"
    )
    missing, extra = await differences(opened_here)
    assert {str(each) for each in missing} == {
        "newel_reader: select on newel.run",
        "everybody: row level security on newel.task",
        "everybody: security_invoker on newel.sealed_event",
        "newel_retention: condition for delete on newel.event",
    }
    assert {str(each) for each in extra} == {
        "newel_app: delete on newel.event",
        "everybody: policy for select on newel.person",
        "newel_retention: policy for delete on newel.event",
    }
    await database.execute(roles_sql())
    assert await differences(opened_here) == ([], [])
    await opened_here.close()


async def test_each_role_does_its_own_and_no_more(logins, database, database_url, tmp_path):
    """A worker works, a sequencer seals, a reader verifies; each is refused what is another's."""
    house = await opened(logins[APP], tmp_path / "kek", [greeting])
    async with house.worker():
        run = await house.start("greeting", "O'Hara 🦊")
        assert await house.ended(run) == "completed"
    assert len(await listed(house.database, Narrowed())) == 1
    by_app = Sequencer(house.database, KeyHolder(tmp_path / "app"))
    await by_app._look()
    assert not (tmp_path / "app").exists(), "it may not seal, and does not try"
    told: Listeners = {"log.anchor_failing": ("siem",)}
    sealing = await Database.open(logins[SEQUENCER], listeners=told)
    failing = LogAnchorFailing(target="drawer", misses=3)
    async with sealing.transaction() as connection:
        beside = Beside("log", failing, await house.now(), OPERATOR, None)
        ids = house.engine.vault.ids()
        await write_aside(connection, [beside], id_=ids.new(), new_event_id=ids.event_id)
    assert await database.fetchval("select endpoint from newel.webhook_delivery") == "siem"
    holder = KeyHolder(tmp_path / "log", anchors=[anchor_of("directory:drawer", tmp_path)])
    sealed = await Sequencer(sealing, holder).seal()
    assert sealed == await database.fetchval("select count(*) from newel.event")
    reading = await Database.open(logins[READER])
    await pruned(house, sealing, holder, logins[RETENTION])
    async with snapshot(reading) as seen:
        trusted = Trusted(policy=holder.policy, archive=holder.archive)
        report = await verified(seen.connection, trusted)
    assert report.code() == 0, report.as_text()
    assert not await recorded(reading, RestoreChecked({}, {})), "it may look, and not write"
    assert await recorded(house.database, RestoreChecked({}, {}))
    sealed = await database.fetchval("select max(size) from newel.audit_checkpoint")
    for each in (house.database, sealing, reading):  # whoever ships, exports or proves
        async with each.transaction() as connection:
            assert len([event async for event in sealed_in(connection, 1, sealed)]) == sealed
    for each in (house.database, sealing, reading):
        await each.close()
    await refused(
        logins[APP],
        "update newel.event set entry = ''",
        "delete from newel.event",
        "truncate newel.event",
        "alter table newel.event disable trigger all",
        "delete from newel.event_batch",
        "insert into newel.audit_leaf select log_epoch, 900, stream_id, 900, leaf_hash "
        "from newel.audit_leaf limit 1",
        "update newel.audit_head set size = 0",
        "delete from newel.audit_checkpoint",
        "drop table newel.audit_leaf",
        "create table newel.mine (id int)",
        "update newel.event set payload = null where type = 'run.started'",
    )
    await refused(
        logins[SEQUENCER],
        "update newel.event set payload = null",
        "update newel.audit_leaf set seq = 900",
        "delete from newel.audit_checkpoint",
        "update newel.run set state = 'failed'",
        "select 1 from newel.person",
        "select 1 from newel.person_key",
    )
    await refused(
        logins[RETENTION],
        "delete from newel.event",
        "update newel.event set entry = ''",
        "update newel.event set payload = null",
        "truncate newel.event",
        "delete from newel.audit_leaf",
        "delete from newel.audit_checkpoint",
        "update newel.audit_head set size = 0",
        "update newel.run set state = 'failed'",
        "select 1 from newel.person",
        "select 1 from newel.person_key",
        "select 1 from newel.received_secret",
    )
    await refused(
        logins[READER],
        "insert into newel.event_batch (streams, seqs, leaf_hashes) values ('{}', '{}', '')",
        "select 1 from newel.person",
        "select 1 from newel.person_key",
        "select sha256 from newel.api_key",
        "select title from newel.task",
        "select instructions from newel.task",
        "select 1 from newel.received_secret",
    )
    await exposed(logins, database)
    await line_by_line(logins, database)
    await through_views(database)
    await compared(database, database_url)
