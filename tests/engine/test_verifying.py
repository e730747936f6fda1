"""`verified`: whatever is changed in the tables, by whomever, the report names it.

Rows T of the tamper matrix that need a database (audit document, §10), and any byte anywhere.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from newel import Account, Person, approval, days, process, step, team, timer
from newel.audit.note import SigningKey
from newel.audit.trust import policy_text
from newel.engine.key_holder import KeyHolder
from newel.engine.sequencer import Sequencer
from newel.engine.verifying import NOT_REPLAYED, REPLAYED, Trusted, verified, verifier
from newel.store.database import whole
from tests.engine.house import House

LEO = {"name": "Leo O'Malley 🦊", "email": "leo@acme.example", "hr_key": "E77"}
TABLES = (
    "event",
    "audit_leaf",
    "audit_tile",
    "audit_checkpoint",
    "audit_anchor",
    "audit_head",
    "run",
)


@step(system="wiki", grants="account", in_doubt="repeat")
async def give(person: Person) -> Account:
    """Give the account."""
    return Account(system="wiki", id="u7", handle="leo")


@step(system="wiki", revokes="account", in_doubt="repeat")
async def suspend(person: Person) -> Account:
    """Lock it."""
    return Account(system="wiki", id="u7", handle="leo", state="suspended")


@process(owner="it")
async def employment(person: Person) -> str:
    """A yes, an account, a while, and its end."""
    await approval("agreed", by=team("it"))
    await give(person)
    await timer("leave", after=days(30))
    await suspend(person)
    return "left"


class Sealed:
    """A house whose log is sealed, and what its auditor has in a drawer."""

    def __init__(self, house: House, holder: KeyHolder, connection: Any, drawer: Any) -> None:
        self.house, self.holder, self.connection = house, holder, connection
        self.drawer = drawer
        self.trusted = Trusted(policy=holder.policy, anchors=[drawer])

    async def report(self, **other: Any) -> Any:
        """Verify, as of the connection's open transaction."""
        return await verified(self.connection, other.get("trusted", self.trusted))

    @contextlib.asynccontextmanager
    async def tampered(self, *statements: str) -> AsyncIterator[None]:
        """Do something as a superuser with all guards off, and undo it afterwards."""
        with contextlib.suppress(_Undone):
            async with whole(self.connection):
                await unguarded(self.connection)
                for statement in statements:
                    await self.connection.execute(statement)
                yield
                raise _Undone


class _Undone(Exception):
    """Ends a transaction."""


async def unguarded(connection: Any) -> None:
    """Take away what keeps honest hands honest."""
    for table in (*TABLES, "access_grant", "event_default"):
        await connection.execute(f"alter table newel.{table} disable trigger all")
    for row in await connection.fetch(
        "select conrelid::regclass::text as t, conname as c from pg_constraint "
        "where contype in ('c', 'f') and connamespace = 'newel'::regnamespace "
        "and coninhcount = 0 and conrelid::regclass::text <> 'newel.event_default'"
    ):
        await connection.execute(f"alter table {row['t']} drop constraint {row['c']} cascade")


@pytest.fixture
async def sealed(build, database, database_url, tmp_path) -> AsyncIterator[Sealed]:
    """Two employments, one over; all but the last events anchored in a drawer."""
    holder = KeyHolder(tmp_path / "log")
    drawer = tmp_path / "drawer"
    drawer.mkdir()
    async with build([employment]) as house:
        sequencer = Sequencer(house.database, holder)
        mary = await house.engine.actor("mary@acme.example", via="api")
        async with house.worker():
            for n in (1, 2):
                run = await house.start(
                    "employment", {**LEO, "hr_key": f"E7{n}", "email": f"l{n}@x.example"}
                )
                await house.rested(run)
                task = await house.task(run)
                await house.engine.decide(task, approved=True, actor=mary)
                await house.rested(run)
                if n == 1:
                    await house.move(timedelta(days=30))
                    assert await house.ended(run) == "completed"
                await sequencer.seal()
        note = (tmp_path / "log" / "checkpoint.1").read_bytes()
        await sequencer.seal()
        (drawer / "checkpoint").write_bytes(note)
        await house.engine.actor("waits.unsealed@acme.example", via="api")
        yield Sealed(house, holder, database, drawer)


def failed(report: Any) -> set[str]:
    """The checks that failed."""
    return {check for check, result in report.results.items() if result == "fail"}


async def test_an_untouched_log_is_clean(sealed):
    """T25: nothing is found, and the state is the one the log leads to."""
    report = await sealed.report()
    assert report.code() == 0, report.as_text()
    assert {"V03", "V05", "V06", "V08", "V10", "V13", "V14"} <= set(report.results)


ATTACK = re.compile(
    r"-- attack: (?P<name>.+)\n-- found: (?P<checks>.+)\n-- says: (?P<says>.+)\n(?P<sql>[^$]+?)"
    r"(?=\n\n-- attack|\Z)"
)


