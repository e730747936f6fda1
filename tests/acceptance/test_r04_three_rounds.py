"""R04: "escalates to IT after 3 failed attempts": our rounds."""

from __future__ import annotations

from tests.acceptance.outage import GITHUB, rounds, ticketed, to_github, until_parked


async def test_three_rounds(acme, world):
    """R04: down for ever: exactly three counted rounds, then the incident is IT's."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await to_github(house, run)
        await until_parked(house, run)
        assert await rounds(house, run) == 3
        act = (await house.acts(run))[GITHUB]
        assert (act["owner"], act["reason"]) == ("it", "outage")
        await ticketed(house, world)
        row = await house.database.fetchrow("select state, scope from newel.incident")
        assert (row["state"], row["scope"]) == ("escalated", "system")
        told = [leaf for leaf in await house.leaves(run) if leaf["type"] == "step.parked"]
        assert [(each["data"]["rounds"], each["data"]["owner"]) for each in told] == [(3, "it")]
