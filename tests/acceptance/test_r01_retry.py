"""R01: recovers from API errors."""

from __future__ import annotations

from datetime import timedelta

from newel.simulators.faults import Throttle
from tests.acceptance.outage import GITHUB, attempts, minutes_pass, rounds, to_github


async def test_retry(acme, world):
    """R01: GitHub answers 503 for 40 s; Jane is onboarded with one membership, failures told."""
    async with acme() as house, house.worker():
        world.github.down()
        run = await house.onboard()
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
        world.github.fail("*", Throttle(retry_after=300), times=1)
        run = await house.onboard()
        await to_github(house, run)
        began = await house.now()
        waits = (await house.acts(run))[GITHUB]["next_at"] - began
        assert timedelta(seconds=270) < waits < timedelta(seconds=310)
        assert await house.finish(run) == "completed"
        assert await rounds(house, run) == 0
        first, second = (await attempts(house, run))[:2]
        assert second.at - first.at >= timedelta(seconds=300)
