"""Clients that we did not write speak to the simulators, which are of more than our opinion."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import github as pygithub
import httpx2
import jira as pyjira
import jwt
import pytest

from newel.simulators import SalesforceSimulator, Throttle, World, serve

ORG = "acme-example"


async def beside(world: World, system: str, work: Callable[[str], Any]) -> Any:
    """Serve a system on loopback and do the work of a client, which blocks, in a thread."""
    async with serve(world.chosen([system])) as addresses:
        return await asyncio.to_thread(work, addresses[system])


def as_owner(world: World, address: str, **options: Any) -> pygithub.Github:
    """Sign PyGithub in with the organization's token."""
    token = world.github.credentials()["GITHUB_TOKEN"]
    return pygithub.Github(
        auth=pygithub.Auth.Token(token),
        base_url=address,
        seconds_between_requests=0,
        seconds_between_writes=0,
        per_page=2,
        **options,
    )


async def test_pygithub_invites_lists_and_removes():
    """Members, invitations, teams and collaborators are what PyGithub takes them for."""
    world = World(seed=4)

    def work(address: str) -> None:
        client = as_owner(world, address, retry=None)
        org = client.get_organization(ORG)
        team = org.get_team_by_slug("platform")
        org.invite_user(email="jane.doe@acme.example", role="direct_member", teams=[team])
        assert [each.email for each in org.invitations()] == ["jane.doe@acme.example"]
        world.github.accept_invitation("jane.doe@acme.example", "jane-doe")
        for number in range(3):
            world.github.create_by_hand(f"member-{number}")
        assert {each.login for each in org.get_members()} == {
            "acme-owner",
            "jane-doe",
            "member-0",
            "member-1",
            "member-2",
        }
        jane = client.get_user("jane-doe")
        assert team.get_team_membership(jane).role == "member"
        repository = as_owner(world, address, retry=None, lazy=True).get_repo(f"{ORG}/api")
        repository.add_to_collaborators("jane-doe", permission="push")
        assert [each.login for each in repository.get_collaborators(affiliation="direct")] == [
            "jane-doe"
        ]
        repository.remove_from_collaborators("jane-doe")
        team.remove_membership(jane)
        org.remove_from_membership(jane)
        assert "jane-doe" not in {each.login for each in org.get_members()}

    await beside(world, "github", work)


async def test_pygithub_writes_issues():
    """Issues, labels, comments and closing are what PyGithub takes them for."""
    world = World(seed=4)

    def work(address: str) -> None:
        repository = as_owner(world, address, retry=None, lazy=True).get_repo(f"{ORG}/api")
        issue = repository.create_issue("GitHub is down", body="It is.", labels=["newel"])
        issue.create_comment("Still.")
        issue.edit(state="closed", state_reason="completed")
        found = list(repository.get_issues(state="closed", labels=["newel"]))
        assert [(each.number, each.comments) for each in found] == [(issue.number, 1)]
        assert [each.body for each in issue.get_comments()] == ["Still."]

    await beside(world, "github", work)


async def test_pygithub_signs_in_as_an_app():
    """The token that PyGithub fetches for an installation opens the organization."""
    world = World(seed=4)
    given = world.github.credentials()

    def work(address: str) -> int:
        app = pygithub.Auth.AppAuth(given["GITHUB_APP_ID"], given["GITHUB_APP_KEY"])
        signed = app.get_installation_auth(int(given["GITHUB_INSTALLATION"]))
        client = pygithub.Github(auth=signed, base_url=address, retry=None)
        return len(list(client.get_organization(ORG).get_members()))

    assert await beside(world, "github", work) == 1


async def test_pygithub_waits_as_it_is_told(caplog: pytest.LogCaptureFixture):
    """A limit with `retry-after` is understood as one: PyGithub waits so long and then succeeds."""
    world = World(seed=4)
    world.github.fail("orgs/get", Throttle(1, style="429"), times=1)
    caplog.set_level(logging.INFO, "github")

    def work(address: str) -> str:
        retry = pygithub.GithubRetry(total=2)
        login: str = as_owner(world, address, retry=retry).get_organization(ORG).login
        return login

    assert await beside(world, "github", work) == ORG
    times = [each.time for each in world.github.calls("orgs/get")]
    assert len(times) == 2


