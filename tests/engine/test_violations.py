"""A Change that the server refuses again and again parks its run, and holds up nobody else."""

from __future__ import annotations

from newel.flow.process import process
from newel.flow.step import step


async def test_a_unique_violation_that_does_not_go_away_parks_the_run(build):
    """Somebody else may have been first, so it is tried a few times; then it parks."""
    made: list[str] = []

    @step(in_doubt="repeat")
    async def doubled(who: str) -> str:
        made.append(who)
        return who

    @process(subject=None, owner="it")
    async def unlucky(who: str) -> str:
        return await doubled(who)

    async with build([unlucky]) as house:
        await house.database.execute(
            "create function newel.clash() returns trigger language plpgsql as $$ begin "
            "raise exception 'twice' using errcode = '23505'; end $$"
        )
        await house.database.execute(
            "create trigger clash before delete on newel.open_act for each row "
            "when (old.key = 'doubled') execute function newel.clash()"
        )
        async with house.worker() as worker:
            run = await house.start("unlucky", "ann")
            assert await house.rested(run) == "parked"
            assert (await house.row(run))["parked_reason"] == "bug"
            assert worker.failure is None
            assert made == ["ann"]
            tries = worker.committer.commits
            other = await house.start("unlucky", "bob")
            assert await house.rested(other) == "parked"
            assert worker.committer.commits - tries < 20
