"""C11, where a system holds no mark: an address alone says of no account whose it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from newel import Account, SecretRef, days, minutes, process
from newel.connectors.github import GitHub
from newel.connectors.google import Google
from newel.connectors.jira import Jira
from newel.connectors.payroll import Gusto
from newel.connectors.slack import Slack
from newel.domain.people import Person
from newel.flow.process import Process
from newel.simulators.slack import SlackSimulator
from newel.testing import Crash, Saas, every_crash, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name

google = Google(service_account=SecretRef("env:GOOGLE_SERVICE_ACCOUNT"), admin="admin@acme.example")
jira = Jira(
    email="newel@acme.example",
    token=SecretRef("env:JIRA_TOKEN"),
    base_url="https://acme-example.atlassian.net",
)
payroll = Gusto(company="set by the fixture", token=SecretRef("env:GUSTO_TOKEN"))
slack = Slack(token=SecretRef("env:SLACK_TOKEN"), plan="enterprise", capabilities=("slack.admin",))
github = GitHub(org="acme-example", token=SecretRef("env:GITHUB_TOKEN"))

JANE = Person(name="Jane O'Doe 🌻", email="jane.doe@acme.example", hr_key="4711")
KIM = Person(name="Kim Lee", email="kim.lee@acme.example", hr_key="4712")


@process(owner="it")
async def tracking(person: Person) -> Account:
    """Give somebody a Jira account."""
    return await jira.ensure_account(person)


@process(owner="it")
async def untracking(person: Person) -> Account:
    """Take the Jira account away."""
    return await jira.remove_account(person)


@process(owner="hr")
async def paying(person: Person) -> Account:
    """Enter somebody in payroll."""
    return await payroll.ensure_employee(person)


@process(owner="it")
async def chatting(person: Person) -> Account:
    """Invite somebody to Slack."""
    return await slack.ensure_account(person)


@process(owner="it")
async def coding(person: Person) -> Account:
    """Invite an address to GitHub."""
    return await github.ensure_invited(person)


@process(owner="it")
async def naming(person: Person) -> Account:
    """Make a GitHub user name, which the person has given, a member."""
    return await github.ensure_member(person, "janedoe")


@process(owner="it")
async def reserving(person: Person) -> Account:
    """Reserve the address first."""
    address = await google.reserve_address(person)
    return await jira.ensure_account(person.at(address.email))


@pytest.fixture(autouse=True)
def _systems(saas: Saas, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - as above
    monkeypatch.setattr(payroll, "company", saas.world.credentials()["GUSTO_COMPANY"])
    assert isinstance(saas.slack.simulator, SlackSimulator)
    saas.slack.simulator.plan = "enterprise"


def _in_jira(world: Saas) -> None:
    world.jira.create_by_hand(JANE.email)


def _in_gusto(world: Saas) -> None:
    world.gusto.create_by_hand("Jane", "O'Doe 🌻", JANE.email)


def _in_slack(world: Saas) -> None:
    world.slack.create_by_hand(JANE.email)


def _in_github(world: Saas) -> None:
    world.github.create_by_hand("janedoe")
    ((key, row),) = world.github.store.rows(
        "memberships", lambda row: row["login"] == "janedoe"
    ).items()
    world.github.store.put("memberships", key, {**row, "email": JANE.email})


MADE: Mapping[str, tuple[Process[..., Any], str, str, Callable[[Saas], None]]] = {
    "jira": (tracking, "jira.ensure_account", "Jira", _in_jira),
    "gusto": (paying, "gusto.ensure_employee", "Gusto", _in_gusto),
    "slack": (chatting, "slack.ensure_account", "Slack", _in_slack),
    "github": (coding, "github.ensure_invited", "GitHub", _in_github),
}
"""By system: the process, its key, the system's title, and an account that nobody gave her."""


@pytest.mark.parametrize("system", sorted(MADE))
async def test_an_account_at_her_address_is_asked_about(saas: Saas, system: str) -> None:  # noqa: F811 - as above
    """Found, never reserved: nothing is sent before a person says that it is hers."""
    joining, key, title, make = MADE[system]
    make(saas)
    before = _committed(saas, system)
    async with running(joining.request(JANE)) as run:
        (parked,) = run.parked().values()
        assert parked.reason == "ownership-conflict"
        (task,) = run.tasks()
        assert task["title"] == f"is this {title} account theirs"
        assert "Doe" not in task["instructions"] and JANE.email not in task["instructions"]
        assert _of(run, "step.round_failed") == []
        await run.decide(key, approved=False, comment="A contractor's")
        assert (run.tasks(), _committed(saas, system)) == ([], before)
        await run.retry(key)
        await run.decide(key, approved=True, comment="hers, since May 🎉")
        account = await run.result()
        assert account.state == "active"
        (leaf,) = _of(run, "step.succeeded")
        assert (leaf["data"]["changed"], leaf["data"]["adopted"]) == (True, True)
        (grant,) = run.intervals()
        assert grant["evidence"] == "decided by a person"
        again = await run.start(joining.request(JANE))
        assert (await again.result()).id == account.id  # the ledger has it with her by now
    assert _committed(saas, system) == before


