"""C22: each permission of the inventory removed in turn stops what lists it, by name.

Here for Salesforce and SCIM; Jira and GitHub, Google, Slack and Gusto have theirs beside their
other tests. With all permissions everything passes.
"""

from __future__ import annotations

from typing import Any

import pytest

from newel.base.errors import Forbidden, StepError
from newel.base.secrets import SecretRef
from newel.connectors.declaring import declared
from newel.connectors.salesforce import Salesforce
from newel.connectors.scim import Scim
from newel.simulators.faults import RemoveScope
from newel.simulators.salesforce import SalesforceSimulator
from newel.simulators.scim import ScimSimulator
from tests.connectors.support import JANE, Time, agreed

# The simulator's words for what Salesforce's set-up pages call so.
SPELT = {
    "API Enabled": "api",
    "Manage Users": "manage_users",
    "Freeze Users": "freeze_users",
    "Assign Permission Sets": "assign_permission_sets",
}
SET = "Sales_Console"  # a permission set that the stand-in has; the group is called so too


def _secret(monkeypatch: pytest.MonkeyPatch, value: str) -> SecretRef:
    monkeypatch.setenv("T_C22_SECRET", value)
    reference = SecretRef("env:T_C22_SECRET")
    reference.resolve(fresh=True)
    return reference


def salesforce(time: Time, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Connect to Salesforce; gives connector and simulator."""
    sim = SalesforceSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3)
    given = sim.credentials()
    connector = Salesforce(
        client_id=given["SALESFORCE_CLIENT_ID"],
        username=given["SALESFORCE_USERNAME"],
        key=_secret(monkeypatch, given["SALESFORCE_KEY"]),
        profile_id=given["SALESFORCE_PROFILE_ID"],
        marker_field="FederationIdentifier",
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )
    return connector, sim


def scim(time: Time, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Connect to a directory; gives connector and simulator."""
    sim = ScimSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3)
    given = sim.credentials()
    connector = Scim(
        name="okta",
        base_url=given["SCIM_URL"],
        token=_secret(monkeypatch, given["SCIM_TOKEN"]),
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
    )
    return connector, sim


# In this order each operation has something to change.
PLAYS: dict[Any, list[str]] = {
    salesforce: [
        "ensure_account",
        "freeze",
        "unfreeze",
        "assign_permission_set",
        "remove_permission_set",
        "deactivate",
        "reactivate",
        "find",
    ],
    scim: [
        "ensure_account",
        "join_group",
        "leave_group",
        "deactivate",
        "reactivate",
        "find",
        "delete_account",
    ],
}
NEEDS = [
    pytest.param(make, need, id=f"{kind.__name__}-{need or 'none'}")
    for make, kind in ((salesforce, Salesforce), (scim, Scim))
    for need in ("", *sorted({n for s in kind.operations().values() for n in declared(s).needs}))
]


@pytest.mark.parametrize(("make", "need"), NEEDS)
async def test_each_permission_serves_the_operations_that_name_it(
    time: Time, monkeypatch: pytest.MonkeyPatch, make: Any, need: str
):
    """All pass with all permissions; with one removed, each that lists it fails by its name."""
    connector, sim = make(time, monkeypatch)
    operations = connector.operations()
    assert set(PLAYS[make]) == set(operations)
    group = SET
    if make is scim:
        sim.create_group(group)
    for name in PLAYS[make]:
        arguments: tuple[Any, ...] = (JANE,)
        if name.endswith(("_group", "_permission_set")):
            arguments = (await connector.find(JANE), group)
        if need and need in declared(operations[name]).needs:
            connector.forget()
            sim.fail("*", RemoveScope(SPELT.get(need, need)))
            with pytest.raises(Forbidden) as refused:
                await getattr(connector, name)(*arguments)
            assert need in str(refused.value)
            sim.heal()
        try:
            await getattr(connector, name)(*arguments)
        except StepError as error:
            raise AssertionError(f"{name} with all permissions") from error
