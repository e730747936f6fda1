"""What a check has found of a plan is known to every worker, after a restart, and to the doctor."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newel import process, step
from newel.base.secrets import SecretRef
from newel.connectors.declaring import declared
from newel.connectors.slack import Slack
from newel.engine.doctor import examined
from newel.engine.knowing import Knowing
from newel.simulators.slack import SlackSimulator
from newel.testing.attempts import Time
from newel.testing.transport import SimulatorTransport


@step
async def nothing() -> None:
    """Do nothing."""


@process(subject=None)
async def idle() -> None:
    """Do nothing."""
    await nothing()


class Workspace:
    """A workspace, and connectors to it as several workers have them."""

    def __init__(self) -> None:
        self.time = Time()
        self.sim = SlackSimulator(seed=7, plan="business", clock=self.time.world)

    def slack(self, **options) -> Slack:
        """Make another connector with the same credential."""
        return Slack(
            token=SecretRef("env:T_SLACK"),
            plan="business",
            transport=SimulatorTransport(self.sim),
            clock=self.time.clock,
            pause=self.time.pause,
            **options,
        )


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose token stands in the environment."""
    made = Workspace()
    monkeypatch.setenv("T_SLACK", made.sim.credentials()["SLACK_TOKEN"])
    SecretRef("env:T_SLACK").resolve(fresh=True)
    return made


async def test_what_one_has_found_all_know(build, workspace: Workspace):
    """Proved, lost, restarted: the loss is still a loss. Not declared any more: forgotten."""
    async with build([idle]) as house:

        async def codes() -> list[str]:
            found = await examined(house.database)
            return [each.code for each in found if each.code.startswith("capability")]

        first, second = workspace.slack(), workspace.slack()
        await first.examine.called()  # the nightly question
        assert second.known_capabilities.checked_at is None
        await Knowing(house.database, [first]).share()
        await Knowing(house.database, [second]).share()
        assert second.known_capabilities == first.known_capabilities
        asked = len(workspace.sim.calls())
        await second.capabilities()
        assert len(workspace.sim.calls()) == asked  # nobody asks again within the hour
        assert await codes() == []

        workspace.sim.plan = "pro"
        workspace.time.move(timedelta(hours=2))
        third = workspace.slack()  # a worker that was started since, and looks before it reads
        await third.capabilities()
        assert third.known_capabilities.of("slack.scim").state == "absent"
        await Knowing(house.database, [third]).share()
        await Knowing(house.database, [third]).share()
        assert third.known_capabilities.of("slack.scim").state == "lost"
        assert third.choose(declared(third.ensure_account)).path == "scim"
        assert await codes() == ["capability-lost"]

        given_up = workspace.slack(capabilities=())
        await Knowing(house.database, [given_up]).share()
        assert await codes() == []
        assert given_up.choose(declared(given_up.ensure_account)).path == "by_hand"


async def test_a_plan_that_was_overstated_is_told(build, workspace: Workspace):
    """Never proved: the doctor warns, and steps go another way."""
    async with build([idle]) as house:
        workspace.sim.plan = "pro"
        slack = workspace.slack()
        slack.learn(await slack.check())
        await Knowing(house.database, [slack]).share()
        (found,) = [
            each for each in await examined(house.database) if each.code.startswith("capability")
        ]
        assert (found.code, found.level) == ("capability-absent", "warning")
        assert "slack.scim" in found.what
