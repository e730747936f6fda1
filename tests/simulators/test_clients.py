"""Clients that we did not write speak to the simulators, which are of more than our opinion."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import github as pygithub
import jira as pyjira
import pytest

from newel.simulators import Throttle, World, serve

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
