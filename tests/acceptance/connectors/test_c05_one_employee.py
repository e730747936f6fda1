"""C5: two runs enrol one person at the same moment, on two workers; payroll has one employee."""

from __future__ import annotations

import asyncio

from newel import Account, Person, process
from newel.base.secrets import SecretRef
from newel.connectors.payroll import Gusto
from newel.simulators.faults import Latency
from newel.simulators.gusto import GustoSimulator
from newel.testing.transport import SimulatorTransport
from tests.engine.conftest import build as build


async def test_two_runs_at_once_add_one_employee(build, monkeypatch):
    """C5: nothing is unique in Gusto, and yet there is one POST; the second run finds her."""
    sim = GustoSimulator(seed=3)
    given = sim.credentials()
    monkeypatch.setenv("T_C05", given["GUSTO_TOKEN"])
    SecretRef("env:T_C05").resolve(fresh=True)
    gusto = Gusto(
        company=given["GUSTO_COMPANY"],
        token=SecretRef("env:T_C05"),
        transport=SimulatorTransport(sim),
    )

    @process
    async def hired(person: Person) -> Account:
        """Enrol them."""
        return await gusto.ensure_employee(person)

    @process
    async def moved(person: Person) -> Account:
        """Enrol them, for another reason."""
        return await gusto.ensure_employee(person)

    sim.fail("*", Latency(fixed_ms=50))  # long enough for both to look before one has created
    jane = {"name": "Jane O'Doe 🎉", "email": "jane@acme.example", "hr_key": "4711"}
    async with build([hired, moved], systems=[gusto]) as house, house.worker(), house.worker():
        runs = await asyncio.gather(*(house.start(name, jane) for name in ("hired", "moved")))
        for run in runs:
            assert await house.ended(run) == "completed"
        outcomes = [
            leaf["data"]
            for run in runs
            for leaf in await house.leaves(run)
            if leaf["type"] == "step.succeeded"
        ]
    posts = [call for call in sim.calls(mutating=True) if call.method == "POST"]
    assert len(posts) == 1
    assert len(sim.accounts()) == 1
    assert sorted(each["changed"] for each in outcomes) == [False, True]
