"""The nightly question: what would fail a run by day is known, and told of, the night before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from newel.base.secrets import SecretRef
from newel.connectors.github import GitHub
from newel.connectors.jira import Jira
from newel.simulators import World
from newel.simulators.faults import DropField, RemoveScope
from newel.testing.transport import SimulatorTransport
from tests.engine.house import OPERATOR, House, opened

ENDS = timedelta(days=20)


@pytest.fixture
def world() -> World:
    """Give the simulated systems."""
    return World(seed=3)


@pytest.fixture
def night(world: World, database_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give an opener of a deployment with GitHub and Jira, asked at three in the morning."""

    @asynccontextmanager
    async def open_(*, token_ends_in: timedelta | None = None) -> AsyncIterator[House]:
        given = world.credentials()
        for name in ("GITHUB_TOKEN", "JIRA_TOKEN"):
            monkeypatch.setenv(f"T_NIGHT_{name}", given[name])
            SecretRef(f"env:T_NIGHT_{name}").resolve(fresh=True)
        ends = None if token_ends_in is None else world.clock.now() + token_ends_in
        systems = [
            GitHub(
                org="acme-example",
                token=SecretRef("env:T_NIGHT_GITHUB_TOKEN"),
                transport=SimulatorTransport(world.github),
            ),
            Jira(
                email=given["JIRA_EMAIL"],
                token=SecretRef("env:T_NIGHT_JIRA_TOKEN"),
                base_url=given["JIRA_URL"],
                token_expires=ends,
                transport=SimulatorTransport(world.jira),
            ),
        ]
        house = await opened(
            database_url, tmp_path / "kek", [], systems=systems, probe_at="0 3 * * *"
        )
        try:
            yield house
        finally:
            await house.database.close()

    return open_


async def next_night(house: House, number: int = 1) -> Any:
    """Move on to three o'clock; gives the run that asks, as soon as it rests."""
    next_at = await house.database.fetchval("select next_at from newel.schedule")
    await house.move(next_at - await house.now() + timedelta(seconds=1))

    async def asked() -> bool:
        return len(await runs(house, "newel.probe")) == number

    await house.until(asked)
    run = (await runs(house, "newel.probe"))[-1]["id"]
    await house.rested(run)
    return run


async def runs(house: House, process: str) -> list[Any]:
    """Give the runs of a process, the oldest first."""
    rows: list[Any] = await house.database.fetch(
        "select * from newel.run where process = $1 order by id", process
    )
    return rows


async def fingerprints(house: House) -> list[str]:
    """Give what the open incidents are about, without the credentials' hashes."""
    rows = await house.database.fetch(
        "select fingerprint from newel.incident where state <> 'closed'"
    )
    return [row["fingerprint"].partition("/")[2] for row in rows]


async def test_a_quiet_night_asks_everybody_and_tells_nobody(night, world):
    """Where all is as agreed the run completes: no incident, no ticket, no mutation."""
    async with night(token_ends_in=timedelta(days=200)) as house, house.worker():
        run = await next_night(house)
        assert await house.ended(run) == "completed"
        assert await fingerprints(house) == []
        assert house.desk.opened == []
        assert world.github.mutations() == world.jira.mutations() == []
        assert {each.operation for each in world.github.calls()} >= {
            "orgs/get",
            "orgs/list-members",
        }
        assert await runs(house, "newel.renewal") == []


async def test_a_paused_system_is_left_alone_and_holds_up_no_other(night, world):
    """Nothing is asked of it, no question waits for it, and what others need is told."""
    async with night(token_ends_in=ENDS) as house, house.worker():
        reason = "it moves tonight"
        await house.engine.systems.pause("github", actor=OPERATOR, reason=reason)
        run = await next_night(house)
        assert (await house.row(run))["state"] == "completed"
        assert world.github.calls() == []
        assert len(await runs(house, "newel.renewal")) == 1
        await house.engine.systems.resume("github", actor=OPERATOR, reason=reason)
        assert await house.ended(await next_night(house, 2)) == "completed"
        assert world.github.calls() != []


@pytest.mark.parametrize(
    ("operation", "faults", "told"),
    [
        ("orgs/list-members", [DropField("0.login")], "drift:orgs/list-members"),
        (
            "*",
            [RemoveScope("members:read"), RemoveScope("members:write")],
            "permission:members:read",
        ),
    ],
    ids=["field", "permission"],
)
async def test_what_has_changed_is_told_before_a_run_meets_it(
    night, world, operation, faults, told
):
    """C37: one incident, one ticket, no run failed, nothing changed; the fix ends it all."""
    async with night() as house, house.worker():
        for each in faults:
            world.github.fail(operation, each)
        run = await next_night(house)
        assert await fingerprints(house) == [told]

        async def ticketed() -> bool:
            return len(house.desk.opened) == 1

        await house.until(ticketed)
        assert world.github.mutations() == []
        assert set(await house.acts(run)) == {"github.examine"}  # Jira has answered meanwhile
        before = len(world.github.calls())

        second = await next_night(house, 2)
        assert await house.ended(second) == "completed"
        assert len(world.github.calls()) == before  # who has an incident is not asked again
        assert len(house.desk.opened) == 1

        world.github.heal()
        await house.engine.retry(run, "github.examine", actor=OPERATOR)
        house.poke()
        assert await house.ended(run) == "completed"

        async def closed() -> bool:
            return await fingerprints(house) == [] and len(house.desk.closed) == 1

        await house.until(closed)


async def test_a_credential_that_ends_is_asked_for_once(night):
    """A token that ends within thirty days makes one task, however many nights pass."""
    async with night(token_ends_in=ENDS) as house, house.worker():
        for number in (1, 2):
            run = await next_night(house, number)
            assert await house.ended(run) == "completed"
        (asked,) = await runs(house, "newel.renewal")
        await house.rested(asked["id"])
        row = await house.database.fetchrow(
            "select title, state from newel.task where run_id = $1", asked["id"]
        )
        assert dict(row) == {"title": "renew the credential of Jira", "state": "open"}
