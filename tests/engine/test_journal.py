"""State and journal never disagree, and nobody can make them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from newel.audit.leaf import leaf_hash, parse
from newel.base.errors import AlreadyStarted, Invalid, RequestError, Transient
from newel.domain.people import Person, team
from newel.engine.verifying import PAYLOADS
from newel.flow.parallel import parallel
from newel.flow.process import Process, process
from newel.flow.regions import section
from newel.flow.step import step
from newel.flow.waits import approval, timer
from tests.engine.house import OPERATOR, House, opened
from tests.engine.outages import GitHub, one
from tests.faults.pooler import behind


async def assert_sound(house: House) -> None:
    """Replay every stream, as of one moment: chained, complete, telling what the tables say."""
    connection = await asyncpg.connect(behind(house.database.dsn))
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await _assert_all(connection)
    finally:
        await connection.close()


async def _assert_all(connection: Any) -> None:
    rows = await connection.fetch(
        "select stream_id, seq, type, key, occurred_at, entry, payload from newel.event "
        "order by stream_id, seq"
    )
    streams: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        streams[row["stream_id"]].append(row)
    heads = await connection.fetch(
        "select id, seq, head, state from newel.run union all "
        "select id, seq, head, null from newel.audit_stream"
    )
    assert {row["id"] for row in heads} == set(streams)
    for head in heads:
        _assert_stream(streams[head["id"]], head)
    batches = await connection.fetch(
        "select streams, seqs, leaf_hashes from newel.event_batch order by id"
    )
    _assert_batches(batches, rows)
    finished = await connection.fetch(
        "select a.key from newel.open_act a join newel.run r on r.id = a.run_id "
        "where r.finished_at is not null"
    )
    assert finished == []


def _assert_stream(rows: list[Any], head: Any) -> None:
    previous, state, last = b"", None, None
    for number, row in enumerate(rows, 1):
        leaf = parse(row["entry"])
        assert (leaf.seq, row["seq"], leaf.prev) == (number, number, previous.hex())
        assert leaf.type == row["type"]
        assert leaf.occurred_at == f"{row['occurred_at']:%Y-%m-%dT%H:%M:%S.%f}Z"
        assert last is None or last <= row["occurred_at"]
        assert leaf.step is None or leaf.step["key"] == row["key"]
        field = PAYLOADS.get(row["type"])
        if field is not None and leaf.data.get(field) is not None:
            assert leaf.data[field] == hashlib.sha256(row["payload"]).hexdigest()
        state, last = leaf.run_state or state, row["occurred_at"]
        previous = leaf_hash(row["entry"])
    assert (head["seq"], head["head"]) == (len(rows), previous)
    if head["state"] is not None:
        assert state == head["state"]


def _assert_batches(batches: list[Any], rows: list[Any]) -> None:
    """The sequencer's rows name every event exactly once, with its hash."""
    told: dict[tuple[UUID, int], bytes] = {}
    reached: dict[UUID, int] = defaultdict(int)
    for batch in batches:
        places = list(zip(batch["streams"], batch["seqs"], strict=True))
        assert places == sorted(places)
        for number, (stream, seq) in enumerate(places):
            assert reached[stream] + 1 == seq
            reached[stream] = seq
            told[stream, seq] = batch["leaf_hashes"][32 * number : 32 * number + 32]
        assert len(batch["leaf_hashes"]) == 32 * len(places)
    assert told == {(row["stream_id"], row["seq"]): leaf_hash(row["entry"]) for row in rows}


@dataclass(frozen=True, kw_only=True)
class Hire:
    """What the runs here start from."""

    person: Person


def hiring(github: GitHub, chance: Random) -> Process[[Hire], str]:
    """A process with everything in it that an operator may touch."""

    @step(in_doubt="repeat")
    async def fickle(name: str) -> str:
        match chance.randrange(6):
            case 0:
                raise Transient("503")
            case 1:
                raise Invalid("no")
            case 2:
                raise KeyError(name)
            case _:
                return name

    @step(raises=LookupError, in_doubt="repeat")
    async def asked(name: str) -> str:
        if chance.random() < 0.5:
            raise LookupError(name)
        return name

    @process(subject=lambda hire: hire.person, owner="hr")
    async def hiring(hire: Hire) -> str:
        first = await fickle["first"](hire.person.email)
        try:
            await asked(first)
        except LookupError:
            await approval("yes", by=team("hr"), within=timedelta(days=3))
        with section("later"):
            await parallel(
                fickle["a"]("a"), timer("pause", after=timedelta(days=1)), github.invite("x")
            )
        return first

    return hiring


