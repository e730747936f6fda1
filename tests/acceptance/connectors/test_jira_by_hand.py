"""Jira accounts where newel's own account administers nothing: a person does it, newel looks."""

from __future__ import annotations

import pytest

from newel import Account, SecretRef, hours, minutes, process
from newel.connectors.jira import Jira
from newel.domain.people import Person
from newel.simulators.faults import RemoveScope
from newel.testing import Crash, Saas, every_crash, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name

jira = Jira(
    email="newel@acme.example",
    token=SecretRef("env:JIRA_TOKEN"),
    base_url="https://acme-example.atlassian.net",
    administers=False,
)
JANE = Person(name="Jane O'Doe 🌻", email="jane.o'doe@acme.example", hr_key="4711")


@process(owner="it")
async def joining(person: Person) -> Account:
    """Give somebody a Jira account."""
    return await jira.ensure_account(person)


@process(owner="it")
async def leaving(person: Person) -> Account:
    """Take the Jira account away."""
    return await jira.remove_account(person)


def _removed(world: Saas) -> None:
    """Let an administrator remove Jane."""
    for key in world.jira.store.rows("users", lambda row: row["emailAddress"] == JANE.email):
        world.jira.store.remove("users", key)


async def test_an_account_is_made_and_taken_away_by_hand(saas: Saas) -> None:  # noqa: F811 - as above
    """Asked, made, seen; asked again, nobody; taken away, seen. newel changes nothing itself."""
    async with running(joining.request(JANE), processes=[leaving]) as run:
        (task,) = run.tasks()
        assert task["title"] == "give them a Jira account"
        assert "told not to administer" in task["instructions"]
        assert "Doe" not in task["instructions"]
        made = saas.jira.create_by_hand(JANE.email, ["jira-software"])
        run.clock.advance(minutes(5))
        account = await run.result()
        assert account.id == made["accountId"]
        (grant,) = run.intervals()
        assert (grant["route"], grant["evidence"]) == ("by_hand", "asked for, done by hand")
        again = await run.start(joining.request(JANE))
        assert await again.result() == account
        assert again.tasks() == []
        gone = await run.start(leaving.request(JANE))
        (task,) = gone.tasks()
        assert task["title"] == "take their Jira account away"
        _removed(saas)
        gone.clock.advance(hours(1))
        assert (await gone.result()).state == "absent"
        assert gone.grants() == {"jira:account": "revoked"}
    assert saas.jira.mutations() == []


async def test_one_that_was_there_before_is_nobodys_by_hand_either(saas: Saas) -> None:  # noqa: F811 - as above
    """Nobody is asked to make what is there, but whose it is."""
    saas.jira.create_by_hand(JANE.email)
    async with running(joining.request(JANE)) as run:
        (task,) = run.tasks()
        assert task["title"] == "is this Jira account theirs"
        await run.decide("jira.ensure_account", approved=True)
        assert (await run.result()).state == "active"


async def test_wherever_a_worker_dies_one_task_is_asked(saas: Saas) -> None:  # noqa: F811 - as above
    """At every boundary: the same one account, and at most one task."""

    async def play(crash: Crash | None = None) -> None:
        saas.reset()
        async with running(joining.request(JANE), crash=crash) as run:
            run.clock.advance(minutes(1))
            saas.jira.create_by_hand(JANE.email)
            run.clock.advance(hours(2))
            assert (await run.result()).state == "active"
            opened = [leaf for leaf in run.audit() if leaf["type"] == "task.opened"]
            assert len(opened) <= 1
        assert saas.jira.mutations() == []

    for crash in await every_crash(play):
        await play(crash)


@pytest.mark.parametrize("administers", [True, False])
async def test_the_check_proves_it_and_asks_for_what_is_wanted_only(
    saas: Saas,  # noqa: F811 - as above
    administers: bool,
) -> None:
    """Without the permission: named where it is wanted, and no way through the API either way."""
    fresh = Jira(
        email="newel@acme.example",
        token=SecretRef("env:JIRA_TOKEN"),
        base_url="https://acme-example.atlassian.net",
        administers=administers,
    )
    saas.wire(fresh)
    assert (await fresh.check()).capabilities == ("jira.administration",)
    assert fresh.way_of(fresh.ensure_account).path == ("admin_api" if administers else "by_hand")
    saas.simulators["jira"].fail("*", RemoveScope("ADMINISTER"))
    check = await fresh.check()
    assert check.missing == (("ADMINISTER (Administer Jira)",) if administers else ())
    fresh.learn(check)
    assert fresh.way_of(fresh.ensure_account).path == "by_hand"
