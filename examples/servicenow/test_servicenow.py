"""What newel relies on in ServiceNow: one incident each, whatever is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from newel import AuthFailed, Forbidden, OutcomeUnknown, SecretRef, Throttled
from newel.connectors.trackers.base import Ticket
from newel.simulators import Lag, LoseResponse, RemoveScope, RevokeToken, Throttle
from newel.testing import Contract, contract_with

from servicenow.servicenow import ServiceNow, ServiceNowIncidents
from servicenow.servicenow_simulator import ServiceNowSimulator

pytestmark = pytest.mark.asyncio

Kit = Contract[ServiceNowSimulator]
TICKET = Ticket(
    incident="inc_01j9",
    title="[newel] github: no answer since 09:00 UTC",
    body="GitHub does not answer.\n\nOne run waits.",
    url="https://newel.example/incidents/inc_01j9",
)


@pytest.fixture
def contract() -> Iterator[Kit]:
    """The stand-in on a standing clock, its secrets in the environment."""
    with contract_with(ServiceNowSimulator) as made:
        yield made


@pytest.fixture
def system(contract: Kit) -> ServiceNow:
    """The connector, speaking to the stand-in."""
    return ServiceNow(
        user=os.environ["SERVICENOW_USER"],
        password=SecretRef("env:SERVICENOW_PASSWORD"),
        base_url=os.environ["SERVICENOW_URL"],
        **contract.outside,
    )


@pytest.fixture
def tracker(system: ServiceNow) -> ServiceNowIncidents:
    """The tracker on it."""
    return ServiceNowIncidents(servicenow=system)


async def test_an_incident_is_opened_once(
    tracker: ServiceNowIncidents, contract: Kit
) -> None:
    """Asked twice there is one; another incident of newel gets its own."""
    first = await tracker.ensure_ticket(TICKET)
    assert await tracker.ensure_ticket(TICKET) == first
    other = await tracker.ensure_ticket(replace(TICKET, incident="inc_02k1"))
    assert other != first
    assert await tracker.find("inc_nothing") is None
    assert len(contract.simulator.tickets()) == 2


async def test_a_lost_answer_opens_no_second_one(
    tracker: ServiceNowIncidents, contract: Kit
) -> None:
    """The create arrives and its answer is lost: asked again, it is found."""
    contract.simulator.fail("incident.create", LoseResponse(), times=1)
    with pytest.raises(OutcomeUnknown):
        await tracker.ensure_ticket(TICKET)
    again = await tracker.ensure_ticket(TICKET)
    assert [each["key"] for each in contract.simulator.tickets()] == [again.key]


async def test_a_note_is_written_once_per_key(
    tracker: ServiceNowIncidents, contract: Kit
) -> None:
    """However often, and over several pages: one note for each key."""
    ref = await tracker.ensure_ticket(TICKET)
    for key in ("k1", "k2", "k3", "k4", "k5", "k1", "k5"):
        await tracker.comment(ref, key, "Two runs wait.")
    assert len(contract.simulator.tickets()[0]["comments"]) == 5


async def test_an_incident_is_resolved_and_opened_once(
    tracker: ServiceNowIncidents, contract: Kit
) -> None:
    """Each changes something once, with the code and the notes that it asks for."""
    ref = await tracker.ensure_ticket(TICKET)
    for change, status in ((tracker.resolve, "Done"), (tracker.reopen, "To Do")):
        before = len(contract.simulator.calls(committed=True))
        for _ in range(2):
            await change(ref)
        assert contract.simulator.tickets()[0]["status"] == status
        assert len(contract.simulator.calls(committed=True)) == before + 1


async def test_text_and_links_reach_it_once(
    tracker: ServiceNowIncidents, contract: Kit
) -> None:
    """A new text and the links of waiting runs stand in the description, each once."""
    ref = await tracker.ensure_ticket(TICKET)
    for _ in range(2):
        await tracker.describe(ref, "GitHub does not answer. Two runs wait.")
        await tracker.attach(ref, {"run_0": "https://newel.example/runs/run_0"})
    body = contract.simulator.tickets()[0]["body"]
    assert body.count("Two runs wait.") == body.count("runs/run_0") == 1


async def test_of_two_the_oldest_stays(
    tracker: ServiceNowIncidents, contract: Kit
) -> None:
    """A list that lags lets a second one be opened: the sweep resolves that."""
    contract.simulator.fail("*", Lag("servicenow.incidents", 600))
    first = await tracker.ensure_ticket(TICKET)
    await tracker.ensure_ticket(TICKET)
    contract.simulator.heal()
    assert await tracker.sweep(TICKET.incident, first) == 1
    told = [each["status"] for each in contract.simulator.tickets()]
    assert told == ["To Do", "Done"]


async def test_refusals_have_their_class(system: ServiceNow, contract: Kit) -> None:
    """Limit, missing role and wrong password are told apart; check names the role."""
    assert (await system.check()).ok
    contract.simulator.fail("*", Throttle(30), times=1)
    with pytest.raises(Throttled):
        await system.marked("newel:inc_01j9")
    contract.time.move(timedelta(seconds=30))
    contract.simulator.fail("*", RemoveScope("itil"))
    assert (await system.check()).missing == ("itil",)
    with pytest.raises(Forbidden):
        await system.create({"short_description": "x"})
    contract.simulator.heal()
    contract.simulator.fail("*", RevokeToken())
    with pytest.raises(AuthFailed):
        await system.probe()
