"""A person comes, comes twice, and goes: payroll, Salesforce and a SCIM directory in whole runs."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from newel import Person, SecretRef, minutes, process
from newel.connectors.google import Google
from newel.connectors.payroll import Gusto
from newel.connectors.salesforce import Salesforce
from newel.connectors.scim import Scim
from newel.simulators import LoseResponse, ScimSimulator
from newel.testing import Saas, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name
from tests.connectors.support import agreed

JANE = Person(name="Jane Doe", email="jane.doe@acme.example", hr_key="4711")
DIRECTORY = ScimSimulator(seed=7, page_size=3)

google = Google(service_account=SecretRef("env:GOOGLE_SERVICE_ACCOUNT"), admin="admin@acme.example")
gusto = Gusto(company="set by the fixture", token=SecretRef("env:GUSTO_TOKEN"))
salesforce = Salesforce(
    client_id="set by the fixture",
    username="set.by@the.fixture",
    key=SecretRef("env:SALESFORCE_KEY"),
    profile_id="set by the fixture",
    marker_field="Newel_Id__c",
)
directory = Scim(
    name="directory",
    base_url="https://scim.example/scim/v2",
    token=SecretRef("env:SCIM_TOKEN"),
    transport=agreed(DIRECTORY),
)


@process
async def joining(person: Person) -> str:
    """Give somebody everything."""
    await google.reserve_address(person)
    await gusto.ensure_employee(person)
    await gusto.set_job(person, "Engineer", date(2026, 2, 2))
    user = await salesforce.ensure_account(person)
    await salesforce.assign_permission_set(user, "Sales_Console")
    account = await directory.ensure_account(person)
    await directory.join_group(account, "Staff")
    return account.handle


@process
async def leaving(person: Person) -> None:
    """Take everything away."""
    account = await directory.find(person)
    assert account is not None
    await directory.leave_group(account, "Staff")
    await directory.deactivate(person)
    await salesforce.deactivate(person)
    await gusto.terminate(person, date(2026, 12, 31))


@pytest.fixture(autouse=True)
def _systems(saas: Saas, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - as above
    given = saas.world.credentials() | DIRECTORY.credentials()
    DIRECTORY.reset()
    monkeypatch.setenv("SCIM_TOKEN", given["SCIM_TOKEN"])  # `saas` has set the others
    SecretRef("env:SCIM_TOKEN").resolve(fresh=True)
    monkeypatch.setattr(gusto, "company", given["GUSTO_COMPANY"])
    monkeypatch.setattr(salesforce, "_client_id", given["SALESFORCE_CLIENT_ID"])
    monkeypatch.setattr(salesforce, "_username", given["SALESFORCE_USERNAME"])
    monkeypatch.setattr(salesforce, "_profile_id", given["SALESFORCE_PROFILE_ID"])


def systems(saas: Saas) -> dict[str, Any]:  # noqa: F811 - as above
    """Give the three stand-ins."""
    return {"gusto": saas.world.gusto, "salesforce": saas.world.salesforce, "scim": DIRECTORY}


def mutations(saas: Saas) -> dict[str, int]:  # noqa: F811 - as above
    """Count the requests that changed something, by system."""
    return {
        name: len([call for call in each.mutations() if call.committed])
        for name, each in systems(saas).items()
    }


ONCE = {"gusto": 2, "salesforce": 2, "scim": 2}


async def test_a_second_run_changes_nothing_at_all(saas: Saas):  # noqa: F811 - as above
    """Everything given once more is found; taking it away twice takes it away once."""
    async with running(joining.request(JANE), processes=[leaving]) as run:
        assert await run.result() == JANE.email
        again = await run.start(joining.request(JANE))
        assert await again.result() == JANE.email
        assert mutations(saas) == ONCE
        for _ in range(2):
            left = await run.start(leaving.request(JANE))
            await left.result()
    assert mutations(saas) == {"gusto": 3, "salesforce": 4, "scim": 4}


@pytest.mark.parametrize(
    ("system", "operation"),
    [
        ("gusto", "post-v1-employees"),
        ("gusto", "post-v1-employees-employee_id-jobs"),
        ("salesforce", "upsertUser"),
        ("salesforce", "createPermissionSetAssignment"),
        ("scim", "scim/users/create"),
        ("scim", "scim/groups/patch"),
    ],
)
async def test_a_lost_answer_anywhere_changes_nothing(
    saas: Saas,  # noqa: F811 - as above
    system: str,
    operation: str,
):
    """Whichever answer is lost, everything is there once, without a ticket."""
    systems(saas)[system].fail(operation, LoseResponse(), times=1)
    async with running(joining.request(JANE)) as run:
        run.clock.advance(minutes(10))
        assert await run.result() == JANE.email
        assert run.tickets.opened == []
    assert mutations(saas) == ONCE
    assert [each.book.doubled() for each in systems(saas).values()] == [{}, {}, {}]
