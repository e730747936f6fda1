"""R03: "exponential backoff"."""

from __future__ import annotations

from itertools import groupby, pairwise

import pytest

from tests.acceptance.outage import attempts, to_github, until_parked


@pytest.mark.parametrize("killed_after", [None, 9])
async def test_backoff(acme, world, killed_after):
    """R03: inside a burst each gap doubles, between rounds it grows fourfold; so after a kill."""
    async with acme() as house:
        async with house.worker() if killed_after is None else house.doomed():
            run = await house.reserved()
            world.github.down()
            await to_github(house, run)
            for _ in range(killed_after or 0):
                await house.move_to_next(run)
                await house.rested(run)
        async with house.worker():
            await until_parked(house, run)
            tried = await attempts(house, run)
        assert all(then.at >= now.again for now, then in pairwise(tried) if now.again)
        by_round = [list(each) for _, each in groupby(tried, key=lambda each: each.round)]
        assert len(by_round) == 3
        begins = tried[0].at
        for burst in by_round:
            promised = [begins, *(each.again for each in burst[:-1] if each.again)]
            gaps = [(then - now).total_seconds() for now, then in pairwise(promised)]
            assert gaps[0] >= 0.9
            planned = [gap for gap in gaps if gap > 6]
            assert len(planned) >= 2
            assert all(1.6 <= then / now <= 2.3 for now, then in pairwise(planned))
            begins = burst[-1].again or begins
        first, second, third = (burst[0].at for burst in by_round)
        assert (third - second) / (second - first) >= 3.7
