"""The sequencer: no gap, no event twice, streams in order, every head of one tree, whoever dies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import asyncpg
import pytest

from newel.base.errors import LogInconsistent
from newel.base.secrets import SecretRef
from newel.engine.key_holder import KeyHolder
from newel.engine.sequencer import Sequencer
from newel.flow.process import process
from newel.flow.step import step
from newel.store import audit_log
from newel.store.database import Connection, Database
from tests.engine.sealing import append, assert_sealed, sequencer, writing
from tests.faults.pooler import behind


class Dying(Database):
    """A database whose connection breaks at the n-th statement that is asked of it."""

    left = 0

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Give a connection that counts."""
        async with super().transaction() as connection:
            yield _Breaking(connection, self)  # type: ignore[misc]  # as much of one as is needed


class _Breaking:
    def __init__(self, connection: Any, owner: Dying) -> None:
        self._connection, self._owner = connection, owner

    def __getattr__(self, name: str) -> Any:
        self._owner.left -= 1
        if self._owner.left == 0:
            self._connection.terminate()
        return getattr(self._connection, name)


async def test_killed_at_every_statement(database_url, database, tmp_path):
    """Wherever a sequencer dies, the next goes on: nothing is lost, placed twice or forked."""
    async with sequencer(database_url, tmp_path, Dying) as dying:
        for at in range(1, 40):
            await append(database, f"system/{at % 3}", many=at % 5 + 1)
            dying._database.left = at
            try:
                await dying.seal()
            except (asyncpg.InterfaceError, asyncpg.PostgresConnectionError):
                continue
            if dying._database.left > 0:
                break
        else:
            pytest.fail("it was never alive to its end")
        assert at > 10
        dying._database.left = 0
        await dying.seal()
    assert await assert_sealed(database, tmp_path) > at


async def test_candidates_race_while_transactions_commit_out_of_order(
    database_url, database, tmp_path
):
    """Four candidates and six writers whose transactions overlap: one tree, streams in order."""
    async with contextlib.AsyncExitStack() as stack:
        each = [
            await stack.enter_async_context(sequencer(database_url, tmp_path)) for _ in range(4)
        ]

        async def keeping_on(one: Sequencer, chance: Random) -> None:
            while True:
                await one.seal()
                await asyncio.sleep(chance.random() / 50)

        racing = [asyncio.create_task(keeping_on(one, Random(n))) for n, one in enumerate(each)]
        await asyncio.gather(
            *(writing(database_url, Random(n), turns=20, open_for=0.02) for n in range(6))
        )
        assert not any(task.done() for task in racing)
        for task in racing:
            task.cancel()
        await asyncio.gather(*racing, return_exceptions=True)
        await each[0].seal()
    sizes = await database.fetchval("select count(*) from newel.audit_checkpoint")
    assert sizes > 3, "they never raced"
    assert await assert_sealed(database, tmp_path) >= 120


async def test_a_batch_that_commits_late_gets_a_later_place(database_url, database, tmp_path):
    """A transaction that stays open holds up neither writers nor sealing, and is sealed after."""
    late = await asyncpg.connect(behind(database_url))
    transaction = late.transaction()
    await transaction.start()
    await append(late, "system/late")
    await append(database, "system/early", many=300)
    async with sequencer(database_url, tmp_path) as one:
        assert await one.seal() == 300
        await transaction.commit()
        assert await one.seal() == 301
    await late.close()
    assert await assert_sealed(database, tmp_path) == 301


async def test_a_frozen_sequencer_holds_up_no_writer(database_url, database, tmp_path):
    """Who is frozen with the lock keeps the others from sealing, not from working."""
    await append(database, "log")
    async with sequencer(database_url, tmp_path) as one, sequencer(database_url, tmp_path) as other:
        assert await one.seal() == 1
        async with one._database.transaction() as connection:
            assert await audit_log.may_seal(connection)
            await audit_log.head(connection)
            assert await audit_log.take(connection, at_most=5) == ([], [], [])
            await append(database, "log", many=2)
            assert await other.seal() is None
            idle = await connection.fetchval("show idle_in_transaction_session_timeout")
            assert idle == "10s", "the server ends it"
        assert await other.seal() == 3
    assert await assert_sealed(database, tmp_path) == 3


