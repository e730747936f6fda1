"""The database goes away: connections are cut, the server dies; nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from newel.base.errors import Transient
from newel.domain.values import FINAL
from newel.embedded.server import used
from newel.engine import loading
from newel.engine import worker as worker_module
from newel.engine.worker import WorkerSettings
from newel.flow.parallel import parallel
from newel.flow.process import process
from newel.flow.step import step
from newel.flow.waits import timer
from newel.store.database import LOST, whole
from newel.store.migrate import migrate
from tests.engine.house import OPERATOR, House, opened
from tests.engine.outages import GitHub, inviting
from tests.engine.test_crashes import assert_unbroken
from tests.faults.pooler import behind
from tests.patience import PATIENCE_S

QUICK = WorkerSettings(look=timedelta(milliseconds=20))
SHORT = WorkerSettings(
    look=timedelta(milliseconds=20),
    lease=timedelta(milliseconds=1200),
    heartbeat=timedelta(milliseconds=150),
)

effects: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _no_effects() -> None:
    effects.clear()


@step(in_doubt="repeat")
async def make(name: str) -> str:
    """Count an effect."""
    effects[name] += 1
    return name


@process(subject=None, owner="it")
async def journey(name: str) -> None:
    """A few steps, some beside each other."""
    await make["a"](f"{name}/a")
    await parallel(make["b"](f"{name}/b"), make["c"](f"{name}/c"))
    await make["d"](f"{name}/d")


async def cut(house: House) -> int:
    """Cut every other connection to this database; answers with how many there were."""
    connection = await asyncpg.connect(behind(house.database.dsn))
    try:
        cut_off = await connection.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        return len(cut_off)
    finally:
        await connection.close()


async def started(house: House, name: str, document: object) -> UUID:
    """Start a run although connections are being cut."""
    for _ in range(100):
        try:
            return await house.start(name, document, idempotency_key=str(document))
        except LOST:
            continue
    raise AssertionError("the database stayed away")


async def ended(house: House, run: UUID) -> str:
    """Wait for a run's end although connections are being cut."""
    while True:
        with contextlib.suppress(*LOST):
            if (state := await house.ended(run)) in FINAL:
                return state


async def test_connections_are_cut_in_the_middle_and_everything_completes(build):
    """Again and again all connections go; each run ends once, its stream is unbroken."""
    async with build([journey], settings=QUICK) as house, house.worker() as worker:
        runs = [await started(house, "journey", f"r{number}") for number in range(12)]
        for _ in range(6):
            before = worker.committer.commits
            await cut(house)

            async def went_on(before: int = before) -> bool:
                return worker.committer.commits > before or not worker._runs

            await house.until(went_on)
        for run in runs:
            assert await ended(house, run) == "completed"
        for run in runs:
            await assert_unbroken(house, run)
        parts = {f"r{number}/{part}" for number in range(12) for part in "abcd"}
        assert set(effects) == parts


async def test_an_answer_of_a_claim_that_is_lost_loses_no_run(build):
    """The rows were claimed, the connection died before they were read: they are found again."""
    async with build([journey], settings=QUICK) as house:
        run = await house.start("journey", "x")
        lost = False
        real = loading.load

        async def losing(connection, wanted, *more):
            nonlocal lost
            if not lost:
                lost = True
                connection.terminate()
                raise ConnectionResetError("cut between the claim and the load")
            return await real(connection, wanted, *more)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(worker_module, "load", losing)
            async with house.worker():
                assert await house.ended(run) == "completed"
        assert lost


async def test_a_failure_is_judged_although_the_database_is_away(build):
    """The incident is looked up when it is back; the step goes on with its schedule."""
    github = GitHub()
    github.failing = lambda _: Transient("503")
    async with (
        build([inviting(github)], systems=[github], settings=QUICK) as house,
        house.worker() as worker,
    ):
        real, failures = worker.incidents.view, 2

        async def away(*facts):
            nonlocal failures
            if failures:
                failures -= 1
                raise ConnectionResetError("away")
            return await real(*facts)

        worker.incidents.view = away
        run = await house.start("invite", "ann")
        assert await house.rested(run) == "waiting"
        github.up()
        await house.move_to_next(run)
        assert await house.ended(run) == "completed"


