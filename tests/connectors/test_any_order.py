"""Operations, faults and time in any order: one account at most, and in the end the wanted state.

Hypothesis chooses; each operation is tried as the engine tries a step: what is in doubt is looked
up first, what failed stays undone until somebody tries again.
Source: connectors document, §22.4.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from newel.base.errors import Invalid, OutcomeUnknown, StepError
from newel.base.secrets import SecretRef
from newel.connectors.bamboohr import BambooHR
from newel.connectors.github import GitHub
from newel.connectors.google import Google
from newel.connectors.jira import Jira
from newel.connectors.payroll import Gusto
from newel.connectors.salesforce import Salesforce
from newel.connectors.scim import Scim
from newel.connectors.slack import Slack
from newel.domain.values import Account, Found
from newel.simulators.bamboohr import BambooHRSimulator
from newel.simulators.faults import LoseResponse, ResetBefore, Status, Throttle, Truncate
from newel.simulators.github import GitHubSimulator
from newel.simulators.google import GoogleSimulator
from newel.simulators.gusto import GustoSimulator
from newel.simulators.jira import JiraSimulator
from newel.simulators.salesforce import SalesforceSimulator
from newel.simulators.scim import ScimSimulator
from newel.simulators.slack import SlackSimulator
from newel.testing.transport import SimulatorTransport
from tests.connectors.support import JANE, Time, attempt

SEED = 7
SECRET = "T_ANY_ORDER"
FAULTS = [LoseResponse(), Truncate(), ResetBefore(), Status(503), Throttle(2)]
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


class Company(RuleBasedStateMachine):
    """One person's account in one system, and what happens to it."""

    case: Case

    def __init__(self) -> None:
        """Make the system new."""
        super().__init__()
        self.time = Time()
        self.loop = asyncio.new_event_loop()
        self.sim = self.case.simulator(seed=SEED, clock=self.time.world, sleep=self.time.pause)
        transport = SimulatorTransport(self.sim)
        more = {"transport": transport, "clock": self.time.clock, "pause": self.time.pause}
        self.connector = type(self).case.connect(
            self.sim.credentials(), SecretRef(f"env:{SECRET}"), more
        )
        self.in_doubt: dict[str, datetime] = {}

    def teardown(self) -> None:
        """Close what is open."""
        self.loop.run_until_complete(self.connector.aclose())
        self.loop.close()

    @rule(fault=some.sampled_from(FAULTS), times=some.integers(1, 2))
    def goes_wrong(self, fault: Any, times: int) -> None:
        """Let the next calls meet a fault."""
        self.sim.fail("*", fault, times=times)

    @rule(minutes=some.sampled_from([1, 30]))
    def time_passes(self, minutes: int) -> None:
        """Let time pass."""
        self.time.move(timedelta(minutes=minutes))

    @rule(data=some.data())
    def tried(self, data: Any) -> None:
        """Try an operation once; it may fail."""
        name = data.draw(some.sampled_from(self.case.operations))
        began = self.time.clock.now()
        try:
            self.loop.run_until_complete(self._attempt(name))
        except OutcomeUnknown:
            self.in_doubt.setdefault(name, began)
        except StepError:
            return

    @rule(is_made=some.booleans())
    def healed_and_done(self, is_made: bool) -> None:
        """Heal the system and try until it is done: the state is the wanted one."""
        name = self.case.ends[0 if is_made else 1]
        self.sim.heal()
        self.time.move(timedelta(minutes=30))
        state = "absent"  # where there is nothing, nothing can be locked
        try:
            state = self.loop.run_until_complete(self._attempt(name)).state
        except Invalid:
            assert not is_made
        found = self.loop.run_until_complete(self.connector.find(self.case.asks_for))
        assert found is not None or not is_made
        assert state == (found.state if found is not None else "absent")
        if name in self.case.wanted:
            assert state == (self.case.wanted[name] if found is not None else "absent")

    @invariant()
    def one_at_most(self) -> None:
        """There is never a second account, and none was made while one was there."""
        hers = [each for each in self.sim.accounts() if "jane" in str(each).lower()]
        assert len(hers) <= 1
        there = Counter[str]()
        for call in self.sim.calls():
            there[call.natural_key] += {"created": 1, "removed": -1}.get(call.did, 0)
        assert all(count <= 1 for count in there.values())

    async def _attempt(self, name: str) -> Account:
        """Try as the engine does: in doubt it is looked first."""
        step = getattr(self.connector, name)
        arguments = (JANE, *self.case.arguments.get(name, ()))
        doubt = self.in_doubt.get(name)
        if doubt is not None:
            with attempt(self.time, intended=doubt):
                seen = await step.verify(*arguments)
            if isinstance(seen, Found):
                del self.in_doubt[name]
                found: Account = seen.value
                return found
        with attempt(self.time, follows_doubt=doubt is not None, intended=doubt):
            done: Account = await step.called(*arguments)
        self.in_doubt.pop(name, None)
        return done


@pytest.mark.parametrize("system", sorted(CASES))
def test_whatever_happens_there_is_one_account(monkeypatch: pytest.MonkeyPatch, system: str):
    """Under any order of operations, faults and time: one account, and the wanted state at last."""
    case = CASES[system]
    monkeypatch.setenv(SECRET, case.simulator(seed=SEED).credentials()[case.secret])
    SecretRef(f"env:{SECRET}").resolve(fresh=True)
    machine = type("Machine", (Company,), {"case": case})
    few = settings(max_examples=12, stateful_step_count=10, derandomize=True, database=None)
    run_state_machine_as_test(machine, settings=few)
