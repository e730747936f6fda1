"""The write door: a batch is written whole, but for runs that somebody else was first with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import LeaseLost
from newel.base.ids import Ids
from newel.domain.change import Beside, Change, Entries, Head, Intent
from newel.engine.operating import with_streams
from newel.engine.starting import Start, born
from newel.engine.vault import Sealer
from newel.flow.process import process
from newel.store import runs, workers
from newel.store.changes import RARE_REFUSED, STREAM_MOVED, _arrays, apply
from newel.store.database import Database
from tests.faults.pooler import behind

NEWEL = Actor(type="system", id="newel")
LEASE = timedelta(seconds=30)


@process(subject=None, owner="it")
async def short() -> None:
    """Nothing."""


@dataclass
class Door:
    """A database, a worker of it, and runs that the worker owns."""

    database: Database
    worker: int
    epoch: int
    ids: Ids = field(default_factory=Ids)
    heads: dict[UUID, Head] = field(default_factory=dict)

    async def apply(self, *changes: Change, as_worker: bool = True) -> dict[UUID, Any]:
        """Write Changes, each batch in a transaction of its own."""
        fence = {"worker": self.worker, "epoch": self.epoch} if as_worker else {}
        async with self.database.transaction() as connection:
            return await apply(connection, changes, **fence)

    def start(self, run: UUID | None = None) -> Change:
        """A Change that starts a run, due at once."""
        new = run or self.ids.run_id()
        change, head, _, _ = born(
            Start(
                run=new,
                process=short,
                version=1,
                arguments={},
                subject=None,
                actor=NEWEL,
                source="api",
                at=datetime.now(UTC),
                sealer=Sealer(None, new),
            ),
            self.ids.event_id,
        )
        self.heads[new] = head
        return change

    async def owned(self, how_many: int) -> list[UUID]:
        """Start runs and claim them."""
        changes = [self.start() for _ in range(how_many)]
        assert await self.apply(*changes, as_worker=False) == {}
        async with self.database.transaction() as connection:
            await runs.claim_ready(
                connection,
                worker=self.worker,
                epoch=self.epoch,
                how_many=99,
                processes={"short": 1},
            )
        return [change.run for change in changes]

    def wait(self, run: UUID, key: str = "pause") -> Change:
        """A Change that opens a wait and lets the run rest."""
        head = self.heads[run]
        entries = Entries(head, self.ids.event_id)
        change = Change(run=run, from_seq=head.seq, state="waiting", release=True)
        entries.add(facts.WaitOpened(kind="timer"), at=datetime.now(UTC), actor=NEWEL, key=key)
        return change.seal(entries, run_state="waiting")

    def intent(self, run: UUID, effect: bytes, key: str = "make") -> Change:
        """A Change that intends an attempt with an effect."""
        head = self.heads[run]
        entries = Entries(head, self.ids.event_id)
        change = Change(run=run, from_seq=head.seq)
        fact = facts.StepStarted(idempotency_key="x", input_fp="00", direction="act")
        now = datetime.now(UTC)
        entries.add(fact, at=now, actor=NEWEL, key=key, attempt=1, round_=1)
        change.intents.append(Intent(key, 1, now, b"0", effect, None, None, None))
        return change.seal(entries, run_state=None)

    async def state(self, run: UUID) -> tuple[str, int]:
        """State and place of a run."""
        row = await self.database.fetchrow("select state, seq from newel.run where id = $1", run)
        assert row is not None
        return row["state"], row["seq"]

    async def count(self) -> int:
        """How many events there are."""
        found: int = await self.database.fetchval("select count(*) from newel.event")
        return found


@pytest.fixture
async def door(database_url):
    """Give a door with a worker whose lease holds."""
    database = await Database.open(database_url)
    try:
        async with database.transaction() as connection:
            worker, epoch = await workers.register(
                connection, host="h", pid=1, version="0", lease=LEASE
            )
        yield Door(database, worker, epoch)
    finally:
        await database.close()


async def test_a_batch_of_many_runs_is_written_in_one_go(door):
    """Every run moves, every event is there, and one row tells the sequencer of all."""
    mine = await door.owned(3)
    assert await door.apply(*[door.wait(run) for run in mine]) == {}
    assert [await door.state(run) for run in mine] == [("waiting", 2)] * 3
    seqs = await door.database.fetchval(
        "select seqs from newel.event_batch order by id desc limit 1"
    )
    assert seqs == [2, 2, 2]


async def test_who_is_told_is_written_with_the_event_and_nothing_where_nobody_is(door):
    """Of a batch in which one run is refused, the others' events are told, and no rare rows hold
    it up; where nobody wants the type, the statement is given nothing more.
    """
    mine = await door.owned(4)
    door.database.listeners["wait.opened"] = ("siem", "board")
    refused = door.wait(mine[0])
    refused.from_seq = 7
    assert _arrays([door.wait(mine[3])], {"run.ended": ("siem",)})[-1] is None
    assert await door.apply(refused, door.wait(mine[1]), door.wait(mine[2])) == {mine[0]: "moved"}
    rows = await door.database.fetch(
        "select d.endpoint, d.stream_id, e.type from newel.webhook_delivery d "
        "left join newel.event e on (e.stream_id, e.seq, e.type) = (d.stream_id, d.seq, d.type)"
    )
    assert {tuple(row) for row in rows} == {
        (name, run, "wait.opened") for name in ("siem", "board") for run in mine[1:3]
    }


async def test_a_stale_epoch_refuses_the_whole_batch(door):
    """Nothing at all is written by a worker that was taken over."""
    mine = await door.owned(2)
    changes = [door.wait(run) for run in mine]
    before = await door.count()
    await door.database.execute(
        "update newel.worker set lease_until = clock_timestamp() - interval '1 second'"
    )
    async with door.database.transaction() as connection:
        assert await workers.take_over(connection) == {door.worker: 2}
    with pytest.raises(LeaseLost):
        await door.apply(*changes)
    assert await door.count() == before
    rows = await door.database.fetch("select worker_id, state, wake_at from newel.run")
    assert {(row["worker_id"], row["state"]) for row in rows} == {(None, "running")}
    assert None not in {row["wake_at"] for row in rows}


@pytest.mark.parametrize("reason", ["moved", "owner", "held", "effect", "exists"])
async def test_a_run_that_does_not_match_is_left_out_and_says_why(door, reason):
    """The others of its batch are written as if it had not been there."""
    mine = await door.owned(3)
    bad, good = mine[0], mine[1:]
    if reason == "effect":
        assert await door.apply(door.intent(good[0], b"same", "other")) == {}
    changes = [door.intent(run, run.bytes) for run in good]
    holding = await asyncpg.connect(behind(door.database.dsn))
    transaction = holding.transaction()
    try:
        match reason:
            case "moved":
                change = door.wait(bad)
                change.from_seq = 7
            case "owner":
                change = door.wait(bad)
                await door.database.execute(
                    "update newel.run set worker_id = 99, worker_epoch = 1 where id = $1", bad
                )
            case "held":
                change = door.wait(bad)
                await transaction.start()
                await holding.execute("select 1 from newel.run where id = $1 for update", bad)
            case "effect":
                change = door.intent(bad, b"same")
            case _:
                subject = door.ids.new()
                change = door.start()
                assert change.born is not None
                change.born["subject"] = subject
                await door.database.execute(
                    "update newel.run set subject = $2 where id = $1", bad, subject
                )
        refused = await door.apply(change, *changes)
        assert refused == {change.run: reason}
        assert [await door.state(run) for run in good] == [
            ("running", 3 if reason == "effect" and run == good[0] else 2) for run in good
        ]
        assert await door.state(bad) == ("running", 1)
        acts = await door.database.fetch("select run_id from newel.open_act where key = 'make'")
        assert {row["run_id"] for row in acts} == set(good)
    finally:
        await holding.close()


async def test_a_refused_run_with_rare_rows_refuses_its_batch(door):
    """It cannot be left out alone, so nothing is written, and the caller halves the batch."""
    one, other = await door.owned(2)
    change = door.wait(one)
    change.from_seq = 7
    row = {"run_id": str(one), "key": "pause", "kind": "timer", "state": "open", "attempt": 0,
           "opened_at": datetime.now(UTC), "due_at": datetime.now(UTC)}  # fmt: skip
    change.also("open_act", row)
    before = await door.count()
    with pytest.raises(asyncpg.PostgresError) as refused:
        await door.apply(change, door.wait(other))
    assert refused.value.sqlstate == RARE_REFUSED
    assert await door.count() == before


async def test_changes_of_one_run_in_one_batch_are_one(door):
    """The last state holds, all events are written, and what was closed again is not open."""
    (run,) = await door.owned(1)
    first = door.intent(run, b"effect")
    head = door.heads[run]
    entries = Entries(head, door.ids.event_id)
    then = Change(run=run, from_seq=head.seq, state="waiting", release=True)
    entries.add(facts.StepCancelled(by="run"), at=datetime.now(UTC), actor=NEWEL, key="make")
    then.closed.append("make")
    then.seal(entries, run_state="waiting")
    assert await door.apply(first, then) == {}
    assert await door.state(run) == ("waiting", 3)
    assert await door.database.fetchval("select count(*) from newel.open_act") == 0
    assert (
        await door.database.fetchval("select worker_id from newel.run where id = $1", run) is None
    )


async def test_a_stream_that_has_moved_refuses_the_change(door):
    """Two writers of one stream that is no run: the second is told, and tries again."""
    change = Change(run=door.ids.new(), from_seq=0, is_aside=True)
    fact = facts.PersonKeyCreated(n=1)
    change.beside.append(Beside("admin", fact, datetime.now(UTC), NEWEL, None, None))
    async with door.database.transaction() as connection:
        await with_streams(connection, change, door.ids.event_id)
        assert await apply(connection, [change]) == {}
    with pytest.raises(asyncpg.PostgresError) as refused:
        await door.apply(change, as_worker=False)
    assert refused.value.sqlstate in {STREAM_MOVED, "23505"}
    assert await door.count() == 1


async def test_a_claim_takes_the_most_urgent_and_skips_what_others_hold(door):
    """Two claimers never get the same run, and a lapsed lease claims nothing."""
    changes = [door.start() for _ in range(6)]
    for number, change in enumerate(changes):
        assert change.born is not None
        change.born["priority"] = (150, 150, 100, 100, 50, 50)[number]
    await door.apply(*changes, as_worker=False)
    async with door.database.transaction() as first:
        taken = await runs.claim_ready(
            first, worker=door.worker, epoch=door.epoch, how_many=2, processes={"short": 1}
        )
        assert set(taken) == {changes[5].run, changes[4].run}
        async with door.database.transaction() as second:
            others = await runs.claim_ready(
                second, worker=door.worker, epoch=door.epoch, how_many=9, processes={"short": 1}
            )
            assert set(others) == {change.run for change in changes[:4]}
    await door.database.execute("update newel.run set worker_id = null, worker_epoch = null, "
                                "wake_at = newel.now()")  # fmt: skip
    for worker, epoch, names in (
        (door.worker, door.epoch + 1, {"short": 1}),
        (door.worker, door.epoch, {"other": 1}),
    ):
        async with door.database.transaction() as connection:
            assert (
                await runs.claim_ready(
                    connection, worker=worker, epoch=epoch, how_many=9, processes=names
                )
                == []
            )


async def test_a_worker_that_comes_back_owns_nothing(door):
    """Another epoch, no runs; what somebody held meanwhile is let go of at the next look."""
    mine = await door.owned(3)
    holding = await asyncpg.connect(behind(door.database.dsn))
    transaction = holding.transaction()
    await transaction.start()
    await holding.execute("select 1 from newel.run where id = $1 for update", mine[0])
    async with door.database.transaction() as connection:
        epoch = await workers.renew(connection, worker=door.worker, lease=LEASE)
    assert epoch is not None
    assert epoch == door.epoch + 1
    await holding.close()
    async with door.database.transaction() as connection:
        strays = await runs.let_go_strays(connection, worker=door.worker, epoch=epoch, held=[])
    owned = await door.database.fetchval(
        "select count(*) from newel.run where worker_id is not null"
    )
    assert (set(strays) >= {mine[0]}, owned) == (True, 0)


async def test_a_worker_comes_back_only_when_its_last_batch_has_ended(door):
    """I5: what was begun under an epoch is committed before there is another, or never."""
    async with door.database.transaction() as under_way:
        await apply(under_way, [door.start()], worker=door.worker, epoch=door.epoch)
        async with door.database.transaction() as beside:
            assert await workers.renew(beside, worker=door.worker, lease=LEASE) is None
    async with door.database.transaction() as connection:
        assert await workers.renew(connection, worker=door.worker, lease=LEASE) == door.epoch + 1
    with pytest.raises(LeaseLost):
        await door.apply(door.start())


_READ = """
select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint from pg_stat_xact_user_tables
where schemaname = 'newel' and relname in ('run', 'open_act')
"""


async def test_who_read_a_run_before_its_owner_heard_of_news_may_not_put_it_back(door):
    """What it was due for was seen by the later reading: the run is due again, not forgotten."""
    [run] = await door.owned(1)
    me = {"worker": door.worker, "epoch": door.epoch}
    async with door.database.transaction() as connection:
        await runs.wake(connection, run)
        assert await runs.heard(connection, run, **me)
    row = await door.database.fetchrow("select seq, readings from newel.run where id = $1", run)
    before = {"seq": row["seq"], "readings": row["readings"] - 1, "wake_at": None, "version": 1}
    await runs.put_back(door.database, run, **me, **before)
    assert await door.database.fetchval(
        "select worker_id is null and wake_at <= newel.now() from newel.run where id = $1", run
    )


async def test_a_batch_reads_only_the_rows_that_it_names(door):
    """A session that planned its batches on empty tables still looks rows up when they are full."""
    many = await door.owned(90)
    async with door.database.transaction() as connection:

        async def written(some: list[UUID], number: int) -> int:
            """Write a batch; answers with how many rows were read for it."""
            batch = [door.intent(run, run.bytes + bytes([number]), f"s{number}") for run in some]
            for change in batch:
                change.closed.append(f"s{number - 1}")
            before = await connection.fetchval(_READ)
            refused = await apply(connection, batch, worker=door.worker, epoch=door.epoch)
            assert refused == {}
            read: int = await connection.fetchval(_READ) - before
            return read

        for number in range(8):
            await written(many, number)
        assert await written(many[:5], 8) <= 5 * 8