async def test_a_worker_that_lost_its_lease_while_nobody_took_over_goes_on(build):
    """Alone, and away from the database for longer than its lease: it comes back as another."""
    async with build([journey], settings=SHORT) as house, house.worker() as worker:
        await house.ended(await house.start("journey", "before"))
        epoch = worker.epoch
        is_away, commit, beat = True, worker.committer._commit, worker.heart.beat_once

        def unless_away():
            nonlocal is_away
            is_away = is_away and worker.heart.holds()
            if is_away:
                raise ConnectionResetError("away")

        async def hanging(batch):
            unless_away()
            return await commit(batch)

        async def silent(connection):
            unless_away()  # also where the heart sees first that its lease is over
            await beat(connection)

        worker.committer._commit = hanging
        worker.heart.beat_once = silent
        run = await house.start("journey", "x")
        assert await house.ended(run) == "completed"
        assert worker.epoch > epoch
        await assert_unbroken(house, run)


async def test_an_attempt_that_was_left_out_while_the_lease_was_in_doubt_is_made(build):
    """A commit came back after the lease by the local clock: its intent is not forgotten."""
    async with build([journey], settings=SHORT) as house, house.worker() as worker:
        real, late = worker.committer._commit, True

        async def slow(batch):
            nonlocal late
            answer = await real(batch)
            if late:
                late = False
                worker.heart.until = 0.0
            return answer

        worker.committer._commit = slow
        run = await house.start("journey", "x")
        assert await house.ended(run) == "completed"
        assert effects == Counter(f"x/{part}" for part in "abcd")


async def test_a_request_that_hangs_holds_up_no_heartbeat(build):
    """A run's row is locked while its worker is taken over: the others go on, it follows."""
    async with build([journey], settings=QUICK) as house:
        async with house.doomed() as worker:
            stuck = asyncio.Event()

            async def nothing(_batch):
                stuck.set()
                await asyncio.Event().wait()

            worker.committer._commit = nothing
            runs = [await house.start("journey", f"r{number}") for number in range(3)]

            async def all_claimed() -> bool:
                found = await house.database.fetch(
                    "select id from newel.run where worker_id is not null"
                )
                return len(found) == 3

            await house.until(all_claimed)
            hanging = await asyncpg.connect(behind(house.database.dsn))
            transaction = hanging.transaction()
            await transaction.start()
            await hanging.execute("select 1 from newel.run where id = $1 for update", runs[0])
        async with house.worker() as other:
            for run in runs[1:]:
                assert await house.ended(run) == "completed"
            await transaction.rollback()
            await hanging.close()
            async with house.database._pool.acquire() as connection:
                await other.heart.beat_once(connection)
            house.poke()
            assert await house.ended(runs[0]) == "completed"


