"""Counting how systems answer: calls of steps, by length, failures among them, for two days."""

from __future__ import annotations

from datetime import timedelta

from newel import process
from newel.base.secrets import SecretRef
from newel.connectors.github import GitHub
from newel.domain.people import Person
from newel.domain.values import Call
from newel.engine.call_counts import CallCounts
from newel.simulators.github import GitHubSimulator
from newel.testing.transport import SimulatorTransport


def call(milliseconds: float, status: int | None = 200) -> Call:
    """Make a call of so many milliseconds."""
    return Call(
        method="GET", host="api.example", path="/x", operation="x", status=status,
        duration_us=int(milliseconds * 1000),
    )  # fmt: skip


async def test_calls_are_counted_by_length_and_failures_among_them(build):
    """Two workers add to one hour; an absence is no failure; after two days they are gone."""
    async with build([]) as house:
        for _ in range(2):
            counts = CallCounts(house.database)
            counts.add("github", [call(20), call(25), call(26, 404), call(300, 503)])
            counts.add("github", [call(90_000, None), call(400, 429)])
            counts.add(None, [call(1)])
            await counts.write()
            await counts.write()  # nothing is left
        rows = await house.database.fetch(
            "select system, upto_ms, calls, failures from newel.system_calls order by upto_ms"
        )
        assert [tuple(row) for row in rows] == [
            ("github", 25, 4, 0), ("github", 50, 2, 0), ("github", 400, 4, 4),
            ("github", 60_000, 2, 2),
        ]  # fmt: skip
        await house.move(timedelta(days=3))
        later = CallCounts(house.database)
        later.add("jira", [call(5)])
        await later.write()
        assert await house.database.fetchval("select count(*) from newel.system_calls") == 1


async def test_a_worker_counts_the_calls_of_its_steps(build, monkeypatch):
    """Each call that a system's book has of a run is counted once, with its system."""
    sim = GitHubSimulator(seed=3)
    monkeypatch.setenv("T_COUNTED", sim.credentials()["GITHUB_TOKEN"])
    SecretRef("env:T_COUNTED").resolve(fresh=True)
    github = GitHub(
        org="acme-example", token=SecretRef("env:T_COUNTED"), transport=SimulatorTransport(sim)
    )

    @process
    async def joining(person: Person) -> None:
        """Make them a member."""
        await github.ensure_member(person, "ann")

    async with build([joining], systems=[github]) as house, house.worker():
        run = await house.start("joining", {"name": "Ann", "email": "ann@acme.example"})
        assert await house.ended(run) == "completed"

        async def counted() -> bool:
            found = await house.database.fetchval(
                "select sum(calls)::int from newel.system_calls where system = 'github'"
            )
            return found == len(sim.calls())

        await house.until(counted)
