"""Before new code comes: what it does to each run under way, without writing anything."""

from __future__ import annotations

import pytest

from newel.engine.trial import verdicts
from tests.changes.versions import version

STEP = """
@step(in_doubt="repeat")
async def make(what: str) -> str:
    return what

@process(subject=None, owner="it")
async def arrival(name: str) -> str:
"""
OLD = """
    await make["account"](name)
    decision = await approval("confirms", by=team("it"))
    if decision.approved:
        await make["badge"](name)
    return await make["welcome"](name)
"""
REWORDED = """
    await make["account"](name)  # an account
    said = await approval("confirms", by=team("it"))
    if said.approved:
        await make["licence"](name)
        await make["badge"](name)
    return await make["welcome"](name)
"""
RENAMED = OLD.replace('make["account"]', 'make["user"]')
INSERTED = OLD.replace("    decision", '    await make["licence"](name)\n    decision')
WRAPPED = OLD.replace(
    '    await make["account"](name)',
    '    with section("it"):\n        await make["account"](name)',
)
CHANGED = OLD.replace('make["account"](name)', 'make["account"](name + "!")')
GONE = "no longer asks for `make[account]`, which this run has finished"


@pytest.mark.parametrize(
    ("code", "word", "why", "keys"),
    [
        (OLD, "unchanged", "", ()),
        (REWORDED, "unchanged", "", ()),
        (RENAMED, "blocked", GONE, ()),
        (INSERTED, "runs now", "", ("make[licence]",)),
        (WRAPPED, "blocked", GONE, ()),
        (CHANGED, "blocked", "The input of `make[account]` is not what it was", ()),
    ],
    ids=["same", "reworded", "renamed", "inserted", "wrapped", "changed"],
)
async def test_each_edit_has_its_verdict_and_nothing_is_written(build, code, word, why, keys):
    """Unchanged, runs now with what begins, or blocked in the words of the worker."""
    async with build([version(STEP + OLD)]) as house, house.worker():
        run = await house.start("arrival", "Jäne's 🦊")
        assert await house.rested(run) == "waiting"
        before = await house.database.fetch("select * from newel.event")
        new = version(STEP + code)
        (found,) = [each async for each in verdicts(house.database, house.engine.vault, [new])]
        assert (found.word, found.keys, found.process) == (word, keys, "arrival")
        assert why in found.why
        assert await house.database.fetch("select * from newel.event") == before