async def test_the_jira_client_creates_finds_comments_and_moves():
    """Issues made, searched, commented and moved are what the client `jira` takes them for."""
    world = World(seed=4, page_size=3)
    given = world.jira.credentials()

    def work(address: str) -> None:
        client = pyjira.JIRA(
            server=address,
            basic_auth=(given["JIRA_EMAIL"], given["JIRA_TOKEN"]),
            max_retries=0,
        )
        for number in range(4):
            client.create_issue(
                project="OPS",
                summary=f"GitHub is down {number}",
                description="It is.",
                issuetype={"name": "Task"},
                labels=["newel"],
            )
        found = client.enhanced_search_issues(
            'project = "OPS" AND labels = "newel"', maxResults=0, fields="summary,status"
        )
        assert [each.fields.summary for each in found] == [f"GitHub is down {n}" for n in range(4)]
        issue = client.issue("OPS-1")
        ways = {each["name"]: each["id"] for each in client.transitions(issue)}
        client.transition_issue(issue, ways["Done"])
        assert str(client.issue("OPS-1").fields.status) == "Done"

    await beside(world, "jira", work)


async def test_the_jira_client_is_refused_with_another_token():
    """A wrong token is an error of the client, not an empty answer."""
    world = World(seed=4)

    def work(address: str) -> int:
        wrong = ("newel@acme.example", "no")
        client = pyjira.JIRA(server=address, basic_auth=wrong, max_retries=0)
        try:
            client.enhanced_search_issues('project = "OPS"')
        except pyjira.JIRAError as refused:
            return refused.status_code or 0
        return 0

    assert await beside(world, "jira", work) == 401


def salesforce_at(url: str, sim: SalesforceSimulator) -> tuple[Any, Any]:
    """Sign simple-salesforce in with an assertion; gives the client and its users.

    It builds https addresses of its own, so both are told where the stand-in is.
    """
    library = pytest.importorskip("simple_salesforce", reason="simple-salesforce is not installed")
    claims = {
        "iss": sim.credentials()["SALESFORCE_CLIENT_ID"],
        "sub": sim.credentials()["SALESFORCE_USERNAME"],
        "aud": url,
        "exp": int(sim.clock.now().timestamp()) + 170,
    }
    assertion = jwt.encode(claims, sim.credentials()["SALESFORCE_KEY"], algorithm="RS256")
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    form = {"grant_type": grant, "assertion": assertion}
    token = httpx2.post(f"{url}/services/oauth2/token", data=form).json()
    client = library.Salesforce(session_id=token["access_token"], instance="acme", version="62.0")
    client.base_url = f"{url}/services/data/v62.0/"
    users = client.User
    users.base_url = f"{client.base_url}sobjects/User/"
    return client, users


async def test_simple_salesforce_keeps_users():
    """It queries over pages, creates once, upserts by the mark, deactivates, reads the limits."""
    world = World(seed=3, page_size=2)
    sim = world.salesforce

    def work(url: str) -> None:
        client, users = salesforce_at(url, sim)
        person = {
            "Username": "jane.doe@acme.example",
            "LastName": "Doe",
            "Email": "jane.doe@acme.example",
            "Alias": "janedoe",
            "ProfileId": sim.credentials()["SALESFORCE_PROFILE_ID"],
            "TimeZoneSidKey": "Europe/Berlin",
            "LocaleSidKey": "en_US",
            "EmailEncodingKey": "UTF-8",
            "LanguageLocaleKey": "en_US",
        }
        made = users.create(person)
        assert made["success"] is True
        with pytest.raises(Exception, match="DUPLICATE_USERNAME") as refused:
            users.create(person)
        assert type(refused.value).__name__ == "SalesforceMalformedRequest"
        eve = {**person, "Username": "eve@acme.example", "Email": "eve@acme.example"}
        assert [users.upsert("Newel_Id__c/4711", eve) for _ in range(2)] == [201, 200]
        assert users.update(made["id"], {"IsActive": False}) == 204
        assert users.get(made["id"])["IsActive"] is False
        found = client.query("SELECT Id FROM User WHERE Username = 'jane.doe@acme.example'")
        assert [row["Id"] for row in found["records"]] == [made["id"]]
        first = client.query("SELECT Id FROM User")
        second = client.query_more(first["nextRecordsUrl"].rpartition("/")[2])
        assert (len(first["records"]), len(second["records"]), second["done"]) == (2, 1, True)
        with pytest.raises(Exception, match="NOT_FOUND") as gone:
            users.get("0055e0000000404AAA")
        assert type(gone.value).__name__ == "SalesforceResourceNotFound"
        left = client.limits()["DailyApiRequests"]
        assert client.api_usage["api-usage"].used == left["Max"] - left["Remaining"]

    await beside(world, "salesforce", work)
