"""The nightly question of each system: what steps look up is looked up, and nothing is changed."""

from __future__ import annotations

import pytest

from newel.base.errors import ContractDrift
from newel.connectors.declaring import declared
from newel.simulators.faults import DropField
from tests.connectors.cases import CASES, connected, keep_secret
from tests.connectors.support import JANE, Time, attempt

LOST = {
    "scim": ("scim/users/list", "Resources.0.id"),
    "salesforce": ("query", "records.0.Id"),
    "slack": ("scim/list", "Resources.0.id"),
    "google": ("directory.users.get", "primaryEmail"),
    "github": ("orgs/get-membership-for-user", "state"),
    "jira": ("findUsers", "0.accountId"),
    "gusto": ("get-v1-companies-company_id-employees", "0.uuid"),
}
"""By system: what is read that a listing does not show, and a field that steps need of it."""


@pytest.fixture(params=sorted(CASES))
def system(request, monkeypatch):
    """Give a system: its name, simulator and connector, and the work that makes Jane's account."""
    case = CASES[request.param]
    keep_secret(monkeypatch, case)
    time = Time()
    simulator, connector = connected(case, time)
    return request.param, simulator, connector, _filling(case, connector, time)


async def _filling(case, connector, time) -> None:
    name = case.ends[0]
    with attempt(time):
        await getattr(connector, name).called(JANE, *case.arguments.get(name, ()))


async def test_what_steps_look_up_is_asked_for_and_nothing_is_changed(system):
    """The look-up of steps is among what is read."""
    _, simulator, connector, filling = system
    await filling
    before, seen = len(simulator.mutations()), len(simulator.calls())
    await connector.examine.called()
    asked = {each.operation for each in simulator.calls()[seen:]}
    assert asked & set(declared(type(connector).find).reads)
    assert len(simulator.mutations()) == before
    await connector.aclose()


@pytest.mark.parametrize("system", sorted(LOST), indirect=True)
async def test_a_field_that_only_a_look_up_reads_is_missed_at_night(system):
    """It is named by the operation that reads it."""
    name, simulator, connector, filling = system
    await filling
    operation, path = LOST[name]
    simulator.fail(operation, DropField(path))
    with pytest.raises(ContractDrift) as drift:
        await connector.examine.called()
    assert drift.value.operation == operation
    await connector.aclose()