@pytest.mark.parametrize(
    "change",
    [
        "update newel.audit_leaf set leaf_hash = sha256('x') where leaf_index = 1",
        (
            "delete from newel.audit_leaf where leaf_index > 1; "
            "update newel.audit_head set size = 2, frontier = sha256('x')"
        ),
        "truncate newel.audit_leaf, newel.audit_head, newel.audit_checkpoint, newel.audit_anchor",
    ],
    ids=["changed", "cut", "emptied"],
)
async def test_a_tree_that_is_not_the_signed_one_is_signed_no_more(
    database_url, database, tmp_path, change
):
    """Whatever somebody makes of the tree behind our back, its key signs nothing of it."""
    await append(database, "log", many=5)
    async with sequencer(database_url, tmp_path) as one:
        assert await one.seal() == 5
        before = (tmp_path / "checkpoint.1").read_bytes()
        await database.execute("set session_replication_role = replica")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.execute(change)
        for table in ("audit_leaf", "audit_head", "audit_checkpoint", "audit_anchor"):
            await database.execute(f"alter table newel.{table} disable trigger all")
        await database.execute(change)
        await database.execute("set session_replication_role = origin")
        await append(database, "log", many=5)
    for _ in range(2):  # also for a program that is started anew
        async with sequencer(database_url, tmp_path) as again:
            with pytest.raises(LogInconsistent):
                await again.seal()
    assert (tmp_path / "checkpoint.1").read_bytes() == before
    assert await database.fetchval("select coalesce(max(size), 5) from newel.audit_checkpoint") == 5


async def test_without_its_memory_it_signs_nothing(database_url, database, tmp_path):
    """A log that was signed before is not signed on by who cannot compare."""
    await append(database, "log")
    async with sequencer(database_url, tmp_path) as one:
        await one.seal()
        (tmp_path / "checkpoint.1").unlink()
        await append(database, "log")
        with pytest.raises(LogInconsistent, match="does not remember"):
            await one.seal()


async def test_only_the_key_of_the_log_seals(database_url, database, tmp_path, monkeypatch):
    """Whoever holds another key leaves the log alone; the same key may come by reference."""
    await append(database, "log")
    async with sequencer(database_url, tmp_path / "a") as one:
        assert await one.seal() == 1
    await append(database, "log")
    async with sequencer(database_url, tmp_path / "b") as other:
        assert await other.seal() is None
    assert not (tmp_path / "b").exists(), "it has made no key"
    monkeypatch.setenv("LOG_KEY", (tmp_path / "a" / "key").read_text())
    assert (tmp_path / "a" / "key").stat().st_mode & 0o777 == 0o600
    own = await Database.open(database_url)
    (tmp_path / "c").mkdir()
    (tmp_path / "a" / "checkpoint.1").rename(tmp_path / "c" / "checkpoint.1")
    holder = KeyHolder(tmp_path / "c", key=SecretRef("env:LOG_KEY"))
    assert await Sequencer(own, holder).seal() == 2
    await own.close()
    assert await assert_sealed(database, tmp_path / "a") == 2


@step
async def greet(name: str) -> str:
    """Greet."""
    return name


@process(subject=None)
async def greeting(name: str) -> str:
    """Greet somebody."""
    return await greet(name)


async def test_a_worker_seals_what_it_and_others_write(build, database, tmp_path):
    """Beside the work, every event gets its place and a signed head covers it."""
    async with build([greeting], key_holder=KeyHolder(tmp_path / "log")) as house:
        async with house.worker():
            for run in [await house.start("greeting", f"person {n}") for n in range(3)]:
                assert await house.ended(run) == "completed"
        await house.engine.sequencer.seal()
    assert await assert_sealed(database, tmp_path / "log") > 10
