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
from newel.connectors.payroll import Gusto
from newel.connectors.salesforce import Salesforce
from newel.connectors.scim import Scim
from newel.simulators.bamboohr import BambooHRSimulator
from newel.simulators.core import Simulator
from newel.simulators.gusto import GustoSimulator
from newel.simulators.salesforce import SalesforceSimulator
from newel.simulators.scim import ScimSimulator
from newel.testing import routes_agree

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
    base = "/scim/v2" if connector is Scim else ""
    routes_agree(connector, called, simulator, base=base)
