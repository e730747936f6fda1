"""C10 and C13: an address is reserved before anything is made, and looked for everywhere first."""

from __future__ import annotations

import asyncio

import pytest

from newel import Person, SecretRef, hours, minutes, parallel, process
from newel.connectors.github import GitHub
from newel.connectors.google import Address, Google
from newel.connectors.jira import Jira
from newel.connectors.payroll import Gusto
from newel.connectors.salesforce import Salesforce
from newel.connectors.slack import Slack
from newel.testing import Crash, Saas, every_crash, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name
from tests.engine.conftest import build as build

google = Google(service_account=SecretRef("env:GOOGLE_SERVICE_ACCOUNT"), admin="admin@acme.example")
slack = Slack(token=SecretRef("env:SLACK_TOKEN"), plan="business")
jira = Jira(
    email="newel@acme.example",
    token=SecretRef("env:JIRA_TOKEN"),
    base_url="https://acme-example.atlassian.net",
)
payroll = Gusto(company="set by the fixture", token=SecretRef("env:GUSTO_TOKEN"))
github = GitHub(org="acme-example", token=SecretRef("env:GITHUB_TOKEN"))
salesforce = Salesforce(
    client_id="set by the fixture",
    username="set.by@the.fixture",
    key=SecretRef("env:SALESFORCE_KEY"),
    profile_id="set by the fixture",
    marker_field="FederationIdentifier",
)

JANE = "jane.doe@acme.example"
FIRST = Person(name="Jane Doe", hr_key="4711")
SECOND = Person(name="Jane  DÖE", hr_key="4712")
KEY = "google.reserve_address"


@process(owner="hr")
async def joining(person: Person) -> Address:
    """Reserve an address, then make accounts at it."""
    address = await google.reserve_address(person)
    await accounts(person.at(address.email))
    return address


async def accounts(hire: Person) -> None:
    """The directory first, then everything else."""
    await google.ensure_account(hire)
    await parallel(
        slack.ensure_account(hire),
        jira.ensure_account(hire),
        payroll.ensure_employee(hire),
        github.ensure_invited(hire),
        salesforce.ensure_account(hire),
    )


@process(owner="hr")
async def hasty(person: Person) -> str:
    """Make an account before there is an address."""
    account = await google.ensure_account(person)
    return account.id


