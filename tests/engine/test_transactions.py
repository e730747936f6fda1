"""Transactional steps: the company's rows and the step's outcome are there together, or not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from newel import Connection, days, timer
from newel.base.errors import Transient
from newel.engine.calls import CallSettings
from newel.engine.worker import WorkerSettings
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.step import step
from newel.store.database import Database
from newel.store.riding import Ride
from tests.engine.house import OPERATOR, opened
from tests.patience import PATIENCE_S

TAKE = "update company.desk set taken = true where number = $1 and not taken returning number"


class NoDesk(Exception):
    """No desk is free on that floor."""


@step(transactional=True, raises=NoDesk)
async def reserve(db: Connection, number: int) -> int:
    """Take a desk."""
    await db.execute("insert into company.note (text) values ($1)", f"wanted {number}")
    taken: int | None = await db.fetchval(TAKE, number)
    if taken is None:
        raise NoDesk(number)
    return taken


@process(subject=None, owner="it")
async def desks(first: int, second: int) -> str:
    """Two desks beside each other."""
    found = "none"
    try:
        a, b = await parallel(reserve["a"](first), reserve["b"](second))
        found = f"{a} and {b}"
    except* NoDesk:
        pass
    return found


@pytest.fixture
async def company(database):
    """Give the company's own tables."""
    await database.execute("create schema company")
    await database.execute("create table company.desk (number int primary key, taken bool)")
    await database.execute("insert into company.desk select n, false from generate_series(1, 9) n")
    await database.execute("create table company.note (text text)")
    return database


async def _taken(database) -> list[int]:
    rows = await database.fetch("select number from company.desk where taken order by number")
    return [row["number"] for row in rows]


async def test_rows_and_outcomes_come_together(build, company):
    """Two such steps beside each other, with the intent of each durable before its code."""
    async with build([desks]) as house, house.worker():
        run = await house.start("desks", {"first": 1, "second": 2})
        assert await house.ended(run) == "completed"
        assert await _taken(company) == [1, 2]
        kinds = [(kind, key) for kind, key in await house.events(run) if key == "reserve[a]"]
        assert kinds == [("step.started", "reserve[a]"), ("step.succeeded", "reserve[a]")]


async def test_an_answer_takes_its_rows_back_and_is_kept(build, company):
    """A declared error is the outcome; what the step wrote before it is gone."""
    await company.execute("update company.desk set taken = true where number = 2")
    async with build([desks]) as house, house.worker():
        run = await house.start("desks", {"first": 1, "second": 2})
        assert await house.ended(run) == "completed"
        assert ("step.failed", "reserve[b]") in await house.events(run)
        assert await company.fetchval("select count(*) from company.note") == 1


async def test_a_run_that_was_written_to_meanwhile_is_retried_as_a_whole(build, company):
    """An operator writes between the step's code and its outcome: rows undone, and made again."""
    calls: list[int] = []
    real = Ride.write

    @step(transactional=True)
    async def note(db: Connection) -> None:
        calls.append(1)
        await db.execute("insert into company.note (text) values ($1)", str(len(calls)))

    @process(subject=None, owner="it")
    async def noting() -> None:
        await note()
        await timer("later", after=days(1))

    async with build([noting]) as house, house.worker():

        async def write(self, put):
            if len(calls) == 1:
                await house.engine.cancel(run, actor=OPERATOR, reason="not needed")
            return await real(self, put)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Ride, "write", write)
            run = (await house.engine.start("noting", {}, actor=OPERATOR)).run
            house.poke()
            assert await house.ended(run) == "cancelled"
        events = await house.events(run)
        assert [event for event in events if event[1] == "note"] == [
            ("step.started", "note"),
            ("step.succeeded", "note"),
        ]
        rows = await company.fetch("select text from company.note")
        assert [row["text"] for row in rows] == ["2"]


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("commit", "its transaction is newel's"),
        ("/* a */ -- b\n ROLLBACK", "its transaction is newel's"),
        ("select 1; commit", "the SQL of the step was refused"),
        ("do $$ begin commit; end $$", "the SQL of the step was refused"),
        ("update newel.deployment set kind = 'x'", "refused|newel's own"),
        (
            "insert into newel.worker (host, pid, version, lease_until) values ('', 1, '', now())",
            "own",
        ),
        ("select no_such", "the SQL of the step was refused"),
    ],
)
async def test_what_is_not_the_steps_to_do_is_a_bug(build, company, statement, why):
    """Ending the transaction, or touching newel's tables: parked with the reason, nothing kept."""

    @step(transactional=True)
    async def meddle(db: Connection) -> None:
        await db.execute("insert into company.note (text) values ('x')")
        await db.execute(statement)

    @process(subject=None, owner="it")
    async def meddling() -> None:
        await meddle()

    async with build([meddling]) as house, house.worker():
        run = await house.start("meddling")
        assert await house.rested(run) == "parked"
        act = (await house.acts(run))["meddle"]
        assert act["reason"] == "bug"
        assert re.search(why, act["detail"]["message"]), act["detail"]
        assert await company.fetchval("select count(*) from company.note") == 0


