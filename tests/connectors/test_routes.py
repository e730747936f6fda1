"""What connectors call is what their stand-ins answer."""

from __future__ import annotations

import pytest

from newel.connectors import (
    bamboohr_contract,
    payroll_contract,
    salesforce_contract,
    scim_contract,
)
from newel.connectors.answers import Route
from newel.connectors.bamboohr import BambooHR
from newel.connectors.base import Connector
from newel.connectors.operation import declared
from newel.connectors.payroll import Gusto
from newel.connectors.salesforce import Salesforce
from newel.connectors.scim import Scim
from newel.simulators.bamboohr import BambooHRSimulator
from newel.simulators.core import Simulator
from newel.simulators.gusto import GustoSimulator
from newel.simulators.salesforce import SalesforceSimulator
from newel.simulators.scim import ScimSimulator

SYSTEMS = [
    (BambooHR, bamboohr_contract, BambooHRSimulator),
    (Gusto, payroll_contract, GustoSimulator),
    (Salesforce, salesforce_contract, SalesforceSimulator),
    (Scim, scim_contract, ScimSimulator),
]


@pytest.mark.parametrize(("connector", "contract", "simulator"), SYSTEMS)
def test_every_route_of_a_connector_is_answered(
    connector: type[Connector], contract: object, simulator: type[Simulator]
):
    """Each route exists in the stand-in, and each that changes something is declared."""
    called = [each for each in vars(contract).values() if isinstance(each, Route)]
    answered = {
        (route.operation, method, route.template.count("/"), route.mutating)
        for route in simulator.routes
        for method in route.methods
    }
    base = "/scim/v2" if connector is Scim else ""
    for route in called:
        depth = (base + route.path).count("/")
        assert (route.operation, route.method, depth, route.is_mutating) in answered
    facts = [declared(step) for step in connector.operations().values()]
    known = {name for each in facts for name in (*each.spec, *each.reads)}
    assert known <= {route.operation for route in called}
    changing = {route.operation for route in called if route.is_mutating}
    assert changing <= {name for each in facts for name in each.spec}
    assert not changing & {name for each in facts for name in each.reads}
