"""GitHub: membership, invitations, teams, repositories, seats, pages."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newel.simulators import GitHubSimulator, Lag, Seats
from tests.simulators.support import plain

ORG = "/orgs/acme-example"
JANE = f"{ORG}/memberships/jane"
TEAM = f"{ORG}/teams/platform/memberships/jane"
REPOSITORY = "/repos/acme-example/api/collaborators/jane"


async def test_putting_a_membership_twice_invites_once(world, github):
    """A membership is pending after the first PUT; the second changes nothing."""
    first = await github.put(JANE, json={"role": "member"})
    second = await github.put(JANE, json={"role": "member"})
    assert (first.status_code, first.json()["state"]) == (200, "pending")
    assert second.json() == first.json()
    assert [call.did for call in world.github.mutations()] == ["created", "nothing"]
    assert world.github.assert_exactly_once("org/jane").sequence == 1


async def test_logins_are_one_whatever_their_case(world, github):
    """Jane and jane are the same user."""
    await github.put(f"{ORG}/memberships/Jane", json={})
    assert (await github.get(JANE)).json()["user"]["login"] == "Jane"
    assert len(world.github.accounts()) == 2


async def test_accepting_makes_member_and_teams_active(world, github):
    """An accepted invitation turns pending membership and team membership active."""
    assert (await github.put(TEAM, json={})).json()["state"] == "pending"
    world.github.accept_invitation("jane")
    assert (await github.get(JANE)).json()["state"] == "active"
    assert (await github.get(TEAM)).json()["state"] == "active"
    assert (await github.get(f"{ORG}/invitations")).json() == []


async def test_an_invitation_by_address_is_accepted_by_a_user(world, github):
    """An address has no membership until a user accepts for it, teams included."""
    teams = (await github.get(f"{ORG}/teams")).json()
    body = {"email": "Jane@acme.example", "team_ids": [teams[0]["id"]]}
    assert (await github.post(f"{ORG}/invitations", json=body)).status_code == 201
    again = await github.post(f"{ORG}/invitations", json={"email": "jane@ACME.example"})
    assert again.status_code == 422
    world.github.accept_invitation("jane@acme.example", username="jane")
    assert (await github.get(JANE)).json()["state"] == "active"
    assert (await github.get(f"{ORG}/teams/{teams[0]['slug']}/memberships/jane")).json()[
        "state"
    ] == "active"
    member = await github.post(f"{ORG}/invitations", json={"email": "jane@acme.example"})
    assert member.status_code == 422


async def test_invitations_expire_after_seven_days(world, github):
    """After seven days an invitation has failed with its date, and the membership is gone."""
    await github.put(JANE, json={})
    world.clock.advance(timedelta(days=7) - timedelta(seconds=1))
    assert (await github.get(JANE)).status_code == 200
    world.clock.advance(timedelta(seconds=1))
    assert (await github.get(JANE)).status_code == 404
    failed = (await github.get(f"{ORG}/failed_invitations")).json()
    assert [(f["login"], f["failed_at"]) for f in failed] == [("jane", "2026-01-12T09:00:00Z")]
    assert (await github.get(f"{ORG}/invitations")).json() == []


async def test_a_withdrawn_invitation_takes_the_membership_with_it(github):
    """Cancelling an invitation by id removes the pending membership; again it is absent."""
    await github.put(JANE, json={})
    (invitation,) = (await github.get(f"{ORG}/invitations")).json()
    path = f"{ORG}/invitations/{invitation['id']}"
    assert (await github.delete(path)).status_code == 204
    assert (await github.delete(path)).status_code == 404
    assert (await github.get(JANE)).status_code == 404


async def test_removing_a_member_removes_what_came_with_it(world, github):
    """A removed member has neither teams nor repositories; removing again is 404."""
    world.github.create_by_hand("jane")
    assert (await github.put(TEAM, json={})).json()["state"] == "active"
    assert (await github.put(REPOSITORY, json={"permission": "push"})).status_code == 204
    assert world.github.access("jane") == {"api"}
    assert (await github.delete(JANE)).status_code == 204
    assert (await github.delete(JANE)).status_code == 404
    assert (await github.get(TEAM)).status_code == 404
    assert world.github.access("jane") == set()


async def test_repository_access_waits_for_strangers(world, github):
    """Who is not active is invited to a repository (201); an active member gets access (204)."""
    assert (await github.put(REPOSITORY, json={})).status_code == 201
    assert (await github.get(REPOSITORY)).status_code == 404
    world.github.create_by_hand("jane")
    assert (await github.put(REPOSITORY, json={})).status_code == 204
    assert (await github.get(REPOSITORY)).status_code == 204
    assert (await github.delete(REPOSITORY)).status_code == 204
    assert (await github.delete(REPOSITORY)).status_code == 404


async def test_the_last_owner_stays(world, github):
    """The only owner cannot be removed."""
    answer = await github.delete(f"{ORG}/memberships/acme-owner")
    assert (answer.status_code, "last owner" in answer.json()["message"]) == (403, True)


async def test_a_full_organization_invites_nobody():
    """Members, pending ones and invited addresses fill the seats; the next is refused."""
    simulator = GitHubSimulator(seats=3)
    token = simulator.credentials()["GITHUB_TOKEN"]
    async with plain(simulator, headers={"Authorization": f"Bearer {token}"}) as github:
        assert (await github.put(JANE, json={})).status_code == 200
        body = {"email": "joe@acme.example"}
        assert (await github.post(f"{ORG}/invitations", json=body)).status_code == 201
        refused = await github.put(f"{ORG}/memberships/jim", json={})
        assert (refused.status_code, "seat" in refused.json()["message"]) == (422, True)
        plan = (await github.get(ORG)).json()["plan"]
        assert (plan["filled_seats"], plan["seats"]) == (3, 3)


async def test_seats_left_are_counted_down_by_a_fault(world, github):
    """A fault that leaves one seat lets one person in and refuses the next."""
    world.github.fail("*", Seats(1))
    statuses = [
        (await github.put(f"{ORG}/memberships/{login}", json={})).status_code
        for login in ("jane", "joe")
    ]
    assert statuses == [200, 422]


async def test_a_day_has_so_many_invitations():
    """The invitations of 24 hours are limited; a day later there are new ones."""
    simulator = GitHubSimulator(invitations_per_day=1)
    token = simulator.credentials()["GITHUB_TOKEN"]
    async with plain(simulator, headers={"Authorization": f"Bearer {token}"}) as github:
        assert (await github.put(JANE, json={})).status_code == 200
        assert (await github.put(f"{ORG}/memberships/joe", json={})).status_code == 422
        simulator.clock.advance(timedelta(days=1, seconds=1))
        assert (await github.put(f"{ORG}/memberships/joe", json={})).status_code == 200


async def test_a_user_who_blocked_the_organization_cannot_be_invited(world, github):
    """An invitation to a user who blocked the organization is refused with 422."""
    world.github.block_org("jane")
    assert (await github.put(JANE, json={})).status_code == 422


async def test_a_team_of_the_identity_provider_is_not_changed_by_hand(world, github):
    """A team managed elsewhere refuses members with 403."""
    world.github.add_team("staff", managed_by_idp=True)
    path = f"{ORG}/teams/staff/memberships/jane"
    assert (await github.put(path, json={})).status_code == 403
    assert (await github.delete(path)).status_code == 403


async def test_listings_come_in_pages_with_links(world, github):
    """A listing of seven in pages of three is followed by its links to the end."""
    for number in range(6):
        world.github.create_by_hand(f"user-{number}")
    seen: list[str] = []
    path: str | None = f"{ORG}/members?per_page=100"
    pages = 0
    while path:
        answer = await github.get(path)
        seen += [member["login"] for member in answer.json()]
        pages += 1
        path = answer.links.get("next", {}).get("url")
    assert pages == 3
    assert seen == ["acme-owner", *(f"user-{number}" for number in range(6))]


async def test_a_lagging_list_of_invitations_misses_the_newest(world, github):
    """The listing trails behind while the membership itself is seen at once."""
    world.github.fail("*", Lag("github.invitations", 30))
    await github.put(JANE, json={})
    assert (await github.get(f"{ORG}/invitations")).json() == []
    assert (await github.get(JANE)).status_code == 200
    world.clock.advance(timedelta(seconds=30))
    assert len((await github.get(f"{ORG}/invitations")).json()) == 1


async def test_headers_tell_request_and_limit(github):
    """Every answer carries its own request id and the state of the primary limit."""
    answers = [await github.get("/rate_limit") for _ in range(2)]
    identities = [answer.headers["x-github-request-id"] for answer in answers]
    assert len(set(identities)) == 2
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["4999", "4998"]


async def test_a_missing_permission_is_named_in_a_header(world, github):
    """A refused request names the permission in X-Accepted-GitHub-Permissions."""
    from newel.simulators import RemoveScope

    world.github.fail("*", RemoveScope("members:write"))
    answer = await github.put(JANE, json={})
    assert answer.status_code == 403
    assert answer.headers["x-accepted-github-permissions"] == "members=write"
    assert (await github.get(f"{ORG}/members")).status_code == 200


async def test_a_request_without_user_agent_is_refused(world):
    """GitHub answers nobody who does not say who they are."""
    async with plain(world.github, headers={"User-Agent": ""}) as client:
        assert (await client.get("/rate_limit")).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/orgs/other", None, 404),
        ("GET", "/users/-bad-", None, 404),
        ("PUT", f"{ORG}/teams/none/memberships/jane", {}, 404),
        ("PUT", "/repos/acme-example/none/collaborators/jane", {}, 404),
        ("PUT", JANE, {"role": "boss"}, 422),
        ("PUT", TEAM, {"role": "boss"}, 422),
        ("PUT", REPOSITORY, {"permission": "all"}, 422),
        ("POST", f"{ORG}/invitations", {}, 422),
        ("POST", f"{ORG}/invitations", {"email": "a@b.c", "role": "boss"}, 422),
        ("POST", f"{ORG}/invitations", {"email": "a@b.c", "team_ids": [1]}, 422),
    ],
)
async def test_what_makes_no_sense_is_refused(world, github, method, path, body, status):
    """Unknown things are 404 and unknown values 422, and neither changes anything."""
    answer = await github.request(method, path, json=body)
    assert answer.status_code == status
    assert set(answer.json()) >= {"message", "documentation_url"}
    assert world.github.calls(committed=True) == []
