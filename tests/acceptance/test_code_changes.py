"""Code that changes while runs are in flight, on a real database: rows B22 to B25.

The whole table of edits (B23) is executed with the guide for authors, in
`tests/changes/test_guide.py`, on the database in memory; here its heart is shown on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from newel.base.errors import Refused
from newel.engine.doctor import examined
from newel.engine.worker import WorkerSettings
from newel.store import drawn
from tests.changes.versions import World, version
from tests.engine.house import OPERATOR, House, opened
from tests.engine.test_crashes import assert_unbroken
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
SETTINGS = WorkerSettings(look=timedelta(milliseconds=20), heartbeat=timedelta(milliseconds=100))
ONE = """
@step(in_doubt="repeat")
async def create_account(name: str) -> str:
    return f"{name}@example.test"

@step(in_doubt="repeat")
async def welcome(name: str) -> None: ...

@process(subject=None, owner="it")
async def joining(name: str) -> str:
    account = await create_account(name)
    await approval("confirmed", by=team("hr"))
    await welcome(name)
    return account
"""
TWO = ONE.replace(
    "    await welcome(name)\n",
    "    await add_to_chat(name)\n    await approval('arrived', by=team('it'))\n"
    "    await welcome(name)\n",
).replace(
    "@process",
    '@step(in_doubt="repeat")\nasync def add_to_chat(name: str) -> None: ...\n\n@process',
)


@pytest.fixture
async def deploy(database_url, tmp_path) -> AsyncIterator[Any]:
    """Give a maker of houses, one for each version, over one database."""
    async with contextlib.AsyncExitStack() as stack:

        async def made(text: str, world: World | None = None) -> House:
            process = version(text, world)
            house = await opened(database_url, tmp_path / "kek", [process], settings=SETTINGS)
            stack.push_async_callback(house.database.close)
            return house

        yield made


async def _decide(house: House, run: UUID) -> None:
    """Somebody of the team says yes to what is open."""
    hr = await house.engine.actor("hr@example.test", via="api")
    await house.engine.decide(await house.task(run), approved=True, actor=hr)
    house.poke()


async def _all(house: House, runs: list[UUID], *, states: set[str]) -> None:
    """Wait until all of these runs rest in one of the states; what is due does not rest yet."""

    async def rest() -> bool:
        rows = [await house.row(run) for run in runs]
        return all(
            row["worker_id"] is None
            and row["state"] in states
            and (row["wake_at"] is None or row["wake_at"] > row["as_of"])
            for row in rows
        )

    await house.until(rest)


async def test_a_bug_in_the_body_costs_a_fix_and_a_deploy(deploy):
    """B22: KeyError inside compensation and finally: nothing undone; then each act once."""
    broken = """
    @step(in_doubt="repeat")
    async def suspend(name: str) -> None: ...

    @step(in_doubt="repeat")
    async def restore(name: str) -> None: ...

    @step(in_doubt="repeat")
    async def transfer(name: str, to: str) -> None: ...

    @step(in_doubt="repeat")
    async def tidy(name: str) -> None: ...

    HEIRS = {"nobody": "boss"}

    @process(subject=None, owner="it")
    async def leaving(name: str) -> None:
        async with compensation() as undo:
            undo(restore, name)
            try:
                await suspend(name)
                await transfer(name, HEIRS[name])
            finally:
                await tidy(name)
    """
    world = World()
    old = await deploy(broken, world)
    async with old.worker():
        run = await old.start("leaving", "jane")
        assert await old.rested(run) == "parked"
        assert (await old.row(run))["parked_reason"] == "bug"
        assert world.effects == {"suspend(jane)": 1}
    fixed = broken.replace('{"nobody"', '{"jane"')
    new = await deploy(fixed, world)
    async with new.worker():
        assert await new.ended(run) == "completed"  # the next version replays it by itself
    assert world.effects == {"suspend(jane)": 1, "transfer(jane, boss)": 1, "tidy(jane)": 1}
    changed = [leaf for leaf in await new.leaves(run) if leaf["type"] == "run.version_changed"]
    assert [(each["data"]["from"], each["data"]["to"]) for each in changed] == [(1, 2)]
    await assert_unbroken(new, run)


async def test_a_renamed_step_waits_for_its_former_name(deploy):
    """B23: blocked with its sentence; the old code un-blocks; with `formerly=` it goes on."""
    world = World()
    old = await deploy(ONE, world)
    async with old.worker():
        run = await old.start("joining", "jane")
        assert await old.rested(run) == "waiting"
    renamed = ONE.replace("create_account", "create_mailbox")
    other = await deploy(renamed, world)
    async with other.worker():
        await _all(other, [run], states={"parked"})
        row = await other.row(run)
        assert (row["parked_reason"], row["parked_with"]) == ("blocked", "maintainers")
    async with old.worker():
        await _all(old, [run], states={"waiting"})
    fixed = renamed.replace("@step", '@step(formerly="create_account", in_doubt="repeat") #', 1)
    last = await deploy(fixed, world)
    async with last.worker():
        await _decide(last, run)
        assert await last.ended(run) == "completed"
    assert world.effects == {"create_account(jane)": 1, "welcome(jane)": 1}
    assert (await last.row(run))["version"] == 3
    await assert_unbroken(last, run)


async def test_two_versions_of_a_worker_share_the_runs(deploy):
    """B24: workers of both versions together: no run is lost, none executes an act twice."""
    world = World()
    old, new = await deploy(ONE, world), await deploy(TWO, world)
    names = [f"p{number}" for number in range(6)]
    async with old.worker():
        runs = [await old.start("joining", name) for name in names]
        await _all(old, runs, states={"waiting"})
        await _decide(old, runs[0])
        await _all(old, runs, states={"waiting", "completed"})
    async with new.worker():
        await _decide(new, runs[1])
        await _all(new, runs, states={"waiting", "completed"})
        async with old.worker():
            await asyncio.gather(*(_decide(new, run) for run in runs[2:]))
            await _all(new, runs, states={"waiting", "completed"})
            rows = {run: await new.row(run) for run in runs}
            newer = [run for run in runs if rows[run]["version"] == 2]
            assert [rows[run]["state"] for run in runs[:2]] == ["completed", "waiting"]
            assert runs[1] in newer
            for run in newer:
                assert (await new.row(run))["state"] == "waiting"
                await _decide(new, run)  # both workers see that it is due
            await _all(new, runs, states={"completed"})
    assert max(world.effects.values()) == 1, world.effects
    assert {f"create_account({name})" for name in names} <= set(world.effects)
    assert {f"welcome({name})" for name in names} <= set(world.effects)
    assert sum(key.startswith("add_to_chat") for key in world.effects) == len(newer)
    for run in runs:
        moves = [
            (leaf["data"]["from"], leaf["data"]["to"])
            for leaf in await new.leaves(run)
            if leaf["type"] == "run.version_changed"
        ]
        assert moves in ([], [(1, 2)]), "a run of newer code never goes back while that lives"
        await assert_unbroken(new, run)


async def test_an_older_worker_blocks_what_it_cannot_know_only_when_it_is_alone(deploy):
    """B24: a rollback: the older worker stops there unharmed, and the newer one goes on."""
    world = World()
    old, new = await deploy(ONE, world), await deploy(TWO, world)
    async with new.worker():
        run = await new.start("joining", "jane")
        await _all(new, [run], states={"waiting"})
        await _decide(new, run)
        await new.until(lambda: _has_task(new, run, "arrived"))
        async with old.worker() as worker:
            await _decide(new, run)
            await new.database.execute("update newel.worker set stopped_at = null")
            assert await _may_claim(old, worker) == []
            await _all(new, [run], states={"completed"})
    async with new.worker():
        run = await new.start("joining", "joe")
        await _all(new, [run], states={"waiting"})
        await _decide(new, run)
        await new.until(lambda: _has_task(new, run, "arrived"))
    await _decide(new, run)
    async with old.worker():
        await _all(old, [run], states={"parked"})
        row = await old.row(run)
        assert (row["parked_reason"], row["version"]) == ("blocked", 1)
    async with new.worker():
        await _all(new, [run], states={"completed"})
    assert set(world.effects.values()) == {1}
    await assert_unbroken(new, run)


WRITING = """
import os
from newel import Absent, Found

