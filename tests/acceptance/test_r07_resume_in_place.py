"""R07: nobody checks by hand what was created."""

from __future__ import annotations

from datetime import timedelta

from newel.base.ids import reference
from tests.acceptance.company_house import browser
from tests.acceptance.outage import GITHUB, counted, ticketed, to_github, until_parked
from tests.engine.house import OPERATOR


async def _gone_on(house, run) -> None:
    async def gone() -> bool:
        return GITHUB not in await house.acts(run)

    await house.until(gone)


async def _page_lists_what_is_done(house, run) -> None:
    """The page has each step that is done with the moment at which it was."""
    done = await house.database.fetch(
        "select key, occurred_at from newel.event where stream_id = $1 "
        "and type = 'step.succeeded' and key like '%ensure%'",
        run,
    )
    assert len(done) == 4
    async with browser(house) as client:
        page = (await client.get(f"/runs/{reference('run', run)}")).text
    for row in done:
        card = page.partition(f'id="{row["key"]}"')[2].partition("<li id=")[0]
        assert row["occurred_at"].isoformat() in card


async def test_resume_in_place(acme, world):
    """R07: Retry is pressed before the next probe: one mutating request, at GitHub alone."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await to_github(house, run)
        await until_parked(house, run)
        await ticketed(house, world)
        await _page_lists_what_is_done(house, run)
        world.github.heal()
        before, changes = counted(world), len(world.github.mutations())
        await house.engine.retry(run, GITHUB, actor=OPERATOR)
        house.poke()
        await _gone_on(house, run)
        after = counted(world)
        # Jira is told that it is over; none of the systems of the person is asked for anything.
        assert {name for name in before if after[name] != before[name]} <= {"github", "jira"}
        assert len(world.github.mutations()) == changes + 1
        assert world.jira.calls("createUser") == world.jira.calls("createUser", committed=True)
        assert world.doubled() == {}


async def test_nobody_presses_and_it_resumes_all_the_same(acme, world):
    """R07, B2: the next probe finds GitHub well, and the step goes on where it stood."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await to_github(house, run)
        await until_parked(house, run)
        await ticketed(house, world)
        world.github.heal()
        before, changes = counted(world), len(world.github.mutations())
        await house.move(timedelta(minutes=2))
        await _gone_on(house, run)
        after = counted(world)
        assert {name for name in before if after[name] != before[name]} <= {"github", "jira"}
        assert len(world.github.mutations()) == changes + 1
        assert await house.finish(run) == "completed"
        assert world.doubled() == {}
