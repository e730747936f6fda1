"""R01: recovers from API errors."""

from __future__ import annotations

from datetime import timedelta

from newel import Person, process
from newel.simulators.faults import Throttle
from tests.acceptance.outage import GITHUB, attempts, minutes_pass, rounds, to_github


async def test_retry(acme, world):
    """R01: GitHub answers 503 for 40 s; Jane is onboarded with one membership, failures told."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await to_github(house, run)
        await minutes_pass(house, run, 40 / 60)
        world.github.heal()
        assert await house.finish(run) == "completed"
        assert await rounds(house, run) == 0
        failed = [each for each in await attempts(house, run) if each.is_failed]
        assert len(failed) == 6
        assert world.doubled() == {}
        assert world.jira.tickets() == []
        assert await house.database.fetchval("select count(*) from newel.incident") == 0


async def test_retry_after_is_obeyed(acme, world):
    """R01: a 429 with Retry-After: no attempt before that moment, and no round is used."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.fail("*", Throttle(retry_after=300), times=1)
        await to_github(house, run)
        began = await house.now()
        waits = (await house.acts(run))[GITHUB]["next_at"] - began
        assert timedelta(seconds=270) < waits < timedelta(seconds=310)
        assert await house.finish(run) == "completed"
        assert await rounds(house, run) == 0
        first, second = (await attempts(house, run))[:2]
        assert second.at - first.at >= timedelta(seconds=300)


async def test_two_workers_share_what_the_vendor_allows(acme, world):
    """R01: eight runs write no faster than the budget allows, and every one gets through."""

    def more(systems):
        @process(subject=None, owner="it")
        async def joined(name: str) -> None:
            """Put somebody into a team."""
            person = Person(name=name, email=f"{name}@acme.example", hr_key=name)
            await systems.github.join_team(person, name, "platform")

        return [joined]

    async with acme(processes=more) as house, house.worker(), house.worker():
        began = await house.now()
        runs = [await house.start("joined", f"p{number}") for number in range(8)]
        for _ in range(60):
            states = [await house.rested(run) for run in runs]
            if set(states) == {"completed"}:
                break
            rows = [await house.row(run) for run in runs]
            due = [row["wake_at"] for row in rows if row["wake_at"] is not None]
            if due:
                await house.move(max(min(due) - await house.now(), timedelta(0)))
        for run in runs:
            assert await house.ended(run) == "completed"
            assert await rounds(house, run) == 0
        assert world.doubled() == {}
        written = len(world.github.calls(mutating=True, committed=True))
        assert written == 8
        # One change in 1.2 seconds is the budget of github.write, five of them at once.
        assert await house.now() - began >= timedelta(seconds=1.2) * (written - 5)
        levels = await house.database.fetchrow(
            "select queued_until from newel.gate where bucket = 'github.write'"
        )
        assert levels is not None
