"""What nobody has foreseen ends no worker quietly; the trouble of one run is not that of all."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from newel.base.errors import LeaseLost, StoreError
from newel.domain.people import Person
from newel.engine.enduring import Patience
from newel.engine.engine import Engine
from newel.engine.vault import Vault
from newel.engine.worker import WorkerSettings
from newel.flow.context import ATTEMPT
from newel.flow.process import process
from newel.flow.step import step
from newel.flow.waits import Event, timer
from tests.engine.house import OPERATOR, House
from tests.engine.test_crashes import assert_unbroken
from tests.patience import PATIENCE_S

QUICK = WorkerSettings(look=timedelta(milliseconds=20))
BEATING = WorkerSettings(
    look=timedelta(milliseconds=20),
    heartbeat=timedelta(milliseconds=50),
    lease=timedelta(seconds=2),
)


@step(in_doubt="repeat")
async def note(what: str) -> str:
    """Do nothing outside."""
    return what


@process(subject=lambda who: who, owner="it")
async def about(who: Person) -> str:
    """A run about a person, with a wait in the middle."""
    await note("before")
    await timer("pause", after=timedelta(days=1))
    return await note["after"]("after")


@process(subject=None, owner="it")
async def plain() -> str:
    """A run about nobody."""
    return await note("plain")


ARRIVED = Event("arrived", str)


@process(subject=None, owner="it")
async def waits() -> str:
    """A run that waits for a message."""
    return await ARRIVED.wait(match="x")


async def _started(house: House, name: str):
    who = {"name": name, "email": f"{name.lower()}@acme.example"}
    return await house.start("about", who)


class TestAKeyThatIsMissing:
    """Payloads that cannot be opened hold up the run they belong to, and no other."""

    async def test_a_destroyed_key_parks_its_run_alone(self, build):
        """The run of an erased person parks as blocked; others go on, as does the worker."""
        async with build([about, plain], settings=QUICK) as house, house.worker():
            erased, other = await _started(house, "Ann"), await _started(house, "Ben")
            for run in (erased, other):
                assert await house.rested(run) == "waiting"
            await house.database.execute(
                "update newel.person_key set wrapped = null, destroyed_at = clock_timestamp() "
                "where person = (select subject from newel.run where id = $1)",
                erased,
            )
            await house.move(timedelta(days=1, seconds=1))
            assert await house.ended(other) == "completed"
            assert await house.rested(erased) == "parked"
            row = await house.row(erased)
            assert (row["parked_reason"], row["parked_with"]) == ("blocked", "maintainers")
            assert await house.ended(await house.start("plain")) == "completed"
            await assert_unbroken(house, erased)

    async def test_a_key_that_cannot_be_unwrapped_parks_and_a_retry_goes_on(self, build):
        """Spoilt key bytes park the run; once they are back, a retry brings it to its end."""
        async with build([about, plain], settings=QUICK) as house:
            async with house.worker():
                run = await _started(house, "Ann")
                assert await house.rested(run) == "waiting"
            kept = await house.database.fetchval("select wrapped from newel.person_key")
            await house.database.execute("update newel.person_key set wrapped = '\\x00'::bytea")
            house.engine.vault._keys.clear()
            async with house.worker():
                await house.move(timedelta(days=1, seconds=1))
                assert await house.rested(run) == "parked"
                await house.database.execute("update newel.person_key set wrapped = $1", kept)
                await house.engine.retry(run, actor=OPERATOR)
                house.poke()
                assert await house.ended(run) == "completed"
                await assert_unbroken(house, run)

    async def test_a_deployment_with_the_wrong_key_does_not_start(self, build, tmp_path):
        """Another key than the one people's keys are wrapped under: a sentence, no worker."""
        async with build([about], settings=QUICK) as house, house.worker():
            await house.rested(await _started(house, "Ann"))
            other = Engine(house.database, Vault.at(tmp_path / "other"), [about])
            with pytest.raises(
                StoreError, match=r"key-encryption key `[0-9a-f]{12}` is not the one"
            ):
                await other.register()


class TestTakeover:
    """A run that passes to another worker says so."""

    async def test_a_takeover_is_told_once_before_what_follows(self, build):
        """From whom, to whom, and in which epoch; first in the new owner's first Change."""
        begun = asyncio.Event()

        @step(in_doubt="repeat")
        async def slow() -> None:
            if not begun.is_set():
                begun.set()
                await asyncio.Event().wait()

        @process(subject=None, owner="it")
        async def short() -> None:
            await slow()

        async with build([short], settings=QUICK) as house:
            async with house.doomed() as first:
                run = await house.start("short")
                await asyncio.wait_for(begun.wait(), PATIENCE_S)
            async with house.worker() as second:
                assert await house.ended(run) == "completed"
                names = (f"w_{first.worker}", f"w_{second.worker}", second.epoch)
            kinds = [kind for kind, _ in await house.events(run)]
            assert kinds[2:4] == ["run.taken_over", "step.in_doubt"]
            assert kinds.count("run.taken_over") == 1
            told = (await house.leaves(run))[2]["data"]
            assert (told["from_worker"], told["to_worker"], told["epoch"]) == names


