"""C51: the tracker is down when an incident opens; the next one gets the issue, and it alone."""

from __future__ import annotations

from datetime import timedelta

from newel.base.secrets import SecretRef
from newel.connectors.jira import Jira
from newel.connectors.linear import Linear
from newel.connectors.trackers.jira import jira_issues
from newel.connectors.trackers.linear import linear_issues
from newel.engine.desks import TrackerDesk
from newel.engine.ticketing import NAME
from newel.simulators.faults import Down
from newel.simulators.linear import LinearSimulator
from newel.simulators.world import World
from newel.testing.transport import SimulatorTransport
from tests.engine.conftest import build as build
from tests.engine.outages import GitHub, healed, inviting, until_parked


async def test_the_second_tracker_gets_the_issue_and_keeps_it(build, monkeypatch):
    """C51: Jira is down: one issue in Linear, closed at the end; Jira heals and gets none."""
    world = World(seed=3)
    (second,) = world.chosen(["linear"])
    assert isinstance(second, LinearSimulator)
    given = world.credentials() | second.credentials()
    for name in ("JIRA_TOKEN", "LINEAR_KEY"):
        monkeypatch.setenv(f"T_C51_{name}", given[name])
        SecretRef(f"env:T_C51_{name}").resolve(fresh=True)
    jira = Jira(
        email=given["JIRA_EMAIL"],
        token=SecretRef("env:T_C51_JIRA_TOKEN"),
        base_url=given["JIRA_URL"],
        transport=SimulatorTransport(world.jira),
    )
    linear = Linear(key=SecretRef("env:T_C51_LINEAR_KEY"), transport=SimulatorTransport(second))
    channels = [
        TrackerDesk(jira_issues("OPS", jira=jira)),
        TrackerDesk(linear_issues(given["LINEAR_TEAM"], linear=linear)),
    ]
    github = GitHub()
    github.down()
    world.jira.fail("*", Down())
    async with (
        build([inviting(github)], systems=[github], channels=channels) as house,
        house.worker(),
    ):
        house.desk.credential = github.credential  # the first of the chain shares the outage
        run = await house.start("invite", "ann")
        await until_parked(house, [run])
        ours = await house.database.fetchval("select id from newel.run where process = $1", NAME)
        for _ in range(30):
            if second.tickets():
                break
            await house.rested(ours)
            await house.move_to_next(ours)
            await house.rested(ours)
        assert len(second.tickets()) == 1
        world.jira.heal()
        await house.move(timedelta(minutes=16))
        await house.rested(ours)
        await healed(house, github, timedelta(minutes=11))
        assert await house.ended(run) == "completed"
        assert await house.ended_in_time(ours) == "completed"
        rows = await house.database.fetch("select channel, state from newel.ticket")
        assert [(row["channel"].partition(":")[0], row["state"]) for row in rows] == [
            ("linear", "closed")
        ]
    assert world.jira.tickets() == []
    assert [ticket["status"] for ticket in second.tickets()] == ["Done"]
