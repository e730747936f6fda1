"""R02: "retry … up to 60 minutes"."""

from __future__ import annotations

from datetime import timedelta

from tests.acceptance.outage import attempts, minutes_pass, rounds, to_github, until_parked


async def test_sixty_minutes(acme, world):
    """R02: down for 57 minutes: it goes on by itself, two rounds failed, nobody got a ticket."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await to_github(house, run)
        await minutes_pass(house, run, 57)
        world.github.heal()
        assert await house.finish(run) == "completed"
        assert await rounds(house, run) == 2
        assert world.jira.tickets() == []
        assert await house.database.fetchval("select count(*) from newel.ticket") == 0
        assert world.doubled() == {}


async def test_the_last_call_comes_within_the_hour_of_the_first(acme, world):
    """R02: down for ever: the step's last own call lies at most 60:00 after its first."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await to_github(house, run)
        await until_parked(house, run)
        tried = await attempts(house, run)
        assert timedelta(minutes=58) < tried[-1].at - tried[0].at <= timedelta(minutes=60)
