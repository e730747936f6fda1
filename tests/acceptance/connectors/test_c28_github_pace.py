"""C28: four workers with one credential change GitHub a second apart, by its own clock."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from newel.base.clock import SystemClock
from newel.base.secrets import SecretRef
from newel.connectors.github import GitHub
from newel.domain.people import Person
from newel.engine.gates import SharedGate
from newel.simulators.github import GitHubSimulator
from newel.store.database import Database
from newel.testing.transport import SimulatorTransport


def _person(name: str) -> Person:
    return Person(name=name, email=f"{name}@acme.example", hr_key=name)


async def test_c28_changes_of_four_workers_are_a_second_apart(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C28: invitations by name, by address and teams share one pace over all workers."""
    sim = GitHubSimulator()
    given = sim.credentials()
    monkeypatch.setenv("T_C28_TOKEN", given["GITHUB_TOKEN"])
    database = await Database.open(database_url)
    clock = SystemClock()

    def worker() -> GitHub:
        made = GitHub(
            org="acme-example",
            token=SecretRef("env:T_C28_TOKEN"),
            transport=SimulatorTransport(sim),
        )
        made.share(
            lambda each, pause: SharedGate(
                database, each.credential, each.buckets, clock=clock, pause=pause
            )
        )
        return made

    one, two, three, four = (worker() for _ in range(4))
    for name in ("ann", "ben", "cid"):
        sim.create_by_hand(name)
    calls: list[Any] = [
        one.ensure_member(_person("dan"), "dan"),
        two.ensure_invited(_person("eve")),
        three.join_team(_person("ann"), "ann", "platform"),
        four.grant(_person("ben"), "ben", "api"),
    ]
    await asyncio.gather(*calls)
    await database.close()
    changes = sim.calls(mutating=True, committed=True)
    moments = [datetime.fromisoformat(each.time) for each in changes]
    assert len(moments) == 4
    assert all(then - now >= timedelta(seconds=1) for now, then in pairwise(sorted(moments)))
