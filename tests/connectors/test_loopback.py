"""The operations of onboarding against real servers, where a cut connection is really cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from newel.base.errors import OutcomeUnknown, StepError, Transient
from newel.base.secrets import SecretRef
from newel.connectors.base import Connector
from newel.connectors.github import GitHub
from newel.connectors.google import Google
from newel.connectors.jira import Jira
from newel.connectors.payroll import Gusto
from newel.connectors.salesforce import Salesforce
from newel.connectors.slack import Slack
from newel.domain.values import Found
from newel.flow.step import Step
from newel.simulators.core import Simulator
from newel.simulators.faults import LoseResponse, ResetBefore, Truncate
from newel.simulators.server import serve
from newel.simulators.world import World
from tests.connectors.support import JANE, Time, attempt, raised


@dataclass
class Site:
    """All six connectors on real servers."""

    world: World
    connectors: dict[str, Connector]


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """Start all six simulators on loopback and connect to them."""
    world = World(seed=11, page_size=3)
    async with serve(list(world.simulators.values())) as addresses:
        given = world.credentials(addresses)

        def secret(name: str) -> SecretRef:
            monkeypatch.setenv(f"T_LOOP_{name}", given[name])
            reference = SecretRef(f"env:T_LOOP_{name}")
            reference.resolve(fresh=True)
            return reference

        connectors: dict[str, Connector] = {
            "google": Google(
                service_account=secret("GOOGLE_SERVICE_ACCOUNT"),
                admin=given["GOOGLE_ADMIN"],
                base_url=given["GOOGLE_URL"],
                token_url=given["GOOGLE_TOKEN_URL"],
            ),
            "slack": Slack(
                token=secret("SLACK_TOKEN"),
                base_url=given["SLACK_URL"],
                scim_url=given["SLACK_SCIM_URL"],
            ),
            "jira": Jira(
                email=given["JIRA_EMAIL"],
                token=secret("JIRA_TOKEN"),
                base_url=given["JIRA_URL"],
            ),
            "github": GitHub(
                org=given["GITHUB_ORG"],
                token=secret("GITHUB_TOKEN"),
                base_url=given["GITHUB_URL"],
            ),
            "gusto": Gusto(
                company=given["GUSTO_COMPANY"],
                token=secret("GUSTO_TOKEN"),
                base_url=given["GUSTO_URL"],
            ),
            "salesforce": Salesforce(
                client_id=given["SALESFORCE_CLIENT_ID"],
                username=given["SALESFORCE_USERNAME"],
                key=secret("SALESFORCE_KEY"),
                profile_id=given["SALESFORCE_PROFILE_ID"],
                base_url=given["SALESFORCE_URL"],
            ),
        }
        yield Site(world, connectors)
        await asyncio.gather(*(each.aclose() for each in connectors.values()))


CREATES = [
    pytest.param("google", "ensure_account", (JANE,), "directory.users.insert", id="google"),
    pytest.param("slack", "ensure_account", (JANE,), "scim/create", id="slack"),
    pytest.param("jira", "ensure_account", (JANE,), "createUser", id="jira"),
    pytest.param(
        "github", "ensure_member", (JANE, "jane-doe"), "orgs/set-membership-for-user", id="github"
    ),
    pytest.param("gusto", "ensure_employee", (JANE,), "post-v1-employees", id="gusto"),
    pytest.param("salesforce", "ensure_account", (JANE,), "createUser", id="salesforce"),
]


def step_of(site: Site, system: str, name: str) -> Step[..., Any]:
    """Give an operation of a connector."""
    step: Step[..., Any] = getattr(site.connectors[system], name)
    return step


@pytest.mark.parametrize(("system", "name", "arguments", "create"), CREATES)
async def test_an_answer_lost_on_the_wire_leaves_one_object(
    site: Site, time: Time, system: str, name: str, arguments: tuple[Any, ...], create: str
):
    """The server commits and cuts the connection: verify finds it, and nothing is made twice."""
    simulator: Simulator = site.world.simulators[system]
    step = step_of(site, system, name)
    simulator.fail(create, LoseResponse(), times=1)
    await raised(step.called(*arguments), OutcomeUnknown)
    assert step.verify is not None
    with attempt(time):
        assert isinstance(await step.verify(*arguments), Found)
    with attempt(time, follows_doubt=True):
        await step.called(*arguments)
    assert len(simulator.calls(create, committed=True)) == 1
    assert site.world.doubled() == {}


@pytest.mark.parametrize(("system", "name", "arguments", "create"), CREATES)
@pytest.mark.parametrize("effect", [ResetBefore(), Truncate()], ids=["reset", "truncated"])
async def test_a_connection_cut_on_the_way_is_an_unknown_outcome(
    site: Site, system: str, name: str, arguments: tuple[Any, ...], create: str, effect: Any
):
    """Whether the server had read or half answered, a mutating request is in doubt."""
    site.world.simulators[system].fail(create, effect, times=1)
    await raised(step_of(site, system, name).called(*arguments), OutcomeUnknown)


@pytest.mark.parametrize(("system", "name", "arguments", "create"), CREATES)
async def test_a_system_that_is_down_is_transient_and_comes_back(
    site: Site, system: str, name: str, arguments: tuple[Any, ...], create: str
):
    """While the system is down nothing happens; after it has healed the same call succeeds."""
    simulator = site.world.simulators[system]
    connector = site.connectors[system]
    await connector.probe()
    simulator.down()
    await raised(connector.probe(), Transient)
    await raised(step_of(site, system, name).called(*arguments), StepError)
    simulator.heal()
    await connector.probe()
    account = await step_of(site, system, name).called(*arguments)
    assert account.system == system
    assert len(simulator.calls(create, committed=True)) == 1


async def test_checks_pass_with_the_credentials_of_the_world(site: Site):
    """Every connector proves its credential over the network."""
    checks = await asyncio.gather(*(each.check() for each in site.connectors.values()))
    assert [check.ok for check in checks] == [True] * 6