async def test_a_process_that_a_worker_does_not_know_is_left_for_one_that_does(build):
    """An older worker beside a newer one claims nothing that it could not drive."""

    @process(subject=None, owner="it")
    async def newer() -> None:
        await make("newer")

    async with build([journey, newer], settings=QUICK) as house:
        worker = house.engine.new_worker()
        worker.processes.pop("newer")
        worker.versions.pop("newer")
        task = asyncio.create_task(worker.run())
        await worker.registered.wait()
        house.workers.append(worker)
        run = await house.start("newer")
        assert await house.ended(await house.start("journey", "x")) == "completed"
        row = await house.row(run)
        assert (row["state"], row["worker_id"]) == ("running", None)
        house.workers.remove(worker)
        async with house.worker():
            assert await house.ended(run) == "completed"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_worker_that_is_asked_to_stop_lets_attempts_end(build):
    """Nothing new is claimed, the call is not cut, and the runs are free afterwards."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    @step
    async def slow() -> str:
        begun.set()
        await go_on.wait()
        return "done"

    @process(subject=None, owner="it")
    async def patient() -> None:
        await slow()
        await timer("pause", after=timedelta(days=1))

    async with build([patient, journey], settings=QUICK) as house:
        worker = house.engine.new_worker()
        task = asyncio.create_task(worker.run())
        await worker.registered.wait()
        house.workers.append(worker)
        run = await house.start("patient")
        await asyncio.wait_for(begun.wait(), PATIENCE_S)
        stopping = asyncio.create_task(worker.stop())
        other = await house.start("journey", "x")
        await asyncio.wait({task}, timeout=0.3)
        assert not task.done()
        go_on.set()
        await asyncio.wait_for(asyncio.gather(stopping, task), PATIENCE_S)
        row = await house.row(run)
        assert (row["state"], row["worker_id"]) == ("waiting", None)
        assert (await house.row(other))["worker_id"] is None
        assert ("step.succeeded", "slow") in await house.events(run)
        house.workers.clear()


async def test_a_worker_that_leaves_begins_nothing_new(build):
    """What its call gave is kept; the step after it is another worker's, and nobody is in doubt."""
    begun, go_on, done = asyncio.Event(), asyncio.Event(), []

    @step
    async def slow() -> str:
        begun.set()
        await go_on.wait()
        return "done"

    @step
    async def careful(said: str) -> str:
        done.append(said)
        return said

    @process(subject=None, owner="it")
    async def patient() -> str:
        return await careful(await slow())

    async with build([patient], settings=QUICK) as house:
        worker = house.engine.new_worker()
        task = asyncio.create_task(worker.run())
        await worker.registered.wait()
        house.workers.append(worker)
        run = await house.start("patient")
        await asyncio.wait_for(begun.wait(), PATIENCE_S)
        await house.engine.pause(run, actor=OPERATOR, reason="it is read again, too")
        await house.engine.resume(run, actor=OPERATOR)
        stopping = asyncio.create_task(worker.stop())
        go_on.set()
        await asyncio.wait_for(asyncio.gather(stopping, task), PATIENCE_S)
        house.workers.clear()
        assert (done, (await house.row(run))["worker_id"]) == ([], None)
        async with house.worker():
            assert await house.ended(run) == "completed"
        told = [kind for kind, _ in await house.events(run)]
        assert (done, told.count("step.started"), told.count("step.in_doubt")) == (["done"], 2, 0)


async def test_the_server_is_killed_in_the_middle(tmp_path):
    """PostgreSQL is killed (-9) under a working worker; it comes back, and every run completes."""
    place = tmp_path / "server"
    with used(place) as server:
        dsn = server.dsn
        await migrate(dsn)
        house = await opened(dsn, tmp_path / "kek", [journey], settings=QUICK)
        async with house.worker():
            runs = [await started(house, "journey", f"r{number}") for number in range(10)]
            os.kill(server.pid, signal.SIGKILL)
            with used(place, remove=True) as again:
                assert again.dsn == dsn
                for run in runs:
                    assert await ended(house, run) == "completed"
                for run in runs:
                    await assert_unbroken(house, run)
            await house.database.close()
    assert set(effects) == {f"r{number}/{part}" for number in range(10) for part in "abcd"}


@pytest.mark.parametrize("is_lent", [True, False])
async def test_what_ended_a_transaction_is_told_though_it_cannot_be_undone(build, is_lent):
    """Cancelled on a connection that is gone: it stays a cancellation, and nobody goes on."""
    async with build([journey]) as house:
        connection = await house.database.dedicated()

        async def cut_and_cancelled() -> None:
            async with house.database.transaction() if is_lent else whole(connection):
                await cut(house)
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await cut_and_cancelled()
        connection.terminate()  # one that was cut is still to be let go of
