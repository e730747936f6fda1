"""Operations, faults and time in any order: one account at most, and in the end the wanted state.

Hypothesis chooses; each operation is tried as the engine tries a step: what is in doubt is looked
up first, what failed stays undone until somebody tries again.
Source: connectors document, §22.4.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from newel.base.errors import Invalid, OutcomeUnknown, StepError
from newel.domain.values import Account, Found
from newel.simulators.faults import LoseResponse, ResetBefore, Status, Throttle, Truncate
from tests.connectors.cases import CASES, Case, connected, keep_secret
from tests.connectors.support import JANE, Time, attempt

FAULTS = [LoseResponse(), Truncate(), ResetBefore(), Status(503), Throttle(2)]


class Company(RuleBasedStateMachine):
    """One person's account in one system, and what happens to it."""

    case: Case

    def __init__(self) -> None:
        """Make the system new."""
        super().__init__()
        self.time = Time()
        self.loop = asyncio.new_event_loop()
        self.sim, self.connector = connected(self.case, self.time)
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
    keep_secret(monkeypatch, case)
    machine = type("Machine", (Company,), {"case": case})
    few = settings(max_examples=12, stateful_step_count=10)
    run_state_machine_as_test(machine, settings=few)
