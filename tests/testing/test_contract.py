"""The contract kit: a connector that breaks a promise is caught, and told which one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from newel.base.errors import Forbidden, Invalid, OutcomeUnknown, Transient
from newel.base.secrets import SecretRef
from newel.connectors.answers import Route
from newel.connectors.operation import operation
from newel.domain.people import Person
from newel.domain.values import Account
from newel.simulators import LoseResponse, Status
from newel.testing import Contract, contract_with, raised, routes_agree
from tests.connectors.support import JANE

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def desks(monkeypatch) -> Iterator[Any]:
    """Give the example connector's two modules."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from connector import desks, desks_simulator

    yield desks, desks_simulator.DesksSimulator
    for name in [name for name in sys.modules if name.partition(".")[0] == "connector"]:
        del sys.modules[name]


@pytest.fixture
def kit(desks) -> Iterator[Contract[Any]]:
    """Give the stand-in with its checks."""
    with contract_with(desks[1]) as made:
        yield made


def broken(desks, kit, declared: dict[str, Any], act) -> Any:
    """Connect with an `ensure_account` of another making, declared as the good one is."""
    module = desks[0]
    facts = {
        "natural_key": "account/{person.email}",
        "idempotency": "natural",
        "undo": "suspend",
        "reversible": "yes",
        "needs": ("accounts:read", "accounts:write"),
        "spec": ("accounts.create",),
        "reads": ("accounts.list",),
    }

    async def ensure_account(self, person: Person) -> Account:
        """Do what the case does."""
        return await act(self, person)

    made = operation(**{**facts, **declared})(ensure_account)
    kind = type("Broken", (module.Desks,), {"ensure_account": made})
    return kind(token=SecretRef("env:DESKS_TOKEN"), **kit.outside)


async def blindly(self, person: Person) -> Account:
    """Create without looking, under an address of its own each time."""
    from newel.connectors.ensure import Ensured

    number = len((await self.http.call(self.routes[1], query={})).fields["accounts"])
    other = replace(person, email=f"{number}.{person.email}")
    seat = await self._create(other, "4711")
    return self.reported(Ensured(seat, changed=True), self._account(seat))


async def test_a_second_effect_is_caught(desks, kit):
    """What changes something again, at once or after a lost call, does not pass."""
    wrong = broken(desks, kit, {}, blindly)
    again = await raised(kit.once(wrong.ensure_account, JANE), AssertionError)
    assert "changed something again" in str(again)
    kit.simulator.reset()
    twice = await raised(kit.survives_lost_calls(wrong.ensure_account, JANE), AssertionError)
    assert "LoseResponse at accounts.create" in str(twice)


async def test_what_reports_no_change_is_caught(desks, kit):
    """An operation that finds its work done the first time has not done it."""
    good = broken(desks, kit, {}, desks[0].Desks.ensure_account.function)
    await good.ensure_account(JANE)
    idle = await raised(kit.once(good.ensure_account, JANE), AssertionError)
    assert "changed nothing" in str(idle)
    still = await raised(kit.survives_lost_calls(good.ensure_account, JANE), AssertionError)
    assert "no change that could be lost" in str(still)


async def test_a_scope_that_is_declared_and_not_needed_is_caught(desks, kit):
    """Whoever asks for more than an operation needs is told."""
    act = desks[0].Desks.ensure_account.function
    greedy = broken(desks, kit, {"needs": ("accounts:read", "everything")}, act)
    told = await raised(kit.needs_its_scopes(greedy.ensure_account, JANE), AssertionError)
    assert "Forbidden was not raised" in str(told)


async def test_a_name_in_a_failure_is_caught(desks, kit):
    """A sentence that names the person does not pass, nor a failure of another class."""

    async def telling(self, person: Person) -> Account:
        raise Invalid(f"There is no room for {person.name}.")

    wrong = broken(desks, kit, {}, telling)
    told = await raised(
        kit.fails_as(Invalid, wrong.ensure_account, JANE, fault=Status(500)), AssertionError
    )
    assert "names a person" in str(told)
    told = await raised(
        kit.fails_as(Transient, wrong.ensure_account, JANE, fault=Status(500)), AssertionError
    )
    assert "fails as Invalid, not Transient" in str(told)


async def test_a_lost_call_that_is_taken_for_a_refusal_is_caught(desks, kit):
    """A lost answer that leaves as anything but a doubt is told by its class."""
    act = desks[0].Desks.ensure_account.function

    async def hasty(self, person: Person) -> Account:
        try:
            return await act(self, person)
        except OutcomeUnknown:
            raise Forbidden("It said no.") from None

    wrong = broken(desks, kit, {}, hasty)
    told = await raised(kit.survives_lost_calls(wrong.ensure_account, JANE), AssertionError)
    assert "calls a lost call Forbidden" in str(told)


async def test_touching_somebody_elses_account_is_caught(desks, kit):
    """A change that leaves before the conflict is seen does not pass."""
    act = desks[0].Desks.ensure_account.function

    async def first_acting(self, person: Person) -> Account:
        (row,) = (await self.http.call(self.routes[1], query={})).fields["accounts"]
        await self.http.call(self.routes[3], {"id": row["id"]}, body={"state": "suspended"})
        return await act(self, person)

    kit.simulator.create_by_hand(JANE.email)
    wrong = broken(desks, kit, {}, first_acting)
    told = await raised(kit.conflicts(wrong.ensure_account, JANE), AssertionError)
    assert "somebody else's" in str(told)


def test_a_route_that_the_stand_in_lacks_is_caught(desks):
    """A route that nothing answers, or that nothing declares, is told."""
    module, simulator = desks
    lost = Route("accounts.delete", "DELETE", "/v1/accounts/{id}")
    with pytest.raises(AssertionError, match="has no DELETE"):
        routes_agree(module.Desks, (*module.Desks.routes, lost), simulator)
    with pytest.raises(AssertionError, match="declared, and no route"):
        routes_agree(module.Desks, module.Desks.routes[:1], simulator)


async def test_the_stand_in_can_be_added_to_a_companys_systems(desks, kit, saas):
    """It stands among the systems of a test with their faults, once, its secrets known."""
    module, simulator = desks
    added = saas.add(simulator)
    assert saas.add(simulator).simulator is added.simulator is saas.simulators["desks"]
    connector = module.Desks(token=SecretRef("env:DESKS_TOKEN"))
    saas.wire(connector)
    added.lose_answer("accounts.create")
    await raised(connector.ensure_account(JANE), OutcomeUnknown)
    await connector.ensure_account(JANE)
    added.assert_exactly_once("account/jane.doe@acme.example")
    assert isinstance(added.faults.rules()[0].effect, LoseResponse)
    saas.reset()
    assert added.accounts() == []
