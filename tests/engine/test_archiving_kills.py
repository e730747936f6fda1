"""An archiver that is killed anywhere: nothing is lost, and the next call goes on from there."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from tests.engine.test_archiving import ARCHIVE, old
from tests.patience import PATIENCE_S

__all__ = ["old"]

ROOT = Path(__file__).parent.parent.parent


@asynccontextmanager
async def archiver(database_url, folder):
    """Give what carries out an order in a process of its own, and answers with its status."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.engine.dying_archiver", database_url, str(folder)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    orders, answers = process.stdin, process.stdout
    assert orders is not None
    assert answers is not None

    async def told(verb, number):
        orders.write(f"{verb} {number}\n".encode())
        return json.loads(await asyncio.wait_for(answers.readline(), PATIENCE_S))

    try:
        yield told
    finally:
        orders.close()
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


async def killed(told, verb, most):
    """Kill each call at one of its first boundaries, until one comes through; how many died."""
    for number in range(1, most):
        assert await told(verb, number) == -signal.SIGKILL
    many = most - 1
    while status := await told(verb, most):
        assert status == -signal.SIGKILL
        many += 1
    return many


async def test_killed_anywhere_archiving_and_pruning_are_done_by_further_calls(old, database_url):
    """Each call goes a little further; in the end both are as if nothing had happened."""
    before = await old.events()
    async with archiver(database_url, old.folder) as told:
        assert await killed(told, "archive", 3) > 4
        said = "select count(*) from newel.event where type = 'log.archived'"
        assert await old.house.database.fetchval(said) == 1, "what was said is not said again"
        assert await old.events() == before + 1
        assert old.alone(old.folder / ARCHIVE) == 0
        await old.sealed()
        assert await killed(told, "prune", 4) == 4, "the last two calls remove all three runs"
    await old.sealed()
    gone = await old.house.database.fetch("select id from newel.run where pruned_at is not null")
    assert {row["id"] for row in gone} == set(old.old)
    assert old.alone(old.folder / ARCHIVE) == 0
    whole = await old.report(old.holder.archive)
    assert whole.code() == 0, whole.as_text()
    for run in old.old:
        assert len(await old.house.events(run)) == 3, "how it began and ended, and its payloads"
