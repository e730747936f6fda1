"""R17: parallel. How long it takes is measured by the benchmark, and decides no test."""

from __future__ import annotations

import asyncio

from tests.acceptance.gates import gated
from tests.patience import PATIENCE_S

TOGETHER = {
    "slack": "slack.ensure_account",
    "jira": "jira.ensure_account",
    "gusto": "gusto.ensure_employee",
    "github": "github.ensure_member",
}


async def test_parallel(acme, world, monkeypatch):
    """R17: four systems have their request before one of them answers; the journal shows it."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        gate = gated(monkeypatch, world, TOGETHER)
        await house.approve(await house.task(run))
        await asyncio.wait_for(gate.all_came.wait(), PATIENCE_S)  # never, were they called in turn
        assert set(await house.acts(run)) == set(TOGETHER.values())
        gate.is_open.set()
        assert await house.finish(run) == "completed"
        events = await house.events(run)
        began = [events.index(("step.started", key)) for key in TOGETHER.values()]
        ended = [events.index(("step.succeeded", key)) for key in TOGETHER.values()]
        assert max(began) < min(ended)
        assert world.doubled() == {}
