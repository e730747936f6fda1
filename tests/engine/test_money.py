"""Money: what asks for an approval is sent from a run only after somebody has approved."""

from __future__ import annotations

from datetime import date

import pytest

from newel import Person, approval, process, team
from newel.base.secrets import SecretRef
from newel.connectors.payroll import Gusto
from newel.simulators.gusto import GustoSimulator
from newel.testing import running
from newel.testing.transport import SimulatorTransport

JANE = Person(name="Jane Doe", email="jane.doe@acme.example", hr_key="4711")
LAST_DAY = date(2030, 12, 31)
SIMULATOR = GustoSimulator(seed=7)
gusto = Gusto(
    company=SIMULATOR.company,
    token=SecretRef("env:T_MONEY_TOKEN"),
    transport=SimulatorTransport(SIMULATOR),
)


@process(owner="hr")
async def paid_out(person: Person) -> None:
    """Nobody is asked."""
    await gusto.ensure_employee(person)
    await gusto.terminate_with_final_pay(person, LAST_DAY)


@process(owner="hr")
async def asked_first(person: Person) -> str:
    """Somebody is asked, and their answer counts."""
    await gusto.ensure_employee(person)
    decision = await approval(
        "final-pay",
        by=team("finance"),
        allows=[gusto.terminate_with_final_pay(person, LAST_DAY)],
    )
    if not decision.approved:
        return "not paid"
    await gusto.terminate_with_final_pay(person, LAST_DAY)
    return "paid"


@process(owner="hr")
async def asked_otherwise(person: Person, what: str) -> None:
    """Somebody says yes, but to another day, to another person, or to nothing in particular."""
    await gusto.ensure_employee(person)
    calls = {
        "nothing": [],
        "another day": [gusto.terminate_with_final_pay(person, date(2031, 1, 31))],
        "another person": [gusto.terminate_with_final_pay(person.manager or person, LAST_DAY)],
    }
    await approval("final-pay", by=team("finance"), allows=calls[what])
    await gusto.terminate_with_final_pay(person, LAST_DAY)


@process(owner="hr")
async def pay(person: Person) -> None:
    """The part of another run that pays."""
    await gusto.terminate_with_final_pay(person, LAST_DAY)


@process(owner="hr")
async def in_a_child(person: Person, is_named: bool) -> None:
    """A child pays, after its parent was asked."""
    await gusto.ensure_employee(person)
    named = [gusto.terminate_with_final_pay(person, LAST_DAY)]
    decision = await approval("final-pay", by=team("finance"), allows=named if is_named else [])
    if decision.approved:
        await pay(person)


@pytest.fixture(autouse=True)
def payroll(monkeypatch: pytest.MonkeyPatch):
    """Payroll without anybody in it, and its token at hand."""
    SIMULATOR.reset()
    monkeypatch.setenv("T_MONEY_TOKEN", SIMULATOR.credentials()["GUSTO_TOKEN"])
    SecretRef("env:T_MONEY_TOKEN").resolve(fresh=True)


def sent() -> int:
    """Count the requests that could have paid somebody out."""
    return len(SIMULATOR.calls("post-*-terminations"))


async def test_without_an_approval_nothing_is_sent():
    """The run is parked for a person, saying which approval is missing; payroll heard nothing."""
    async with running(paid_out.request(JANE), reads=False) as run:
        (parked,) = run.parked().values()
        assert parked.reason == "forbidden"
        assert "final pay" in parked.sentence
        assert sent() == 0


@pytest.mark.parametrize(
    ("approved", "result", "calls"), [(True, "paid", 1), (False, "not paid", 0)]
)
async def test_the_answer_of_whoever_is_asked_counts(approved, result, calls):
    """After an approval it is sent once; after a refusal not at all."""
    async with running(asked_first.request(JANE)) as run:
        assert sent() == 0
        await run.decide("final-pay", approved=approved)
        assert await run.result() == result
        assert sent() == calls


@pytest.mark.parametrize("what", ["nothing", "another day", "another person"])
async def test_a_yes_to_something_else_allows_nothing(what):
    """An approval of this run that did not name this very call sends nothing."""
    boss = Person(name="Mary Major", email="mary@acme.example")
    jane = Person(name=JANE.name, email=JANE.email, hr_key=JANE.hr_key, manager=boss)
    async with running(asked_otherwise.request(jane, what), reads=False) as run:
        await run.decide("final-pay", approved=True)
        (parked,) = run.parked().values()
        assert "allows=" in parked.sentence
        assert sent() == 0


@pytest.mark.parametrize(("is_named", "calls"), [(True, 1), (False, 0)])
async def test_a_child_inherits_what_its_parent_was_allowed(is_named, calls):
    """The call that was named is done once in the child; without a name nothing is sent."""
    async with running(in_a_child.request(JANE, is_named), processes=[pay]) as run:
        await run.decide("final-pay", approved=True)
        assert sent() == calls
        assert run.state == ("completed" if is_named else "waiting")
