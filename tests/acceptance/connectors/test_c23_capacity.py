"""Seats and licences that run out: told before somebody is refused, and seen when some are free."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from newel import Person, process
from newel.base.errors import NoCapacity
from newel.base.secrets import SecretRef
from newel.connectors.base import Connector
from newel.connectors.github import GitHub
from newel.connectors.http import REQUESTS
from newel.connectors.jira import Jira
from newel.connectors.room import Room
from newel.connectors.salesforce import Salesforce
from newel.simulators.core import Simulator
from newel.simulators.faults import Fault, RemoveScope, Seats
from newel.simulators.github import GitHubSimulator
from newel.simulators.jira import JiraSimulator
from newel.simulators.salesforce import SalesforceSimulator
from newel.testing.transport import SimulatorTransport
from tests.connectors.support import JANE, Time, agreed, raised
from tests.engine.conftest import build as build
from tests.engine.house import House

SOME = timedelta(minutes=16)


def connected(system: str, time: Time, monkeypatch: pytest.MonkeyPatch, **world: Any) -> Any:
    """A connector and its simulator."""
    made: dict[str, type[Simulator]] = {
        "github": GitHubSimulator,
        "jira": JiraSimulator,
        "salesforce": SalesforceSimulator,
    }
    sim = made[system](seed=7, clock=time.world, sleep=time.pause, **world)
    given = sim.credentials()
    for name, value in given.items():
        monkeypatch.setenv(f"T_ROOM_{name}", value)
    outside: Any = {"transport": agreed(sim), "clock": time.clock, "pause": time.pause}

    def secret(name: str) -> SecretRef:
        reference = SecretRef(f"env:T_ROOM_{name}")
        reference.resolve(fresh=True)
        return reference

    connector: Connector
    match system:
        case "github":
            connector = GitHub(org="acme-example", token=secret("GITHUB_TOKEN"), **outside)
        case "jira":
            connector = Jira(
                email=given["JIRA_EMAIL"],
                token=secret("JIRA_TOKEN"),
                base_url=given["JIRA_URL"],
                **outside,
            )
        case _:
            connector = Salesforce(
                client_id=given["SALESFORCE_CLIENT_ID"],
                username=given["SALESFORCE_USERNAME"],
                key=secret("SALESFORCE_KEY"),
                profile_id=given["SALESFORCE_PROFILE_ID"],
                marker_field="Newel_Id__c",
                **outside,
            )
    return connector, sim


def hire(connector: Any) -> Any:
    """The operation that takes a seat."""
    match connector:
        case GitHub():
            return connector.ensure_member(JANE, "jane-doe")
        case Jira():
            return connector.ensure_account(JANE, products=("jira-software",))
        case _:
            return connector.ensure_account(JANE)


async def seats_of(connector: Connector) -> list[Room]:
    """What is left of seats and licences; requests come back by themselves."""
    return [each for each in await connector.capacity() if each.what != REQUESTS]


@pytest.mark.parametrize("system", ["github", "jira", "salesforce"])
async def test_what_is_left_is_read_and_named_as_the_refusal_names_it(system, time, monkeypatch):
    """C23: seats are read without changing anything; the last one refused has the same name."""
    bought = {"licences" if system == "salesforce" else "seats": 5}
    connector, sim = connected(system, time, monkeypatch, **bought)
    rooms = await seats_of(connector)
    assert {each.most for each in rooms} == {5}
    assert all(0 < each.left <= 5 and not each.is_short for each in rooms)
    sim.faults.add(Fault(id="full", effect=Seats(left=0)))
    rooms = await seats_of(connector)
    assert all((each.left, each.is_short) == (0, True) for each in rooms)
    assert sim.mutations() == []
    refused = await raised(hire(connector), NoCapacity)
    assert {each.what for each in rooms} == {refused.what}


async def test_who_may_not_see_seats_is_told_none(time, monkeypatch):
    """A credential that only opens tickets is not refused, and nothing is claimed."""
    jira, sim = connected("jira", time, monkeypatch)
    sim.fail("*", RemoveScope("ADMINISTER"))
    assert await jira.capacity() == ()
    github, _ = connected("github", time, monkeypatch, seats=None)
    assert await github.capacity() == ()


def test_it_is_time_to_buy_before_the_last_seat_is_gone():
    """Fewer than three, or than one of twenty."""
    short = [
        (each.most, each.left)
        for most in (2, 10, 100)
        for used in range(most + 1)
        if (each := Room(what="seats", most=most, used=used)).is_short
    ]
    assert short == [(2, 2), (2, 1), (2, 0), (10, 2), (10, 1), (10, 0)] + [
        (100, left) for left in (4, 3, 2, 1, 0)
    ]
    assert str(Room(what="Jira seats", most=5, used=4, which="jira")) == (
        "1 of 5 free (Jira seats, jira)"
    )


def inviting(github: GitHub) -> Any:
    """A process that takes a seat."""

    @process
    async def joining(person: Person) -> None:
        """Make them a member."""
        await github.ensure_member(person, person.email.partition("@")[0])

    return joining


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An organization with two seats, of which its owner has one, and the connector to it."""
    sim = GitHubSimulator(seed=3, seats=2)
    monkeypatch.setenv("T_SEATS", sim.credentials()["GITHUB_TOKEN"])
    SecretRef("env:T_SEATS").resolve(fresh=True)
    github = GitHub(
        org="acme-example", token=SecretRef("env:T_SEATS"), transport=SimulatorTransport(sim)
    )
    return sim, github