async def test_tamper_matrix(sealed):
    """Each attack, by a superuser with all guards off, is found by its check and named."""
    attacks = list(ATTACK.finditer((Path(__file__).parent / "attacks.sql").read_text("utf-8")))
    assert len(attacks) > 20
    wrong = []
    for attack in attacks:
        async with sealed.tampered(attack["sql"]):
            report = await sealed.report()
            found = set(attack["checks"].split()) <= failed(report)
            if report.code() != 1 or not found or attack["says"] not in report.as_text():
                wrong.append(f"{attack['name']}: {failed(report)}\n{report.as_text()}")
    assert wrong == [], "\n\n".join(wrong)
    assert (await sealed.report()).code() == 0


async def test_a_payload_that_is_gone_without_a_word_is_undecided(sealed):
    """T14: nothing contradicts, but nobody has said that it would be emptied."""
    async with sealed.tampered("update newel.event set payload = null where type = 'run.started'"):
        report = await sealed.report()
        assert report.code() == 2, report.as_text()
        assert "a payload is gone, and no event says so" in report.as_text()


async def test_whom_it_believes_decides(sealed):
    """A stolen tree under another key fails; who believes nobody gets no clean verdict."""
    other = SigningKey("elsewhere.example/audit/1", bytes(range(32)))
    (sealed.drawer / "policy").write_text(policy_text([other.verifier()]), "utf-8")
    pinned = Trusted(policy=sealed.drawer / "policy")
    assert failed(await sealed.report(trusted=pinned)) == {"V03"}
    blind = await sealed.report(trusted=Trusted(policy=None))
    assert (blind.code(), blind.results["V03"]) == (2, "undecided")
    missing = Trusted(policy=sealed.holder.policy, anchors=[sealed.drawer / "nowhere"])
    with pytest.raises(verifier().Unusable):
        await sealed.report(trusted=missing)


CELLS = {
    "event": ("stream_id", "seq", "type", "key", "occurred_at", "entry", "payload"),
    "audit_leaf": ("leaf_index", "stream_id", "seq", "leaf_hash"),
    "audit_checkpoint": ("size", "root", "note"),
    "audit_head": ("origin", "vkey", "size", "frontier"),
    "audit_stream": ("name", "seq", "head"),
    "event_batch": ("streams", "seqs", "leaf_hashes"),
    "run": ("id", "version", "state", "seq", "head", "process", "subject"),
    "access_grant": ("id", "state", "person", "entitlement", "valid_from", "valid_to"),
    "task": ("id", "run_id", "key", "state", "decision", "decided_by"),
    "definition": ("process", "version", "sha256", "source"),
}
OTHER = {
    "bytea": "set_byte({0}, {1} % length({0}), get_byte({0}, {1} % length({0})) # {2})",
    "text": "overlay({0} placing chr(ascii(substr({0}, 1 + {1} % length({0}), 1)) # 1) "
    "from 1 + {1} % length({0}) for 1)",
    "bigint": "{0} + 1000 + {1}",
    "integer": "{0} + 1 + {1} % 5",
    "uuid": "gen_random_uuid()",
    "timestamp with time zone": "{0} + interval '1 microsecond'",
    "uuid[]": "array_fill(gen_random_uuid(), array[cardinality({0})])",
    "bigint[]": "array_fill(1000::bigint, array[cardinality({0})])",
}


async def test_any_change_of_any_cell_is_found(sealed):
    """One byte, letter, number or name, anywhere in what is sealed or follows from it."""
    chance, missed, many = Random(5), [], 0
    cells = [(table, column) for table, columns in CELLS.items() for column in columns]
    for table, column in [*cells, *chance.choices(cells, k=25)]:
        kind = await sealed.connection.fetchval(
            "select format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = ('newel.' || $1)::regclass and attname = $2",
            table,
            column,
        )
        where = f"{column} is not null"
        if (table, column) == ("event", "key"):
            where += " and convert_from(entry, 'UTF8')::jsonb ? 'step'"
        rows = await sealed.connection.fetch(
            f"select ctid::text from newel.{table} where {where} order by ctid"
        )
        place, at = chance.choice(rows)["ctid"], chance.randrange(10_000)
        new = OTHER[kind].format(column, at, chance.randrange(1, 256))
        change = f"update newel.{table} set {column} = {new} where ctid = '{place}'"
        async with sealed.tampered(change):
            report = await sealed.report()
            many += 1
            if report.code() != 1:
                missed.append(f"{table}.{column} {place} {at}: {report.code()}")
    assert missed == []
    assert many > 50


async def test_every_table_is_replayed_or_has_a_reason(database):
    """A table that is added is compared with the log, or it stands there why it is not."""
    rows = await database.fetch(
        "select c.relname from pg_class c where c.relkind in ('r', 'p') "
        "and c.relnamespace = 'newel'::regnamespace"
    )
    assert {row["relname"] for row in rows} == REPLAYED | set(NOT_REPLAYED)
    assert not REPLAYED & set(NOT_REPLAYED)
    assert all(len(reason) > 10 for reason in NOT_REPLAYED.values())