async def test_a_swallowed_failure_of_sql_is_no_success(build, company):
    """After SQL has failed the transaction is void: the step cannot go on as if it were not."""

    @step(transactional=True)
    async def careless(db: Connection) -> int:
        try:
            await db.execute("select 1 / 0")
        except asyncpg.PostgresError:
            return 1
        return 2

    @process(subject=None, owner="it")
    async def going_on() -> int:
        return await careless()

    async with build([going_on]) as house, house.worker():
        run = await house.start("going_on")
        assert await house.rested(run) == "parked"
        assert (
            "what failed has to leave" in (await house.acts(run))["careless"]["detail"]["message"]
        )


async def test_a_statement_that_takes_too_long_is_tried_again(build, company):
    """Its time is limited, because others wait for the rows it holds; nothing is in doubt."""

    @step(transactional=True)
    async def slow(db: Connection) -> None:
        await db.execute("insert into company.note (text) values ('x')")
        await db.execute("select pg_sleep(30)")

    @process(subject=None, owner="it")
    async def dawdling() -> None:
        await slow()

    calls = CallSettings(statement_timeout=timedelta(milliseconds=50))
    async with build([dawdling], settings=WorkerSettings(calls=calls)) as house, house.worker():
        run = await house.start("dawdling")
        assert await house.rested(run) == "waiting"
        assert (await house.acts(run))["slow"]["state"] == "retrying"
        kinds = {kind for kind, _ in await house.events(run)}
        assert "step.in_doubt" not in kinds
        assert await company.fetchval("select count(*) from company.note") == 0


async def test_steps_that_run_out_of_time_leave_nothing_open(build, company):
    """Their transactions are undone at once, their places are free, and nothing is in doubt."""

    @step(transactional=True, timeout=timedelta(milliseconds=60))
    async def dawdle(db: Connection, number: int) -> None:
        await db.execute("update company.desk set taken = true where number = $1", number)
        await asyncio.Event().wait()

    @process(subject=None, owner="it")
    async def dawdling() -> None:
        await parallel(*[dawdle[number](number) for number in range(1, 6)])

    async with build([dawdling]) as house, house.worker() as worker:
        run = await house.start("dawdling")
        assert await house.rested(run) == "waiting"
        assert {act["state"] for act in (await house.acts(run)).values()} == {"retrying"}
        assert worker._caller._turns._value == CallSettings().transactions
        await company.execute("update company.desk set taken = taken", timeout=10)
        assert await _taken(company) == []


