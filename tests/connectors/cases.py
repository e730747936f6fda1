"""The systems in which people have accounts: how each is connected to, and what is done in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from newel.base.secrets import SecretRef
from newel.connectors.bamboohr import BambooHR
from newel.connectors.github import GitHub
from newel.connectors.google import Google
from newel.connectors.jira import Jira
from newel.connectors.payroll import Gusto
from newel.connectors.salesforce import Salesforce
from newel.connectors.scim import Scim
from newel.connectors.slack import Slack
from newel.simulators.bamboohr import BambooHRSimulator
from newel.simulators.github import GitHubSimulator
from newel.simulators.google import GoogleSimulator
from newel.simulators.gusto import GustoSimulator
from newel.simulators.jira import JiraSimulator
from newel.simulators.salesforce import SalesforceSimulator
from newel.simulators.scim import ScimSimulator
from newel.simulators.slack import SlackSimulator
from tests.connectors.support import JANE, Time, agreed

SEED = 7
SECRET = "T_ANY_ORDER"
LOCKED = {"ensure_account": "active", "reactivate": "active", "deactivate": "suspended"}
Given = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A system, how to connect to it, and what may be done to one person's account there.

    wanted: the state behind each operation. ends: those that a healed system is asked for.
    arguments: behind the person, of all operations. asks_for: what `find` is asked for.
    """

    simulator: type[Any]
    secret: str
    connect: Callable[[Given, SecretRef, dict[str, Any]], Any]
    wanted: Mapping[str, str]
    ends: tuple[str, str] = ("ensure_account", "deactivate")
    arguments: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    asks_for: Any = JANE
    operations: tuple[str, ...] = ("ensure_account", "reactivate", "deactivate")


CASES = {
    "scim": Case(
        simulator=ScimSimulator,
        secret="SCIM_TOKEN",
        connect=lambda given, token, more: Scim(
            name="okta", base_url=given["SCIM_URL"], token=token, **more
        ),
        wanted=LOCKED,
    ),
    "salesforce": Case(  # without an External-ID field
        simulator=SalesforceSimulator,
        secret="SALESFORCE_KEY",
        connect=lambda given, key, more: Salesforce(
            client_id=given["SALESFORCE_CLIENT_ID"],
            username=given["SALESFORCE_USERNAME"],
            profile_id=given["SALESFORCE_PROFILE_ID"],
            key=key,
            marker_field="FederationIdentifier",
            **more,
        ),
        wanted=LOCKED,
    ),
    "slack": Case(
        simulator=SlackSimulator,
        secret="SLACK_TOKEN",
        connect=lambda _, token, more: Slack(token=token, **more),
        wanted=LOCKED,
    ),
    "google": Case(
        simulator=GoogleSimulator,
        secret="GOOGLE_SERVICE_ACCOUNT",
        connect=lambda given, key, more: Google(
            service_account=key, admin=given["GOOGLE_ADMIN"], **more
        ),
        wanted={"activate": "active", "restore": "active", "suspend": "suspended"},
        ends=("ensure_account", "suspend"),
        operations=("ensure_account", "activate", "restore", "suspend", "withdraw_account"),
    ),
    "github": Case(
        simulator=GitHubSimulator,
        secret="GITHUB_TOKEN",
        connect=lambda _, token, more: GitHub(org="acme-example", token=token, **more),
        wanted={"ensure_member": "invited", "remove_member": "absent"},
        ends=("ensure_member", "remove_member"),
        arguments={"ensure_member": ("jane-doe",), "remove_member": ("jane-doe",)},
        asks_for="jane-doe",
        operations=("ensure_member", "remove_member"),
    ),
    "jira": Case(
        simulator=JiraSimulator,
        secret="JIRA_TOKEN",
        connect=lambda given, token, more: Jira(
            email=given["JIRA_EMAIL"], token=token, base_url=given["JIRA_URL"], **more
        ),
        wanted={"ensure_account": "active", "remove_account": "absent"},
        ends=("ensure_account", "remove_account"),
        operations=("ensure_account", "remove_account"),
    ),
    "gusto": Case(
        simulator=GustoSimulator,
        secret="GUSTO_TOKEN",
        connect=lambda given, token, more: Gusto(
            company=given["GUSTO_COMPANY"], token=token, **more
        ),
        wanted={"ensure_employee": "active", "withdraw": "absent"},
        ends=("ensure_employee", "withdraw"),
        operations=("ensure_employee", "withdraw"),
    ),
    "bamboohr": Case(
        simulator=BambooHRSimulator,
        secret="BAMBOOHR_KEY",
        connect=lambda _, key, more: BambooHR(company="acme", key=key, **more),
        wanted={"ensure_employee": "active"},
        ends=("ensure_employee", "ensure_employee"),
        operations=("ensure_employee",),
    ),
}


def connected(case: Case, time: Time) -> tuple[Any, Any]:  # Any: the case's own kinds
    """Make the simulator of a case and a connector that speaks to it, both on one time."""
    sim = case.simulator(seed=SEED, clock=time.world, sleep=time.pause)
    more = {"transport": agreed(sim), "clock": time.clock, "pause": time.pause}
    return sim, case.connect(sim.credentials(), SecretRef(f"env:{SECRET}"), more)


def keep_secret(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    """Put the credential of a case where its connector looks for it."""
    monkeypatch.setenv(SECRET, case.simulator(seed=SEED).credentials()[case.secret])
    SecretRef(f"env:{SECRET}").resolve(fresh=True)
