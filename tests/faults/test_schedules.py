"""A short selection of fault schedules on real processes; `make faults` plays many more."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.schedule import Plan, played


@pytest.mark.slow
async def test_a_schedule_of_faults_loses_and_doubles_nothing():
    """Slow: two workers and an API on a server of their own are killed, frozen and cut off."""
    found = await asyncio.wait_for(played(Plan(seed=1, workers=2, runs=20, faults=4)), 240)
    assert found.wrong == [], found.command()


@pytest.mark.slow
async def test_a_schedule_behind_a_pooler_loses_and_doubles_nothing(pgbouncer):
    """Slow: the same behind PgBouncer in transaction mode, where the server is killed as well."""
    found = await asyncio.wait_for(
        played(Plan(seed=3, workers=2, runs=15, faults=3, is_pooled=True)), 240
    )
    assert found.wrong == [], found.command()