async def test_a_role_bounds_what_a_step_may_touch(build, company):
    """Where a role is named, its rights hold: the company's schema, and nothing of newel's."""
    number = await company.fetchval(
        "select oid from pg_database where datname = current_database()"
    )
    role = f"desk_clerk_{number}"
    await company.execute(f"create role {role} nologin")
    await company.execute(f"grant usage on schema company to {role}")
    await company.execute(f"grant select, insert, update on all tables in schema company to {role}")

    @step(transactional=True)
    async def peek(db: Connection) -> int:
        await db.execute("insert into company.note (text) values (current_user)")
        count: int = await db.fetchval("select count(*) from newel.run")
        return count

    @process(subject=None, owner="it")
    async def peeking() -> str:
        await reserve(3)
        return str(await peek())

    settings = WorkerSettings(calls=CallSettings(role=role))
    try:
        async with build([peeking], settings=settings) as house, house.worker():
            run = await house.start("peeking")
            assert await house.rested(run) == "parked"
            assert await _taken(company) == [3]
            detail = (await house.acts(run))["peek"]["detail"]
            assert "InsufficientPrivilege" in detail["message"]
    finally:
        await company.execute(f"drop owned by {role}")
        await company.execute(f"drop role {role}")


async def test_a_stale_worker_leaves_no_rows(build, company):
    """Its lease was taken between the code and the outcome: the epoch stops it."""
    reached = asyncio.Event()
    go_on = asyncio.Event()
    real = Ride.write
    first: list[int] = []

    async def write(self, put):
        if not first:
            first.append(1)
            reached.set()
            await go_on.wait()
        return await real(self, put)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Ride, "write", write)
        async with build([desks]) as house, house.worker() as stale:
            run = (await house.engine.start("desks", {"first": 4, "second": 5}, actor=OPERATOR)).run
            house.poke()
            await asyncio.wait_for(reached.wait(), PATIENCE_S)
            async with house.worker():
                await house.expire(stale)
                go_on.set()
                assert await house.ended(run) == "completed"
            assert await _taken(company) == [4, 5]
            assert await company.fetchval("select count(*) from company.note") == 2


async def test_a_transient_fault_of_the_steps_own_is_tried_again(build, company):
    """Rows of the failed attempt are gone; the next one writes them."""
    tries: list[int] = []

    @step(transactional=True)
    async def flaky(db: Connection) -> None:
        await db.execute("insert into company.note (text) values ('x')")
        tries.append(1)
        if len(tries) == 1:
            raise Transient("later")

    @process(subject=None, owner="it")
    async def blip() -> None:
        await flaky()

    async with build([blip]) as house, house.worker():
        run = await house.start("blip")
        assert await house.rested(run) == "waiting"
        await house.move_to_next(run)
        assert await house.ended(run) == "completed"
        assert await company.fetchval("select count(*) from company.note") == 1


@pytest.fixture
async def pooled_url(database_url, tmp_path_factory):
    """Give the address of the test's database behind a pooler that lends per transaction."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("no pgbouncer on this machine: apt-get install pgbouncer")
    own = urlsplit(database_url)
    directory = Path(tempfile.mkdtemp(prefix="newel-pooler-"))
    directory.chmod(0o777)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = directory / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host={own.hostname} port={own.port} user={own.username} "
        f"password={own.password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 4\nunix_socket_dir =\n"
        "ignore_startup_parameters = extra_float_digits\n"
    )
    settings.chmod(0o644)
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    pooler = await asyncio.create_subprocess_exec(
        program, *as_nobody, "-q", str(settings), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        address = urlunsplit(own._replace(netloc=f"{own.username}:x@127.0.0.1:{port}"))
        for _ in range(500):
            with contextlib.suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            await asyncio.sleep(0.01)
        yield address
    finally:
        pooler.terminate()
        await pooler.wait()
        shutil.rmtree(directory)


async def test_it_works_through_a_pooler_that_lends_per_transaction(
    company, pooled_url, tmp_path, monkeypatch
):
    """No statement is prepared by name, no state of the session is left behind."""
    monkeypatch.setattr(Database, "open", partial(Database.open, is_pooled=True))
    house = await opened(pooled_url, tmp_path / "kek", [desks])
    try:
        async with house.worker():
            runs = [await house.start("desks", {"first": n, "second": n + 1}) for n in (1, 3, 5, 1)]
            for run in runs:
                assert await house.ended(run) == "completed"
        assert await _taken(company) == [1, 2, 3, 4, 5, 6]
        assert await company.fetchval("select count(*) from company.note") == 6
    finally:
        await house.database.close()