@pytest.mark.parametrize("seed", range(4))
async def test_state_and_journal_agree_after_anything(build, seed):
    """Random verbs, failures, deaths and jumps of the clock: every stream still tells the truth."""
    chance, github = Random(seed), GitHub()
    github.failing = lambda _: Transient("503") if chance.random() < 0.4 else None
    async with build([hiring(github, chance)], systems=[github]) as house:
        runs: list[UUID] = []
        for turn in range(3):
            async with house.doomed() if turn < 2 else house.worker():
                for _ in range(14):
                    await _anything(house, chance, runs)
        async with house.worker():
            for run in runs:
                await house.rested(run)
        await assert_sound(house)
        assert len(runs) > 1


async def _anything(house: House, chance: Random, runs: list[UUID]) -> None:
    """Do one thing, chosen by chance, to a run chosen by chance."""
    if not runs or chance.random() < 0.2:
        person = {"name": "P", "email": f"p{len(runs)}@example.com"}
        with contextlib.suppress(AlreadyStarted):
            runs.append(await house.start("hiring", {"person": person}))
        return
    run = chance.choice(runs)
    acts = sorted(await house.acts(run))
    key = chance.choice(acts) if acts else "first"
    engine, reason = house.engine, "because"
    verbs: list[Callable[[], Awaitable[object]]] = [
        lambda: engine.retry(run, key, actor=OPERATOR),
        lambda: engine.skip(run, key, actor=OPERATOR, reason=reason),
        lambda: engine.complete_by_hand(
            run, key, "by hand", evidence="seen", actor=OPERATOR, reason=reason
        ),
        lambda: _decided(house, run, approved=chance.random() < 0.7),
        lambda: engine.cancel(run, actor=OPERATOR, reason=reason),
        lambda: engine.pause(run, actor=OPERATOR, reason=reason),
        lambda: engine.resume(run, actor=OPERATOR),
        lambda: _rescheduled(house, run, key, timedelta(hours=chance.randrange(-9, 9))),
        lambda: engine.fork(run, key, actor=OPERATOR),
        lambda: engine.acknowledge(run, actor=OPERATOR),
        lambda: house.move(timedelta(seconds=chance.randrange(4000))),
        lambda: house.move(timedelta(days=chance.randrange(3))),
        lambda: house.rested(run),
        lambda: house.rested(run),
    ]
    with contextlib.suppress(RequestError):
        await chance.choice(verbs)()
    house.poke()


async def _rescheduled(house: House, run: UUID, key: str, by: timedelta) -> None:
    at = await house.now() + by
    await house.engine.reschedule(run, key, at=at, actor=OPERATOR, reason="because")


async def _decided(house: House, run: UUID, *, approved: bool) -> None:
    task = await house.database.fetchval(
        "select id from newel.task where run_id = $1 and state = 'open'", run
    )
    if task is not None:
        somebody = await house.engine.actor("hr@example.com", via="api")
        await house.engine.decide(task, approved=approved, actor=somebody, comment="so")


@pytest.mark.parametrize("seed", range(3))
async def test_verbs_at_once_wait_for_each_other_and_never_for_ever(build, seed):
    """Operators, deciders, starts and two workers on the same runs: refusals, no deadlock."""
    chance, github = Random(seed), GitHub()
    github.failing = lambda _: Transient("503") if chance.random() < 0.5 else None
    async with (
        build([hiring(github, chance)], systems=[github]) as house,
        house.worker(),
        house.worker(),
    ):
        runs: list[UUID] = []
        for number in range(4):
            person = {"name": "P", "email": f"p{number}@example.com"}
            runs.append(await house.start("hiring", {"person": person}))
        for _ in range(6):
            await asyncio.gather(*(_anything(house, chance, list(runs)) for _ in range(8)))
        for run in runs:
            await house.rested(run)
        await assert_sound(house)


