"""Desks: the connector keeps its contract against the stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from newel import (
    AuthFailed,
    ContractDrift,
    Invalid,
    NoCapacity,
    OutcomeUnknown,
    Person,
    SecretRef,
    StepError,
    Throttled,
    Transient,
)
from newel.simulators import (
    Down,
    DropField,
    Effect,
    Lag,
    RemoveScope,
    RevokeToken,
    Seats,
    Status,
    Throttle,
    VendorError,
)
from newel.testing import Contract, contract_with, routes_agree

from connector.desks import CREATE, LIST, Desks
from connector.desks_simulator import DesksSimulator

pytestmark = pytest.mark.asyncio

JANE = Person(name="Jane Doe", email="jane.doe@acme.example", hr_key="4711")
OTHER = Person(name="Jane Doe", email="jane.doe@acme.example", hr_key="4712")

Kit = Contract[DesksSimulator]


@pytest.fixture
def contract() -> Iterator[Kit]:
    """The stand-in on a standing clock, its secrets in the environment."""
    with contract_with(DesksSimulator, Desks) as made:
        yield made


@pytest.fixture
def system(contract: Kit) -> Desks:
    """The connector, speaking to the stand-in."""
    token = SecretRef("env:DESKS_TOKEN")
    return Desks(token=token, **contract.outside)


async def test_routes_agree() -> None:
    """The stand-in has every route; each change is declared as one."""
    routes_agree(Desks, Desks.routes, DesksSimulator)


async def test_operations_change_once(
    system: Desks,
    contract: Kit,
) -> None:
    """Every operation changes something once, and nothing the second time."""
    made = await contract.once(system.ensure_account, JANE)
    assert await system.find(JANE) == made
    out = await contract.once(system.suspend, JANE)
    assert (out.id, out.state) == (made.id, "suspended")
    back = await contract.once(system.restore, JANE)
    assert back == made


async def test_a_deactivated_account_is_used_again(
    system: Desks,
    contract: Kit,
) -> None:
    """Whoever comes back gets their own account back, not a second one."""
    made = await system.ensure_account(JANE)
    await system.suspend(JANE)
    assert await contract.once(system.ensure_account, JANE) == made


async def test_nobody_is_out_already(
    system: Desks,
    contract: Kit,
) -> None:
    """Where there is no account, suspending is done already."""
    account, effect = await contract.done(system.suspend, JANE)
    assert (account.state, effect.changed) == ("absent", False)
    with pytest.raises(Invalid):
        await system.restore(JANE)


async def test_lost_calls_are_survived(
    system: Desks,
    contract: Kit,
) -> None:
    """However a call is lost, there is one account in the end."""
    await contract.survives_lost_calls(system.ensure_account, JANE)
    await contract.survives_lost_calls(system.suspend, JANE)
    await contract.survives_lost_calls(system.restore, JANE)


async def test_what_is_seen_late_is_waited_for(
    system: Desks,
    contract: Kit,
) -> None:
    """A list that trails behind makes no second account."""
    contract.simulator.fail("*", Lag("desks.accounts", 4))
    await contract.survives_lost_calls(system.ensure_account, JANE)


async def test_accounts_of_others_are_left_alone(
    system: Desks,
    contract: Kit,
) -> None:
    """Unmarked or marked for somebody else, it is a conflict, and no change."""
    contract.simulator.create_by_hand(JANE.email)
    conflict = await contract.conflicts(system.ensure_account, JANE)
    assert conflict.evidence == "no marker"
    contract.simulator.reset()
    await system.ensure_account(JANE)
    for operation in (system.ensure_account, system.suspend, system.restore):
        conflict = await contract.conflicts(operation, OTHER)
        assert conflict.evidence == "marker of another"


async def test_a_preview_changes_nothing(
    system: Desks,
    contract: Kit,
) -> None:
    """What would be done is said without doing it."""
    ahead = await contract.previewed(system.ensure_account, JANE)
    assert (ahead.verdict, ahead.call) == ("would change", CREATE.operation)
    assert ahead.sends_email == "person"
    await system.ensure_account(JANE)
    ahead = await contract.previewed(system.ensure_account, JANE)
    assert ahead.verdict == "nothing to do"
    ahead = await contract.previewed(system.ensure_account, OTHER)
    assert ahead.verdict == "conflict"


async def test_scopes_are_needed_and_named(
    system: Desks,
    contract: Kit,
) -> None:
    """Without a scope that an operation declares, it is refused by name."""
    await contract.needs_its_scopes(system.find, JANE)
    await contract.needs_its_scopes(system.ensure_account, JANE)
    await system.ensure_account(JANE)
    await contract.needs_its_scopes(system.suspend, JANE)


@pytest.mark.parametrize(
    ("at", "fault", "kind"),
    [
        (CREATE.operation, Seats(0), NoCapacity),
        (CREATE.operation, Status(500), OutcomeUnknown),
        (CREATE.operation, VendorError("invalid"), Invalid),
        (CREATE.operation, DropField("id"), ContractDrift),
        (LIST.operation, DropField("accounts"), ContractDrift),
        (LIST.operation, Status(500), Transient),
        (LIST.operation, Throttle(), Throttled),
        ("*", Down(), Transient),
        ("*", RevokeToken(), AuthFailed),
    ],
)
async def test_failures_have_their_class(
    system: Desks,
    contract: Kit,
    at: str,
    fault: Effect,
    kind: type[StepError],
) -> None:
    """Each failure has the class that decides what becomes of it."""
    await contract.fails_as(kind, system.ensure_account, JANE, fault=fault, at=at)


async def test_the_check_names_what_is_missing(
    system: Desks,
    contract: Kit,
) -> None:
    """The check proves the token, and names a scope that it lacks."""
    found = await system.check()
    assert (found.ok, found.identity, found.missing) == (True, "Acme", ())
    contract.simulator.fail("*", RemoveScope("accounts:write"))
    found = await system.check()
    assert (found.ok, found.missing) == (False, ("accounts:write",))


async def test_everybody_is_listed(
    system: Desks,
    contract: Kit,
) -> None:
    """All accounts are given with their marks, over several pages."""
    for number in range(4):
        contract.simulator.create_by_hand(f"by.hand{number}@acme.example")
    await system.ensure_account(JANE)
    marks = [held.marker async for held in system.accounts()]
    assert marks == ["", "", "", "", "4711"]
