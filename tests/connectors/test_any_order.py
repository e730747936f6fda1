"""Operations, faults and time in any order: one account at most, and in the end the wanted state.

Hypothesis chooses; each operation is tried as the engine tries a step: what is in doubt is looked
up first, what failed stays undone until somebody tries again.
Source: connectors document, §22.4.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from newel.base.errors import Invalid, OutcomeUnknown, StepError
from newel.base.secrets import SecretRef
from newel.connectors.salesforce import Salesforce
from newel.connectors.scim import Scim
from newel.connectors.slack import Slack
from newel.domain.values import Account, Found
from newel.simulators.faults import LoseResponse, ResetBefore, Status, Throttle, Truncate
from newel.simulators.salesforce import SalesforceSimulator
from newel.simulators.scim import ScimSimulator
from newel.simulators.slack import SlackSimulator
from newel.testing.transport import SimulatorTransport
from tests.connectors.support import JANE, Time, attempt

SEED = 7
SECRET = "T_ANY_ORDER"
WANTED = {"ensure_account": "active", "reactivate": "active", "deactivate": "suspended"}
FAULTS = [LoseResponse(), Truncate(), ResetBefore(), Status(503), Throttle(2)]


def scim(sim: Any, more: dict[str, Any]) -> Any:
    """Connect to a directory."""
    url = sim.credentials()["SCIM_URL"]
    return Scim(name="okta", base_url=url, token=SecretRef(f"env:{SECRET}"), **more)


def salesforce(sim: Any, more: dict[str, Any]) -> Any:
    """Connect to Salesforce, without an External-ID field."""
    given = sim.credentials()
    return Salesforce(
        client_id=given["SALESFORCE_CLIENT_ID"],
        username=given["SALESFORCE_USERNAME"],
        profile_id=given["SALESFORCE_PROFILE_ID"],
        key=SecretRef(f"env:{SECRET}"),
        marker_field="FederationIdentifier",
        **more,
    )


def slack(sim: Any, more: dict[str, Any]) -> Any:
    """Connect to Slack's SCIM."""
    del sim
    return Slack(token=SecretRef(f"env:{SECRET}"), **more)


SYSTEMS = [
    pytest.param(ScimSimulator, scim, "SCIM_TOKEN", id="scim"),
    pytest.param(SalesforceSimulator, salesforce, "SALESFORCE_KEY", id="salesforce"),
    pytest.param(SlackSimulator, slack, "SLACK_TOKEN", id="slack"),
]


class Company(RuleBasedStateMachine):
    """One person's account in one system, and what happens to it."""

    simulator: Any
    connect: Any

    def __init__(self) -> None:
        """Make the system new."""
        super().__init__()
        self.time = Time()
        self.loop = asyncio.new_event_loop()
        self.sim = self.simulator(seed=SEED, clock=self.time.world, sleep=self.time.pause)
        transport = SimulatorTransport(self.sim)
        more = {"transport": transport, "clock": self.time.clock, "pause": self.time.pause}
        self.connector = type(self).connect(self.sim, more)
        self.in_doubt: set[str] = set()

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

    @rule(name=some.sampled_from(sorted(WANTED)))
    def tried(self, name: str) -> None:
        """Try an operation once; it may fail."""
        try:
            self.loop.run_until_complete(self._attempt(name))
        except OutcomeUnknown:
            self.in_doubt.add(name)
        except StepError:
            return

    @rule(name=some.sampled_from(["ensure_account", "deactivate"]))
    def healed_and_done(self, name: str) -> None:
        """Heal the system and try until it is done: the state is the wanted one."""
        self.sim.heal()
        self.time.move(timedelta(minutes=30))
        state = "absent"  # where there is nothing, nothing can be locked
        try:
            state = self.loop.run_until_complete(self._attempt(name)).state
        except Invalid:
            assert name == "deactivate"
        found = self.loop.run_until_complete(self.connector.find(JANE))
        assert found is not None or name == "deactivate"
        assert state == (WANTED[name] if found is not None else "absent")
        assert state == (found.state if found is not None else "absent")

    @invariant()
    def one_at_most(self) -> None:
        """There is never a second account, and none was ever made twice."""
        hers = [each for each in self.sim.accounts() if "jane" in str(each).lower()]
        assert len(hers) <= 1
        made = [call.natural_key for call in self.sim.calls() if call.did == "created"]
        assert len(made) == len(set(made))

    async def _attempt(self, name: str) -> Account:
        """Try as the engine does: in doubt it is looked first."""
        step = getattr(self.connector, name)
        follows_doubt = name in self.in_doubt
        if follows_doubt:
            with attempt(self.time):
                seen = await step.verify(JANE)
            self.in_doubt.discard(name)
            if isinstance(seen, Found):
                found: Account = seen.value
                return found
        with attempt(self.time, follows_doubt=follows_doubt):
            done: Account = await step.called(JANE)
        return done


@pytest.mark.parametrize(("simulator", "connect", "secret"), SYSTEMS)
def test_whatever_happens_there_is_one_account(
    monkeypatch: pytest.MonkeyPatch, simulator: Any, connect: Any, secret: str
):
    """Under any order of operations, faults and time: one account, and the wanted state at last."""
    monkeypatch.setenv(SECRET, simulator(seed=SEED).credentials()[secret])
    SecretRef(f"env:{SECRET}").resolve(fresh=True)
    machine = type(
        "Machine", (Company,), {"simulator": simulator, "connect": staticmethod(connect)}
    )
    few = settings(max_examples=12, stateful_step_count=10, derandomize=True, database=None)
    run_state_machine_as_test(machine, settings=few)
