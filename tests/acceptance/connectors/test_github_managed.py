"""GitHub where an enterprise manages people: they come by SCIM, else by hand; nobody is invited."""

from __future__ import annotations

import pytest

from newel import Person, SecretRef, minutes, process
from newel.base.errors import Invalid
from newel.connectors.declaring import declared
from newel.connectors.github import GitHub
from newel.connectors.scim import Scim
from newel.simulators.github import GitHubSimulator
from newel.simulators.scim import ScimSimulator
from newel.testing import Saas, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name

github = GitHub(org="acme-example", token=SecretRef("env:GITHUB_TOKEN"), short_code="acme")
people = Scim(
    name="github-people",
    title="GitHub's people",
    of="github",
    base_url="https://api.github.com/scim/v2",
    token=SecretRef("env:SCIM_TOKEN"),
)
JANE = Person(name="Jane O'Doe", email="jane.o'doe@acme.example", hr_key="4711")
LOGIN = "jane-o-doe_acme"


@process(owner="it")
async def assigned(person: Person) -> str:
    """Have somebody assigned, who has no other way in."""
    account = await github.ensure_invited(person)
    return account.handle


@process(owner="it")
async def provisioned(person: Person) -> str:
    """Make the account over SCIM, then put it into the organization."""
    await people.ensure_account(person)
    account = await github.ensure_member(person, github.login_of(person))
    return account.state


@process(owner="it")
async def gone(person: Person) -> None:
    """Take the membership back."""
    await github.cancel_invitation(person)


@pytest.fixture(autouse=True)
def managed(saas: Saas) -> None:  # noqa: F811 - as above
    """Put a managed organization into the place of the other, with a server of SCIM beside it."""
    saas.add(GitHubSimulator, short_code="acme")
    saas.add(ScimSimulator)


async def test_who_is_managed_is_assigned_by_hand(saas: Saas) -> None:  # noqa: F811 - as above
    """No invitation is sent: a person does it, newel sees the member, and can end it again."""
    async with running(assigned.request(JANE), processes=[gone]) as run:
        (task,) = run.tasks()
        assert task["title"] == "take them into the GitHub organization"
        assert "managed by an enterprise" in task["instructions"]
        assert saas.github.mutations() == []
        saas.github.create_by_hand(saas.github.provision(JANE.email))
        run.clock.advance(minutes(1))
        assert await run.result() == LOGIN
        assert run.tasks() == []
        (grant,) = run.intervals()
        assert (grant["route"], grant["state"]) == ("by_hand", "active")
        left = await run.start(gone.request(JANE))
        await left.result()
    assert [call.operation for call in saas.github.mutations()] == [
        "orgs/remove-membership-for-user"
    ]


async def test_an_account_over_scim_is_put_into_the_organization(saas: Saas) -> None:  # noqa: F811 - as above
    """The enterprise knows her by SCIM; she is a member at once, and nothing waits for her."""
    assert saas.github.provision(JANE.email) == LOGIN
    async with running(provisioned.request(JANE)) as run:
        assert await run.result() == "active"
        grants = run.intervals()
        assert {each["entitlement"] for each in grants} == {"github:account"}
        assert grants[0]["route"] == "scim"
    (call,) = saas.github.mutations()
    assert call.operation == "orgs/set-membership-for-user"


async def test_who_is_not_managed_parks_until_they_are(saas: Saas) -> None:  # noqa: F811 - as above
    """GitHub refuses strangers; once the identity provider has made her, it goes on."""
    async with running(provisioned.request(JANE)) as run:
        (parked,) = run.parked().values()
        assert parked.reason == "invalid"
        saas.github.provision(JANE.email)
        await run.retry()
        assert await run.result() == "active"


async def test_the_way_is_told_before_anything_runs() -> None:
    """Both what is managed and what is not say which way is open."""
    known = github.known_capabilities
    assert known.of("github.invitations").state == "absent"
    assert known.of("github.enterprise_managed").state == "there"
    facts = declared(GitHub.operations()["ensure_invited"])
    assert facts.chosen_by(github).path == "by_hand"
    free = GitHub(org="acme-example", token=SecretRef("env:GITHUB_TOKEN"))
    assert facts.chosen_by(free).path == "invitation"
    with pytest.raises(Invalid):
        free.login_of(JANE)


async def test_that_people_are_managed_shows_in_their_names(saas: Saas) -> None:  # noqa: F811 - as above
    """Declared and seen in nobody's name: absent. With the first member of such a name: there."""
    fresh = GitHub(org="acme-example", token=SecretRef("env:GITHUB_TOKEN"), short_code="acme")
    saas.wire(fresh)
    assert (await fresh.capabilities()).of("github.enterprise_managed").state == "absent"
    saas.github.create_by_hand(saas.github.provision(JANE.email))
    fresh.learn(await fresh.check())
    assert fresh.known_capabilities.of("github.enterprise_managed").state == "there"


@pytest.mark.parametrize(
    ("email", "login"),
    [
        ("jane.doe@acme.example", "jane-doe_acme"),
        ("Jane_Doe+x@acme.example", "jane-doe-x_acme"),
        (f"{'j' * 50}@acme.example", f"{'j' * 34}_acme"),
    ],
)
def test_a_managed_name_follows_from_the_address(email: str, login: str) -> None:
    """Plain, of at most 39 characters, with the short code."""
    assert github.login_of(JANE.at(email)) == login