async def joined(house: House, name: str) -> Any:
    """Start a run for somebody, and wait until it rests."""
    person = {"name": name, "email": f"{name.lower()}@acme.example"}
    run = await house.start("joining", person)
    return run, await house.rested(run)


async def test_parked_hires_go_on_when_seats_are_bought(build, world):
    """C23: no round, one incident, one ticket; each seat that is bought lets one hire go on."""
    sim, github = world
    async with build([inviting(github)], systems=[github]) as house, house.worker():
        first, state = await joined(house, "Ann")
        assert (state, await house.ended(first)) == ("completed", "completed")
        waiting = [await joined(house, name) for name in ("Bob", "Eve")]
        assert [state for _, state in waiting] == ["parked", "parked"]
        rows = await house.database.fetch("select fingerprint, state from newel.incident")
        told = [(row["fingerprint"].partition("/")[2], row["state"]) for row in rows]
        assert told == [("capacity:GitHub seats", "escalated")]

        async def ticketed() -> bool:
            return len(house.desk.opened) == 1

        await house.until(ticketed)
        before = len(sim.mutations())
        await house.move(SOME)

        async def looked() -> bool:
            row = await house.database.fetchrow(
                "select probe_at > newel.now() as later from newel.incident"
            )
            return bool(row["later"])

        await house.until(looked)
        assert len(sim.mutations()) == before  # it was read, and nothing was tried

        for bought, done in ((3, 1), (4, 2)):
            sim.store.put("orgs", *_with_seats(sim, bought))
            await house.move(SOME)

            async def went_on(done: int = done) -> bool:
                ended = await house.database.fetchval(
                    "select count(*) from newel.run where process = 'joining' "
                    "and state = 'completed'"
                )
                return ended >= 1 + done

            await house.until(went_on)

        async def closed() -> bool:
            return house.desk.closed == ["OPS-1"]

        await house.until(closed)
        assert len(house.desk.opened) == 1


def _with_seats(sim: GitHubSimulator, seats: int) -> tuple[str, Any]:
    (key, row), *_ = sim.store.rows("orgs").items()
    return key, {**row, "seats": seats}


async def test_seats_that_run_out_are_asked_for_once(build, world):
    """The nightly question sees one seat left: one task, however many nights."""
    _, github = world
    more = {"systems": [github], "probe_at": "0 3 * * *"}
    async with build([], **more) as house, house.worker():
        for nights in (1, 2):
            next_at = await house.database.fetchval("select next_at from newel.schedule")
            await house.move(next_at - await house.now() + timedelta(seconds=1))

            async def asked(nights: int = nights) -> bool:
                done = await house.database.fetchval(
                    "select count(*) from newel.run where process = 'newel.probe' "
                    "and state = 'completed'"
                )
                return done == nights

            await house.until(asked)
        rows = await house.database.fetch("select title, owner, instructions from newel.task")
        assert [(row["title"], row["owner"]) for row in rows] == [
            ("buy or free seats of GitHub", "it")
        ]
        assert "1 of 2 free (GitHub seats)" in rows[0]["instructions"]
