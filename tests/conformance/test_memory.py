"""The database in memory answers as PostgreSQL does: rule by rule, and in any sequence."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from importlib.resources import files

import pytest

from newel.base.errors import StoreError
from newel.store.migrate import migrations
from newel.store.queries import queries
from newel.testing.memory import known
from newel.testing.memory.rules import CHECKS, NOT_HERE, UNIQUE
from newel.testing.memory.schema import defined
from newel.testing.memory.statements.changes import RARE
from tests.conformance.operations import Operations
from tests.conformance.pairs import Pair, in_transaction

PAGES = {
    "access", "audit_log", "confirmations", "doctor", "drawn", "endpoints", "erasure", "export",
    "hr", "invariants", "log_events", "measured", "metrics", "open_acts", "overview", "people",
    "roles", "run_list", "snapshot", "systems", "tables", "unfinished", "webhooks",
}  # fmt: skip
"""Files whose statements only pages, tools, people and other systems ask for: runs in memory need
none of them."""
ONLY_REAL = {
    "deployment.forget_all", "deployment.holder", "deployment.is_made", "deployment.lock_kind",
    "deployment.mark_demo", "deployment.mark_test", "deployment.set_keep_log",
    "journal.empty_payloads", "journal.payload_digests", "journal.prune",
    "ledger.ended_between", "ledger.had_between", "ledger.of_person",
    "kept_tokens.reseal", "kept_tokens.sealed_after",
    "received_secrets.reseal", "received_secrets.sealed_after",
    "registry.keep_key", "registry.rewrap", "registry.stale_keys",
    "runs.expiring", "runs.held", "runs.mark_expired", "runs.mark_pruned", "runs.prunable",
    "runs.listed", "riding.begin", "riding.check", "riding.settle",
}  # fmt: skip
"""Statements about a server, a demo, SQL of a company, or for lists: memory has none of these."""


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[Pair]:
    """Give PostgreSQL and memory, side by side."""
    made = await Pair.open(database_url)
    yield made
    await made.real.close()


def test_every_statement_of_runs_is_answered_in_memory():
    """What workers, verbs and messages ask of the database, memory answers."""
    asked = {
        f"{module}.{name}"
        for file in files("newel.store").iterdir()
        for module, _, ending in [file.name.rpartition(".")]
        if ending == "sql" and module not in PAGES
        for name, _ in queries(module)
    }
    assert sorted(asked - known() - ONLY_REAL) == []
    assert sorted(known() - asked - {"migrate.newest", "endpoints.retire"}) == []


def test_every_named_rule_of_the_schema_has_its_twin():
    """A constraint or unique index that is added to the schema is asked for in memory too."""
    text = re.sub(r"--[^\n]*", "", "\n".join(each.text for each in migrations()))
    named = set(re.findall(r"\bconstraint (\w+)\s+check", text))
    named |= set(re.findall(r"create unique index (\w+)", text))
    twins = {name for rules in (CHECKS, UNIQUE) for each in rules.values() for name in each}
    implicit = {name for name in twins if name.endswith("_key")}
    assert sorted(named - twins - set(NOT_HERE)) == []
    assert sorted(twins - implicit - named) == []


def test_every_kind_of_rare_rows_is_known_in_memory():
    """What `newel.commit_rest` takes, memory takes, in the same order."""
    text = next(each.text for each in migrations() if "commit_batch" in each.name)
    assert list(dict.fromkeys(re.findall(r"if rest \? '(\w+)'", text))) == list(RARE)


async def test_tables_are_read_from_the_migrations(pair: Pair):
    """Names, order and obligation of all columns are those of the real tables."""
    rows = await pair.real.fetch(
        "select c.relname, a.attname, a.attnotnull from pg_attribute a "
        "join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname = 'newel' and c.relkind in ('r', 'p') and a.attnum > 0 "
        "and c.relname <> 'event_default' and not a.attisdropped order by c.relname, a.attnum"
    )
    real: dict[str, list[tuple[str, bool]]] = {}
    for row in rows:
        real.setdefault(row["relname"], []).append((row["attname"], row["attnotnull"]))
    found = {
        table: [
            (name, column.is_required or name in each.key) for name, column in each.columns.items()
        ]
        for table, each in defined().items()
    }
    assert found == real


async def test_a_statement_without_a_name_is_refused(pair: Pair):
    """Memory answers named statements only, and says so."""
    with pytest.raises(StoreError, match="only the named statements"):
        await pair.memory.fetch("select 1")


@pytest.mark.parametrize("seed", range(3))
async def test_any_sequence_of_statements_has_the_same_answers(pair: Pair, seed: int):
    """Random Changes, claims, leases, messages and incidents: the same answers, the same rows."""
    await Operations(pair, seed).play(120)
    await pair.compared()


async def test_a_locked_run_is_skipped_or_waited_for(pair: Pair):
    """A claim and a batch pass over a run that a verb holds; another verb waits for it."""
    operations = Operations(pair, 1)
    await operations.settle_in()
    run = await operations.born()
    for database in (pair.real, pair.memory):
        order: list[str] = []
        holds, may_go = asyncio.Event(), asyncio.Event()

        async def first() -> None:
            async with database.transaction() as connection:  # noqa: B023 - awaited in this turn
                await connection.fetch(queries("runs").locked, run)
                holds.set()  # noqa: B023 - as above
                await may_go.wait()  # noqa: B023 - as above
                order.append("first")  # noqa: B023 - as above

        async def second() -> None:
            async with database.transaction() as connection:  # noqa: B023 - as above
                await connection.fetch(queries("runs").locked, run)
                order.append("second")  # noqa: B023 - as above

        held = asyncio.create_task(first())
        await holds.wait()
        worker, epoch = operations.workers[0]
        claimed = await database.fetch(
            queries("runs").claim_ready, worker, epoch, 10, ["alpha", "beta"], [1, 1]
        )
        refused = await operations.moved(database, run)
        waits = asyncio.create_task(second())
        may_go.set()
        await asyncio.gather(held, waits)
        assert ([dict(row) for row in claimed], refused, order) == (
            [],
            {run: "held"},
            ["first", "second"],
        )


async def test_what_a_transaction_writes_is_seen_when_it_commits(pair: Pair):
    """Others see nothing before the commit, and nothing at all after a rollback."""
    digest = hashlib.sha256(b"").digest()

    for database in (pair.real, pair.memory):

        async def claim(connection: object, *, is_kept: bool) -> list[object]:
            await connection.execute(  # type: ignore[attr-defined]  # a connection of either kind
                queries("registry").claim_request, "s", "k", digest, Operations.RUN
            )
            seen = await database.fetch(queries("registry").known_request, "s", "k")  # noqa: B023 - awaited in this turn
            if not is_kept:
                raise KeyError
            return list(seen)

        with pytest.raises(KeyError):
            await in_transaction(database, lambda each: claim(each, is_kept=False))
        assert await database.fetch(queries("registry").known_request, "s", "k") == []
        assert await in_transaction(database, lambda each: claim(each, is_kept=True)) == []
        found = await database.fetch(queries("registry").known_request, "s", "k")
        assert [row["run_id"] for row in found] == [Operations.RUN]


async def test_two_who_lock_crosswise_meet_as_a_deadlock(pair: Pair):
    """One of two transactions that wait for each other is told so, and the other goes on."""
    operations = Operations(pair, 1)
    await operations.settle_in()
    one, two = await operations.born(), await operations.born()
    for database in (pair.real, pair.memory):
        ends = await asyncio.gather(
            _crosswise(database, one, two), _crosswise(database, two, one), return_exceptions=True
        )
        codes = sorted(str(getattr(end, "sqlstate", end)) for end in ends)
        assert codes == ["40P01", "went on"]


_MEET: dict[int, asyncio.Barrier] = {}


async def _crosswise(database: object, first: object, then: object) -> str:
    barrier = _MEET.setdefault(id(database), asyncio.Barrier(2))
    async with database.transaction() as connection:  # type: ignore[attr-defined]  # either kind
        await connection.fetch(queries("runs").locked, first)
        await barrier.wait()
        await connection.fetch(queries("runs").locked, then)
    return "went on"