class TestTasksOfAWorker:
    """An error in what a worker does beside is told, survived, or ends it with a sentence."""

    async def test_a_message_that_was_overlooked_is_delivered(self, build):
        """Its sender died between keeping and handing over: a worker finds the open wait."""
        async with build([waits], settings=BEATING) as house, house.worker():
            run = await house.start("waits")
            assert await house.rested(run) == "waiting"
            await house.database.execute(
                "insert into newel.inbox (source, event_id, name, match, payload, digest) "
                "values ('test', '1', 'arrived', 'x', '\"here\"', sha256('here'))"
            )
            assert await house.ended(run) == "completed"

    async def test_an_error_of_the_writer_loses_no_run(self, build, monkeypatch):
        """What is unknown after it is read from the database, and goes on."""
        async with build([plain], settings=QUICK) as house, house.worker() as worker:
            real, failing = worker.committer._commit, 3

            async def strange(batch):
                nonlocal failing
                answer = await real(batch)
                if failing:
                    failing -= 1
                    raise RuntimeError("strange")
                return answer

            worker.committer._commit = strange
            runs = [await house.start("plain") for _ in range(3)]
            for run in runs:
                assert await house.ended(run) == "completed"
                await assert_unbroken(house, run)
            assert failing == 0

    async def test_an_error_that_stays_ends_the_worker_with_a_sentence(self, build, monkeypatch):
        """Five within a minute: it gives its runs back, leaves, and says which task failed."""
        async with build([plain], settings=QUICK) as house:
            worker = house.engine.new_worker()

            async def strange(_connection):
                raise RuntimeError("strange")

            worker._claim = strange
            with pytest.raises(StoreError, match="its look for due runs failed 5 times"):
                await asyncio.wait_for(worker.run(), PATIENCE_S)
            left = await house.database.fetchval(
                "select stopped_at is not null from newel.worker where id = $1", worker.worker
            )
            assert left

    async def test_a_heart_that_fails_ends_the_worker_and_not_the_lease_quietly(self, build):
        """The heartbeat's own fault is not swallowed: the worker ends, its failure is kept."""
        async with build([plain], settings=BEATING) as house:
            worker = house.engine.new_worker()

            async def strange(_connection):
                raise RuntimeError("strange")

            worker.heart.beat_once = strange
            await asyncio.wait_for(worker.run(), PATIENCE_S)
            assert isinstance(worker.failure, StoreError)
            assert "its heartbeat failed 5 times" in str(worker.failure)

    async def test_a_failure_that_cannot_be_judged_parks_its_run(self, build):
        """The look at incidents fails in an unforeseen way: that run parks, the worker goes on."""

        @step
        async def fails() -> None:
            from newel.base.errors import Transient

            raise Transient("no")

        @process(subject=None, owner="it")
        async def failing() -> None:
            await fails()

        async with build([failing, plain], settings=QUICK) as house, house.worker() as worker:

            async def strange(*_facts):
                raise RuntimeError("strange")

            worker.incidents.view = strange
            run = await house.start("failing")
            assert await house.rested(run) == "parked"
            assert await house.ended(await house.start("plain")) == "completed"


class TestALeaseInDoubt:
    """Whoever may have been replaced sends nothing."""

    async def test_an_attempt_asks_before_it_sends(self, build):
        """Stopped in the middle of an attempt beyond its lease: the call is not made."""
        asked: list[bool] = []

        @step(in_doubt="repeat")
        async def sends() -> None:
            attempting = ATTEMPT.get()
            assert attempting is not None
            asked.append(attempting.may_send())
            if not attempting.may_send():
                raise LeaseLost
            if len(asked) == 1:
                worker.heart.until = 0.0
                asked.append(attempting.may_send())
                raise LeaseLost

        @process(subject=None, owner="it")
        async def sending() -> None:
            await sends()

        async with build([sending], settings=BEATING) as house, house.worker() as worker:
            run = await house.start("sending")
            assert await house.ended(run) == "completed"
            assert asked == [True, False, True]
            assert ("step.in_doubt", "sends") in await house.events(run)


def test_errors_far_apart_are_borne(monkeypatch):
    """Five errors in more than a minute are told, and nothing ends."""
    moments = iter(range(0, 1000, 20))
    monkeypatch.setattr("newel.engine.enduring.monotonic", lambda: float(next(moments)))
    patience = Patience("test")
    for _ in range(20):
        with patience:
            raise ValueError("once in a while")
