"""A token that is revoked while fifty runs use it: told once, and all go on by themselves."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any

import httpx2

from newel import Person, process
from newel.base.secrets import SecretRef
from newel.connectors.github import GitHub
from newel.simulators.faults import RevokeToken
from newel.simulators.github import GitHubSimulator
from newel.testing.transport import SimulatorTransport
from tests.engine.conftest import build as build
from tests.engine.house import House

RUNS = 50
BEFORE = 30
"""So many requests are answered before the token is revoked; each run makes two."""


async def states(house: House) -> dict[str, int]:
    """How many runs are in which state."""
    rows = await house.database.fetch(
        "select state, count(*) as many from newel.run where process = 'looking' group by state"
    )
    return {row["state"]: row["many"] for row in rows}


async def test_fifty_runs_share_one_incident_and_go_on_by_themselves(build: Any, monkeypatch: Any):
    """C21: revoked in the midst of fifty runs on two workers: one incident, one ticket.

    Nothing is sent with the token any more but the check; when it works, all runs complete.
    """
    sim = GitHubSimulator(seed=3)
    monkeypatch.setenv("T_REVOKED", sim.credentials()["GITHUB_TOKEN"])
    SecretRef("env:T_REVOKED").resolve(fresh=True)
    answered: list[int] = []

    def seen(_: httpx2.Request, response: httpx2.Response) -> None:
        answered.append(response.status_code)
        if len(answered) == BEFORE:
            sim.fail("*", RevokeToken())

    transport = SimulatorTransport(sim, observer=seen)
    github = GitHub(org="acme-example", token=SecretRef("env:T_REVOKED"), transport=transport)

    @process
    async def looking(person: Person) -> None:
        """Look twice."""
        name = person.email.partition("@")[0]
        await github.find(name)
        await github.find[f"{name}-again"](name)

    async with (
        build([looking], systems=[github]) as house,
        house.worker(),
        house.worker(),
    ):
        for number in range(RUNS):
            person = {"name": f"Ann {number}", "email": f"ann{number}@acme.example"}
            await house.start("looking", person)

        async def at_rest() -> bool:
            found = await states(house)
            return found.get("completed", 0) + found.get("parked", 0) == RUNS

        await house.until(at_rest)
        parked = (await states(house))["parked"]
        assert parked >= RUNS - BEFORE // 2

        async def ticketed() -> bool:
            return len(house.desk.opened) == 1

        await house.until(ticketed)
        told = await house.database.fetch("select fingerprint, state from newel.incident")
        (incident,) = ((row["fingerprint"].partition("/")[2], row["state"]) for row in told)
        assert incident[0].startswith("auth")
        refused = answered.count(HTTPStatus.UNAUTHORIZED)
        assert refused == len(answered) - BEFORE
        await house.start("looking", {"name": "Bob", "email": "bob@acme.example"})

        async def knows() -> bool:
            return (await states(house)).get("parked") == parked + 1

        await house.until(knows)
        assert len(answered) == BEFORE + refused  # Bob's run asked nothing
        sim.heal()
        await house.move(timedelta(minutes=11))

        async def all_done() -> bool:
            return await states(house) == {"completed": RUNS + 1}

        await house.until(all_done)
        assert len(house.desk.opened) == 1