def written(line: str) -> bool:
    with open(os.environ["EFFECTS"]) as file:
        return line + "\\n" in file.readlines()

def write(line: str) -> None:
    with open(os.environ["EFFECTS"], "a") as file:
        file.write(line + "\\n")

async def look_account(name: str) -> Found[None] | Absent:
    return Found(None) if written(f"account {name}") else Absent()

@step(verify=look_account)
async def account(name: str) -> None:
    write(f"account {name}")

async def look_welcome(name: str) -> Found[None] | Absent:
    return Found(None) if written(f"welcome {name}") else Absent()

@step(verify=look_welcome)
async def welcome(name: str) -> None:
    write(f"welcome {name}")

async def look_chat(name: str) -> Found[None] | Absent:
    return Found(None) if written(f"chat {name}") else Absent()

@step(verify=look_chat)
async def chat(name: str) -> None:
    write(f"chat {name}")

@process(subject=None, owner="it")
async def joining(name: str) -> None:
    await account(name)
    await approval("confirmed", by=team("hr"))
    await welcome(name)
"""


class Program:
    """A worker process, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def until(self, state: str, how_many: int) -> None:
        """Read what it says until so many runs are in a state."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while True:
                line = await self.process.stdout.readline()
                assert line, "the worker has died"
                if json.loads(line).get(state, 0) >= how_many:
                    return

    async def end(self, how: signal.Signals) -> None:
        """End it, and wait until it has ended."""
        self.process.send_signal(how)
        await asyncio.wait_for(self.process.wait(), 60)


async def test_a_deploy_with_real_processes(deploy, database_url, tmp_path):
    """B24: old and new worker processes, the old one killed with -9: nothing lost or twice."""
    effects = tmp_path / "effects"
    effects.touch()
    newer = WRITING.replace(
        "    await welcome(name)", "    await chat(name)\n    await welcome(name)"
    )

    async def program(text: str, name: str) -> Program:
        source = tmp_path / f"{name}.py"
        source.write_text(text)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.acceptance.versioned_worker"),
            *(database_url, str(tmp_path / "kek"), str(source)),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
                "EFFECTS": str(effects),
            },
        )
        return Program(process)

    names = [f"p{number}" for number in range(10)]
    house = await deploy(WRITING)
    programs = [await program(WRITING, "old")]
    try:
        runs = [await house.start("joining", name) for name in names]
        await programs[0].until("waiting", len(runs))
        programs.append(await program(newer, "new"))
        await programs[1].until("waiting", 1)
        for run in runs[:5]:
            await _decide(house, run)
        await programs[0].end(signal.SIGKILL)
        await house.database.execute(
            "update newel.worker set lease_until = clock_timestamp() where id = 1"
        )
        for run in runs[5:]:
            await _decide(house, run)
        await programs[1].until("completed", len(runs))
    finally:
        for each in programs:
            if each.process.returncode is None:
                await each.end(signal.SIGTERM)
    done = Counter(effects.read_text().splitlines())
    assert max(done.values()) == 1, done
    assert {f"account {name}" for name in names} <= set(done)
    assert {f"welcome {name}" for name in names} <= set(done)
    for run in runs:
        await assert_unbroken(house, run)


async def _has_task(house: House, run: UUID, key: str) -> bool:
    acts = await house.acts(run)
    row = await house.row(run)
    return key in acts and row["worker_id"] is None


async def _may_claim(house: House, worker: Any) -> list[UUID]:
    """What an older worker would get of what newer code has driven."""
    from newel.store import runs

    async with house.database.transaction() as connection:
        return await runs.claim_ready(
            connection,
            worker=worker.worker,
            epoch=worker.epoch,
            how_many=9,
            processes={"joining": 1},
        )


async def test_a_run_that_no_worker_knows_is_left_alone_and_named(deploy):
    """A run whose process nobody has stays untouched; its process is named with what to do."""
    old = await deploy(ONE)
    async with old.worker():
        run = await old.start("joining", "jane")
        await _all(old, [run], states={"waiting"})
        assert "unknown-process" not in {each.code for each in await examined(old.database)}
    before = dict(await old.row(run))
    other = await deploy(ONE.replace("async def joining", "async def entering"))
    async with other.worker():
        await _decide(other, run)
        probe = await other.start("entering", "joe")
        await _all(other, [probe], states={"waiting"})
        found = {each.code: each for each in await examined(other.database)}
        assert found["unknown-process"].where == ("joining",)
        assert "formerly=" in found["unknown-process"].fix
    after = dict(await other.row(run))
    assert (after["state"], after["version"]) == (before["state"], before["version"])
    renamed = ONE.replace("async def joining", "async def entering").replace(
        'owner="it"', 'owner="it", formerly="joining"'
    )
    last = await deploy(renamed)
    async with last.worker():
        assert await last.ended(run) == "completed"
    assert (await last.row(run))["process"] == "entering"


SET = """
@step(in_doubt="repeat")
async def groups(name: str) -> set[str]:
    return {name}

