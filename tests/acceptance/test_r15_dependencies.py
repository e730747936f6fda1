"""R15: dependencies: who waits for whom, and the longest row of those who do."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from tests.acceptance.gates import gated
from tests.patience import PATIENCE_S


async def test_dependencies(acme, world, monkeypatch):
    """R15: while Google has not answered nobody else is called, and then all that need it are."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        before = {name: sum(counts.values()) for name, counts in world.calls().items()}
        gate = gated(monkeypatch, world, ["google"])
        await house.approve(await house.task(run))
        await asyncio.wait_for(gate.all_came.wait(), PATIENCE_S)
        after = {name: sum(counts.values()) for name, counts in world.calls().items()}
        assert after == before
        assert set(await house.acts(run)) == {"google.ensure_account"}
        gate.is_open.set()
        assert await house.finish(run) == "completed"
        events = await house.events(run)
        google = events.index(("step.succeeded", "google.ensure_account"))
        later = [key for kind, key in events[google:] if kind == "step.started"]
        assert {"slack.ensure_account", "jira.ensure_account", "gusto.ensure_employee"} < set(later)
        assert later[-2:] == ["google.activate", "slack.say"]


async def test_critical_path(acme):
    """R15: the row begins with the address, and each of its steps has waited for the one before."""
    async with acme() as house, house.worker():
        run = await house.onboard()
        await house.rested(run)
        await house.approve(await house.task(run))
        assert await house.finish(run) == "completed"
        events = await house.events(run)
        row = [line.key for line in (await house.engine.plan(run)).critical]
        assert [key for key in row if "#" not in key] == [  # looking again is not told apart
            "google.reserve_address", "google.ensure_account", "github.ensure_member",
            "github.accepted", "github.join_team[platform]", "google.activate", "slack.say",
        ]  # fmt: skip
        for before, after in pairwise(row):
            began = events.index(("step.started", after))
            assert events.index(("step.succeeded", before)) < began
