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
    decision = await approval("final-pay", by=team("finance"))
    if not decision.approved:
        return "not paid"
    await gusto.terminate_with_final_pay(person, LAST_DAY)
    return "paid"


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
    async with running(paid_out.request(JANE)) as run:
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
