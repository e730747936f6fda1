"""R08, kill_everywhere: kill -9 of the worker at every boundary of an onboarding.

The boundaries are counted, not listed: each commit, and each answer of a system outside. The same
faults by chance, on fleets of processes, are those of `make faults`.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest

from newel.simulators.world import World
from newel.store import workers
from tests.acceptance.company_house import URLS, CompanyHouse
from tests.acceptance.outage import ticketed
from tests.engine.test_crashes import assert_unbroken

HELD = {
    ("google:account", "active"),
    ("slack:account", "active"),
    ("jira:account", "active"),
    ("jira:product/jira-software", "active"),
    ("gusto:account", "active"),
    ("github:account", "active"),
    ("github:team/platform", "active"),
    ("github:repo/acme-example/api", "active"),
}
SHARDS = 4
_MOMENT = timedelta(seconds=1)
SESSIONS = (
    "select pid, state, wait_event, now() - xact_start as since, left(query, 200) as query, "
    "pg_blocking_pids(pid) as behind from pg_stat_activity where datname = current_database()"
)


async def _order(house: CompanyHouse, run: Any, tmp_path: Any, **more: Any) -> dict[str, Any]:
    addresses = {name: os.environ[variables[0]] for name, variables in URLS.items()}
    return {
        "url": house.database.dsn,
        "kek": str(tmp_path / "kek"),
        "addresses": addresses,
        "run": str(run),
        **more,
    }


async def _survives(
    house: CompanyHouse, mortal: Any, tmp_path: Any, world: World, **boundary: Any
) -> None:
    """One onboarding whose worker dies at a boundary, and goes on under another worker."""
    run = await house.onboard()
    told = await mortal.work(**await _order(house, run, tmp_path, **boundary))
    # how many Changes share a commit depends on timing, so the last boundaries may not be reached
    assert told["killed"] or told["state"] == "completed", boundary
    await house.database.execute(
        "update newel.worker set lease_until = clock_timestamp() - interval '1 second'"
    )
    async with house.database.transaction() as connection:
        await workers.take_over(connection)
    async with house.worker():
        assert await house.finish(run) == "completed", boundary
    assert world.doubled() == {}, boundary
    grants = await house.database.fetch("select entitlement, state from newel.access_grant")
    assert {(row["entitlement"], row["state"]) for row in grants} == HELD, boundary
    await assert_unbroken(house, run)


async def _clear(house: CompanyHouse, world: World) -> None:
    """Make database and world as they were before the last onboarding.

    Else the ledger would find that accounts it knows of are gone, and are being made anew.
    """
    world.reset()
    for is_again in (False, True):
        try:
            await house.database.execute(
                "truncate newel.run, newel.open_act, newel.task, newel.access_grant, "
                "newel.incident, newel.ticket, newel.person, newel.person_key, newel.worker, "
                "newel.inbox cascade"
            )
        except TimeoutError as waited:
            seen = await house.database.fetch(SESSIONS)
            # The server had nothing to do in all that time: it was the machine that stood still.
            is_asleep = all((each["since"] or _MOMENT) <= _MOMENT for each in seen)
            if is_again or not is_asleep:
                raise AssertionError(seen) from waited  # somebody holds a table
        else:
            return


async def _count(acme: Any, mortal: Any, tmp_path: Any) -> dict[str, int]:
    async with acme() as house:
        run = await house.onboard()
        order = await _order(house, run, tmp_path, at="commit", number=0, when="before")
        told = await mortal.work(**order)
        assert told["state"] == "completed"
    return {"commit": told["commit"], "answer": told["answer"]}


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("kind", ["commit", "answer"])
async def test_a_worker_killed_at_any_boundary_changes_nothing(
    acme, mortal, tmp_path, world, kind, shard
):
    """R08: same end state and each effect once, wherever the process dies; generated."""
    total = (await _count(acme, mortal, tmp_path))[kind]
    assert total > 10
    sides = ("before", "after") if kind == "commit" else ("after",)  # unsent is like uncommitted
    boundaries = [(number, when) for number in range(1, total + 1) for when in sides]
    async with acme() as house:
        for number, when in boundaries[shard::SHARDS]:
            await _clear(house, world)
            await _survives(house, mortal, tmp_path, world, at=kind, number=number, when=when)


async def test_a_frozen_worker_writes_nothing_when_it_wakes(acme, mortal, tmp_path, world):
    """SIGSTOP before a commit, beyond the lease: another finishes, the sleeper is fenced."""
    async with acme() as house:
        run = await house.onboard()
        order = await _order(house, run, tmp_path, at="commit", number=3, when="before")
        assert await mortal.work(**order, freeze=True) == {"frozen": True}
        await house.database.execute(
            "update newel.worker set lease_until = clock_timestamp() - interval '1 second'"
        )
        async with house.database.transaction() as connection:
            await workers.take_over(connection)
        async with house.worker():
            assert await house.finish(run) == "completed"
        before = await house.leaves(run)
        woken = await mortal.told("go on")
        assert (woken["killed"], woken["state"]) == (False, "completed")
        assert await house.leaves(run) == before
        assert world.doubled() == {}
        await assert_unbroken(house, run)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_worker_killed_around_its_ticket_leaves_one_issue(
    acme, mortal, tmp_path, world, when
):
    """R05 (I8), slow, an hour of rounds: kill -9 before the issue is asked for, and behind it."""
    async with acme() as house:
        async with house.worker():
            run = await house.reserved()
        world.github.down()
        order = await _order(house, run, tmp_path, at="ticket", number=1, when=when)
        assert (await mortal.work(**order))["killed"]
        assert len(world.jira.calls("createIssue", committed=True)) == (when == "after")
        await house.database.execute(
            "update newel.worker set lease_until = clock_timestamp() - interval '1 second'"
        )
        async with house.database.transaction() as connection:
            await workers.take_over(connection)
        telling = await house.database.fetchval(
            "select id from newel.run where process = 'newel.incident'"
        )
        async with house.worker():
            while not await house.database.fetchval("select count(*) from newel.ticket"):
                await house.rested(telling)
                if (await house.row(telling))["wake_at"] is not None:
                    await house.move_to_next(telling)  # it looks again, before it asks again
            await ticketed(house, world)
        assert len(world.jira.calls("createIssue", committed=True)) == 1
        assert await house.database.fetchval("select count(*) from newel.ticket") == 1
        await assert_unbroken(house, run)