@pytest.fixture(autouse=True)
def _systems(saas: Saas, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - as above
    given = saas.world.credentials()
    monkeypatch.setattr(payroll, "company", given["GUSTO_COMPANY"])
    monkeypatch.setattr(salesforce, "_client_id", given["SALESFORCE_CLIENT_ID"])
    monkeypatch.setattr(salesforce, "_username", given["SALESFORCE_USERNAME"])
    monkeypatch.setattr(salesforce, "_profile_id", given["SALESFORCE_PROFILE_ID"])


def changes(saas: Saas) -> int:  # noqa: F811 - as above
    """Count what was asked for in all systems that could change something."""
    return sum(len(each.mutations()) for each in saas.simulators.values())


def at(saas: Saas, email: str) -> dict[str, list[object]]:  # noqa: F811 - as above
    """Give what each system has at an address."""
    return {
        name: [each for each in simulator.accounts() if email in str(each)]
        for name, simulator in saas.simulators.items()
    }


async def test_a_second_jane_gets_the_next_address(saas: Saas) -> None:  # noqa: F811 - as above
    """C10: `jane.doe2@`; nothing of the first Jane's is touched, and both keep what they have."""
    async with running(joining.request(FIRST)) as run:
        assert await run.result() == Address(email=JANE)
        before = at(saas, JANE)
        again = await run.start(joining.request(SECOND))
        address = await again.result()
        assert address.email == "jane.doe2@acme.example"
        (passed,) = address.passed_over
        assert (passed.email, passed.why) == (JANE, "given to somebody else")
        assert at(saas, JANE) == before
        assert all(
            len(found) == 1
            for name, found in at(saas, address.email).items()
            if name in {"google", "slack", "jira", "gusto", "salesforce"}
        )
        made = changes(saas)
        for person in (FIRST, SECOND):
            once_more = await run.start(joining.request(person))
            kept = await once_more.result()
            assert kept.email == (JANE if person is FIRST else address.email)
        assert changes(saas) == made


@pytest.mark.parametrize("system", ["google", "slack", "jira", "gusto", "salesforce"])
async def test_whoever_is_there_already_is_passed_over(saas: Saas, system: str) -> None:  # noqa: F811 - as above
    """C13: an account that nobody gave her, in any system: the next address, and it is told."""
    _by_hand(saas, system)
    before = at(saas, JANE)
    async with running(joining.request(FIRST)) as run:
        address = await run.result()
    assert address.email == "jane.doe2@acme.example"
    (passed,) = address.passed_over
    assert passed.why == f"in use in {_TITLES[system]}"
    assert at(saas, JANE) == before


async def test_an_address_of_hers_that_is_in_use_is_a_persons_decision(saas: Saas) -> None:  # noqa: F811 - as above
    """C13: told before anything is made anywhere; nothing goes on before a person decides."""
    _by_hand(saas, "jira")
    _by_hand(saas, "gusto")
    async with running(joining.request(FIRST.at(JANE))) as run:
        (parked,) = run.parked().values()
        assert parked.reason == "ownership-conflict"
        (task,) = run.tasks()
        assert task["title"] == "is what has this address theirs"
        assert "Jira: " in task["instructions"] and "Gusto: " in task["instructions"]
        assert "jane" not in task["instructions"].lower()
        assert changes(saas) == 0
        await run.decide(KEY, approved=False, comment="A contractor's")
        assert (run.tasks(), changes(saas)) == ([], 0)
        await run.retry(KEY)
        await run.decide(KEY, approved=True)
        assert await run.result() == Address(email=JANE)
    assert len(at(saas, JANE)["jira"]) == len(at(saas, JANE)["gusto"]) == 1


async def test_an_account_with_her_own_mark_stands_in_nobodys_way(saas: Saas) -> None:  # noqa: F811 - as above
    """Somebody who comes back is found by the mark."""
    account = _by_hand(saas, "google")
    user = saas.google.store.rows("users")[account]
    ids = [{"type": "organization", "value": FIRST.hr_key}]
    saas.google.store.put("users", account, {**user, "externalIds": ids})
    async with running(joining.request(FIRST)) as run:
        assert await run.result() == Address(email=JANE)


async def test_whoever_does_not_answer_is_waited_for_by_its_own_name(saas: Saas) -> None:  # noqa: F811 - as above
    """Jira is down: nothing is made, the incident is Jira's, and it goes on when Jira is back."""
    saas.jira.down(hours(2))
    async with running(joining.request(FIRST)) as run:
        run.clock.advance(minutes(70))
        (incident,) = run._scene.rows("incident")
        assert (incident["system"], incident["state"]) == ("jira", "escalated")
        assert changes(saas) == 0
        run.clock.advance(hours(2))
        assert await run.result() == Address(email=JANE)


async def test_wherever_a_worker_dies_one_address_is_reserved(saas: Saas) -> None:  # noqa: F811 - as above
    """At every boundary of the reservation and of what follows."""

    async def play(crash: Crash | None = None) -> None:
        saas.reset()
        async with running(joining.request(FIRST), crash=crash) as run:
            run.clock.advance(minutes(5))
            assert (await run.result()).email == JANE
            assert len(run._scene.rows("given_address")) == 1

    for crash in await every_crash(play):
        await play(crash)


async def test_without_an_address_nothing_is_asked_for(saas: Saas) -> None:  # noqa: F811 - as above
    """An operation that goes by the address refuses before it sends anything."""
    async with running(hasty.request(FIRST)) as run:
        (parked,) = run.parked().values()
        assert parked.reason == "invalid"
        assert "reserve one first" in parked.sentence
    assert saas.google.calls() == []


async def test_a_name_without_plain_letters_needs_an_address(saas: Saas) -> None:  # noqa: F811 - as above
    """Nothing is guessed; whoever amends the input says it."""
    person = Person(name="王秀英", hr_key="4713")
    async with running(joining.request(person)) as run:
        (parked,) = run.parked().values()
        assert parked.reason == "invalid"
        actor = await run.engine.actor("it@acme.example", via="test")
        amended = {"name": person.name, "hr_key": person.hr_key, "email": "wang@acme.example"}
        await run.do(run.engine.amend(run.id, amended, actor=actor, reason="chosen by HR"))
        await run.retry()
        assert await run.result() == Address(email="wang@acme.example")
    assert len(at(saas, "wang@acme.example")["google"]) == 1


async def test_two_janes_on_one_day_get_two_addresses(saas: Saas, build) -> None:  # noqa: F811 - as above
    """At the same moment, on two workers of a real database: neither is merged into the other."""
    connectors = [google, slack, jira, payroll, github, salesforce]
    saas.wire(*connectors)
    async with build([joining], systems=connectors) as house, house.worker(), house.worker():
        people = [{"name": "Jane Doe", "hr_key": key} for key in ("4711", "4712")]
        runs = await asyncio.gather(*(house.start("joining", each) for each in people))
        for run in runs:
            assert await house.ended(run) == "completed"
        held = await house.database.fetch("select work_email from newel.person")
    assert {row["work_email"] for row in held} == {JANE, "jane.doe2@acme.example"}
    assert {each["marker"] for each in saas.google.accounts()} >= {"4711", "4712"}


_TITLES = {
    "google": "Google Workspace",
    "slack": "Slack",
    "jira": "Jira",
    "gusto": "Gusto",
    "salesforce": "Salesforce",
}


def _by_hand(saas: Saas, system: str) -> str:  # noqa: F811 - as above
    """Let somebody make an account at the address, without our mark."""
    made = getattr(saas, system).create_by_hand
    if system == "gusto":
        return str(made("Jane", "Doe", JANE))
    return str(made(JANE))
