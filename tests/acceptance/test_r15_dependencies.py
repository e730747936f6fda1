"""R15: dependencies. The critical path is shown by the drawing, and tested with it."""

from __future__ import annotations

import asyncio

from tests.acceptance.gates import gated
from tests.patience import PATIENCE_S


async def test_dependencies(acme, world, monkeypatch):
    """R15: while Google has not answered nobody else is called, and then all that need it are."""
    async with acme() as house, house.worker():
        gate = gated(monkeypatch, world, ["google"])
        run = await house.onboard()
        await house.rested(run)
        await house.approve(await house.task(run))
        await asyncio.wait_for(gate.all_came.wait(), PATIENCE_S)
        assert {name for name, counts in world.calls().items() if counts} == set()
        assert set(await house.acts(run)) == {"google.ensure_account"}
        gate.is_open.set()
        assert await house.finish(run) == "completed"
        events = await house.events(run)
        google = events.index(("step.succeeded", "google.ensure_account"))
        later = [key for kind, key in events[google:] if kind == "step.started"]
        assert {"slack.ensure_account", "jira.ensure_account", "gusto.ensure_employee"} < set(later)
        assert later[-2:] == ["google.activate", "slack.say"]