async def test_an_account_that_is_removed_by_address_is_asked_about(saas: Saas) -> None:  # noqa: F811 - as above
    """What newel never gave is not taken away because its address looks right."""
    saas.jira.create_by_hand(JANE.email)
    async with running(untracking.request(JANE)) as run:
        (task,) = run.tasks()
        assert task["title"] == "is this Jira account theirs"
        assert saas.jira.mutations() == []
        await run.decide("jira.remove_account", approved=True)
        assert (await run.result()).state == "absent"
    assert len(saas.jira.mutations()) == 1


async def test_what_the_ledger_has_with_her_is_hers(saas: Saas) -> None:  # noqa: F811 - as above
    """Made by one run, found by the next and removed by a third: nobody is asked, once each."""
    async with running(tracking.request(JANE), processes=[untracking]) as run:
        made = await run.result()
        again = await run.start(tracking.request(JANE))
        assert await again.result() == made
        gone = await run.start(untracking.request(JANE))
        assert (await gone.result()).id == made.id
        assert {grant["evidence"] for grant in run.intervals()} == {"created"}
    assert len(saas.jira.mutations()) == 2


async def test_what_the_ledger_has_with_somebody_else_is_nobodys_to_give(saas: Saas) -> None:  # noqa: F811 - as above
    """Jira's administrator gives Kim's account Jane's address: parked, and nobody is asked."""
    async with running(tracking.request(KIM), processes=[untracking]) as run:
        kims = await run.result()
        users = saas.jira.store.rows("users")
        (key,) = [key for key, row in users.items() if row["accountId"] == kims.id]
        saas.jira.store.put("users", key, {**users[key], "emailAddress": JANE.email})
        for joining in (tracking, untracking):
            other = await run.start(joining.request(JANE))
            (parked,) = other.parked().values()
            assert (parked.reason, other.tasks()) == ("ownership-conflict", [])
            assert "somebody else's by the ledger" in parked.sentence
    assert len(saas.jira.mutations()) == 1


async def test_a_user_name_that_is_somebody_elses_is_refused(saas: Saas) -> None:  # noqa: F811 - as above
    """Two people give one GitHub user name: the second is neither taken in nor told apart."""
    saas.github.create_by_hand("janedoe")
    async with running(naming.request(JANE)) as run:
        assert (await run.result()).state == "active"  # by the name that she has given
        other = await run.start(naming.request(KIM))
        (parked,) = other.parked().values()
        assert (parked.reason, other.tasks()) == ("ownership-conflict", [])


async def test_a_lost_answer_is_asked_about_unless_the_address_was_reserved(saas: Saas) -> None:  # noqa: F811 - as above
    """Exactly one account either way; who has reserved first needs nobody."""
    saas.jira.lose_answer("createUser")
    async with running(tracking.request(JANE)) as run:
        run.clock.advance(minutes(5))
        (task,) = run.tasks()
        assert task["title"] == "is this Jira account theirs"
        await run.decide("jira.ensure_account", approved=True)
        assert (await run.result()).state == "active"
    assert len(saas.jira.mutations()) == 1
    saas.reset()
    saas.jira.lose_answer("createUser")
    async with running(reserving.request(JANE)) as run:
        run.clock.advance(minutes(5))
        assert (await run.result()).state == "active"
        assert run.tasks() == []
        assert {
            grant["entitlement"]: grant["evidence"] for grant in run.intervals()
        } == dict.fromkeys(
            ("jira:account", "jira:product/jira-software"), "derived, found after unknown outcome"
        )
        read = [leaf for leaf in run.audit() if leaf["type"] == "access.verified"]
        assert len(read) == 1, "the account was seen, its products were not"
    assert len(saas.jira.mutations()) == 1


async def test_wherever_a_worker_dies_she_has_one_account(saas: Saas) -> None:  # noqa: F811 - as above
    """With an address that was reserved: at every boundary, and nobody is asked."""

    async def play(crash: Crash | None = None) -> None:
        saas.reset()
        async with running(reserving.request(JANE), crash=crash) as run:
            run.clock.advance(minutes(5))
            assert (await run.result()).state == "active"
            assert run.tasks() == []
        assert len(saas.jira.mutations()) == 1

    for crash in await every_crash(play):
        await play(crash)


async def test_wherever_a_worker_dies_it_is_asked_about_at_most_once(saas: Saas) -> None:  # noqa: F811 - as above
    """Without one: what was made before the death may be anybody's; never is it made twice."""

    async def play(crash: Crash | None = None) -> None:
        saas.reset()
        async with running(tracking.request(JANE), crash=crash) as run:
            run.clock.advance(days(1))
            for _ in run.tasks():
                await run.decide("jira.ensure_account", approved=True)
            assert (await run.result()).state == "active"
            assert len(_of(run, "task.opened")) <= 1
        assert len(saas.jira.mutations()) == 1

    for crash in await every_crash(play):
        await play(crash)


def _committed(world: Saas, system: str) -> int:
    """Count what has changed a system."""
    return len(world.simulators[system].calls(mutating=True, committed=True))


def _of(run: Any, kind: str) -> list[dict[str, Any]]:
    return [leaf for leaf in run.audit() if leaf["type"] == kind]