@process(subject=None, owner="it")
async def reading(name: str) -> None:
    await groups(name)
"""
UNEQUAL = """
class Loose(str):
    def __eq__(self, other: object) -> bool:
        return False
    __hash__ = str.__hash__

@dataclass(frozen=True)
class Reading:
    moment: datetime

@step(in_doubt="repeat")
async def read(name: str) -> Reading:
    return Reading(datetime(2026, 1, 5))

@process(subject=None, owner="it")
async def reading(name: str) -> None:
    await read(name)
    await approval("seen", by=team("it"))
"""


async def test_what_the_journal_cannot_keep_is_told_on_day_one(deploy):
    """B25: a set is refused at registration (F702); a naive datetime is a bug at once."""
    with pytest.raises(Refused, match="F702"):
        await deploy(SET)
    house = await deploy(UNEQUAL)
    async with house.worker():
        run = await house.start("reading", "jane")
        assert await house.rested(run) == "parked"
        acts = await house.acts(run)
        assert (acts["read"]["reason"], acts["read"]["state"]) == ("bug", "parked")
        assert "step.succeeded" not in {kind for kind, _ in await house.events(run)}
    fixed = UNEQUAL.replace("datetime(2026, 1, 5)", "datetime(2026, 1, 5, tzinfo=UTC)")
    new = await deploy(fixed)
    async with new.worker():
        await new.engine.retry(run, "read", actor=OPERATOR)
        await _all(new, [run], states={"waiting"})


async def test_each_version_is_drawn_as_it_was_read(deploy, database):
    """Two versions over one database: both drawings are kept, and the log has their digests."""
    await deploy(ONE)
    await deploy(TWO)
    kept = [await drawn.drawing(database, "joining", number) for number in (1, 2, None, 3)]
    patterns = [None if each is None else json.loads(each)["patterns"] for each in kept]
    before = ["confirmed", "create_account", "welcome"]
    after = sorted([*before, "add_to_chat", "arrived"])
    assert patterns == [before, after, after, None]
    rows = await database.fetch(
        "select convert_from(entry, 'UTF8') as leaf from newel.event "
        "where type = 'process.registered'"
    )
    leaves = [json.loads(row["leaf"]) for row in rows]
    told = {
        each["data"]["drawing_sha256"] for each in leaves if each["process"]["name"] == "joining"
    }
    assert told == {hashlib.sha256(each.encode()).hexdigest() for each in kept[:2] if each}
