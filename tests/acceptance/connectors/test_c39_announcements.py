"""What a vendor adds disturbs nobody, and what it announces is told before it counts."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest

from newel import Person, process
from newel.base.secrets import SecretRef
from newel.connectors.announced import Announcement, announced
from newel.connectors.answers import Answer, Route
from newel.connectors.github import GitHub
from newel.simulators.faults import AddField, Deprecate
from newel.simulators.github import GitHubSimulator
from newel.testing.transport import SimulatorTransport
from tests.engine.conftest import build as build

NEXT_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, b"{}", None),
        ({"deprecation": "true"}, b"", Announcement(operation="o")),
        (
            {"deprecation": "@1767225600", "sunset": "Fri, 01 Jan 2027 00:00:00 GMT"},
            b"",
            Announcement(operation="o", since=datetime(2026, 1, 1, tzinfo=UTC), ends=NEXT_YEAR),
        ),
        ({"sunset": "soon"}, b"", Announcement(operation="o")),
        ({"sunset": "@99999999999999"}, b"", Announcement(operation="o")),
        (
            {"warning": '299 - "Use v3; ask jane@acme.example"'},
            b"",
            Announcement(operation="o", said="Use v3; ask <address>"),
        ),
        ({"warning": "110 - stale"}, b"{}", None),
        ({}, b'{"ok":true,"warning":"method_deprecated"}', Announcement(operation="o")),
    ],
)
def test_what_is_announced_is_read(headers, body, expected):
    """C39: each way in which vendors announce the end of an operation; addresses stay out."""
    answer = Answer(Route("o", "GET", "/o"), 200, httpx2.Headers(headers), body)
    assert announced(answer) == expected


async def test_an_announcement_is_one_task_and_no_run_is_disturbed(build, monkeypatch):
    """C39: a new field and a deprecation: both hires are done, and the maintainers asked once."""
    sim = GitHubSimulator(seed=3)
    monkeypatch.setenv("T_C39", sim.credentials()["GITHUB_TOKEN"])
    SecretRef("env:T_C39").resolve(fresh=True)
    github = GitHub(
        org="acme-example", token=SecretRef("env:T_C39"), transport=SimulatorTransport(sim)
    )

    @process
    async def joining(person: Person) -> None:
        """Make them a member."""
        await github.ensure_member(person, person.email.partition("@")[0])

    sim.fail("orgs/get-membership-for-user", AddField("brand_new", {"deep": [1]}))
    sim.fail("orgs/set-membership-for-user", Deprecate())
    async with build([joining], systems=[github]) as house, house.worker():
        for name in ("Ann", "Bob"):
            person = {"name": name, "email": f"{name.lower()}@acme.example"}
            run = await house.start("joining", person)
            assert await house.ended(run) == "completed"
            await house.engine.probing.announcing.look()

        async def asked() -> bool:
            found = await house.database.fetchval("select count(*) from newel.task")
            return found == 1

        await house.until(asked)
        tasks = await house.database.fetch("select title, owner, instructions from newel.task")
        assert [(row["title"], row["owner"]) for row in tasks] == [
            ("look at what GitHub announces", "maintainers")
        ]
        said = tasks[0]["instructions"]
        assert "`orgs/set-membership-for-user` is deprecated since 2026-01-01." in said
        assert "It ends on 2027-01-01. The vendor says: Use the successor" in said
        assert await house.database.fetchval("select count(*) from newel.incident") == 0
        assert house.desk.opened == []