class TestGuardRails:
    """What the database refuses, whoever asks."""

    @pytest.mark.parametrize(
        "statement",
        [
            "update newel.event set type = 'x'",
            "update newel.event set payload = null",
            "delete from newel.event",
            "truncate newel.event cascade",
            "truncate newel.event_default cascade",
            "delete from newel.event_default",
            "set session_replication_role = replica; delete from newel.event",
        ],
    )
    async def test_the_journal_is_append_only(self, build, statement):
        """Update, delete and truncate are refused, also for the partition and for replicas."""

        @process(subject=None, owner="it")
        async def short() -> None:
            """End at once."""

        async with build([short]) as house, house.worker():
            await house.ended(await house.start("short"))
            connection = await asyncpg.connect(behind(house.database.dsn))
            try:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
            finally:
                await connection.close()
            await assert_sound(house)

    async def test_a_state_cannot_change_without_an_event(self, build):
        """Neither alone nor with a place that is no higher."""

        @process(subject=None, owner="it")
        async def waiting() -> None:
            await timer("pause", after=timedelta(days=1))

        async with build([waiting]) as house, house.worker():
            run = await house.start("waiting")
            assert await house.rested(run) == "waiting"
            for change in ("state = 'running'", "state = 'running', seq = seq"):
                with pytest.raises(asyncpg.CheckViolationError):
                    await house.database.execute(
                        f"update newel.run set {change} where id = $1", run
                    )

    @pytest.mark.parametrize(
        "change",
        [
            "state = 'completed', seq = seq + 1",
            "finished_at = now()",
            "state = 'parked', seq = seq + 1",
            "worker_id = 1",
            "state = 'sleeping', seq = seq + 1",
            "head = 'short'",
        ],
    )
    async def test_an_impossible_row_is_refused(self, build, change):
        """The schema refuses what can never be, before code does."""

        @process(subject=None, owner="it")
        async def waiting() -> None:
            await timer("pause", after=timedelta(days=1))

        async with build([waiting]) as house, house.worker():
            run = await house.start("waiting")
            assert await house.rested(run) == "waiting"
            with pytest.raises(asyncpg.CheckViolationError):
                await house.database.execute(f"update newel.run set {change} where id = $1", run)


def gathering(value: str, *, is_number: bool = False) -> Process[[], str]:
    """A process whose step was given a value, and is said to return text or a number."""

    @step(name="fetch", in_doubt="repeat")
    async def text(value: str) -> str:
        return value

    @step(name="fetch", in_doubt="repeat")
    async def number(value: str) -> int:
        return len(value)

    fetch: Any = number if is_number else text

    @process(name="gathering", subject=None, owner="it")
    async def gathering() -> str:
        found = await fetch(value)
        await timer("pause", after=timedelta(days=1))
        return str(found)

    return gathering


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (gathering("other"), "drifted"),
        (gathering("same", is_number=True), "blocked"),
    ],
)
async def test_code_that_does_not_fit_the_journal_parks_the_run(
    database_url, tmp_path, later, reason
):
    """A changed input drifts, a result of another type blocks; with the old code it goes on."""
    earlier = gathering("same")
    house = await opened(database_url, tmp_path / "kek", [earlier])
    try:
        async with house.worker():
            run = await house.start("gathering")
            assert await house.rested(run) == "waiting"
        changed = await opened(database_url, tmp_path / "kek", [later])
        async with changed.worker():
            await changed.move_to_next(run)
            assert await changed.rested(run) == "parked"
            row = await changed.row(run)
            assert (row["parked_reason"], row["parked_with"]) == (reason, "maintainers")
        await changed.database.close()
        async with house.worker():
            await house.engine.retry(run, actor=OPERATOR)
            house.poke()
            assert await house.ended(run) == "completed"
        await assert_sound(house)
    finally:
        await house.database.close()


@pytest.mark.parametrize("title", ["nul \0", "half \ud800"])
async def test_a_change_that_cannot_be_written_parks_its_run_and_no_other(build, title):
    """The batch is halved until the bad Change stands alone; all others are written."""
    gate = asyncio.Event()

    @step(in_doubt="repeat")
    async def together() -> None:
        await gate.wait()

    @process(subject=None, owner="it")
    async def mixed(number: int) -> None:
        await together()
        if number == 4:
            await approval("yes", by=team("it"), title=title)

    async with build([mixed]) as house, house.worker() as worker:
        runs = [await house.start("mixed", number) for number in range(1, 10)]

        async def all_attempting() -> bool:
            return len(worker._attempts) == 9

        await house.until(all_attempting)
        gate.set()
        bad = runs.pop(3)
        for run in runs:
            assert await house.ended(run) == "completed"

        async def parked() -> bool:
            return str((await house.row(bad))["state"]) == "parked"

        await house.until(parked)
        row = await house.row(bad)
        assert (row["parked_reason"], row["worker_id"]) == ("bug", None)
        assert await one(house, "select count(*) from newel.task") == 0
        await assert_sound(house)
