"""Slack: answers of HTTP 200, plans, invitations, channels, messages with metadata, SCIM."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from newel.simulators import Lag, LoseResponse, RemoveScope, SlackSimulator
from newel.simulators.slack_scim import CORE, ERROR, PATCH
from newel.simulators.slack_world import GENERAL
from tests.simulators.support import plain

SCIM = "/scim/v2/Users"
JANE = {
    "schemas": [CORE],
    "userName": "jane.doe",
    "name": {"givenName": "Jane", "familyName": "Doe"},
    "emails": [{"value": "Jane.Doe@acme.example", "primary": True}],
    "externalId": "4711",
}
INVITATION = {"team_id": "T0ACME0001", "email": "jane@acme.example", "channel_ids": GENERAL}


def client_of(simulator: SlackSimulator) -> httpx2.AsyncClient:
    """Give a signed-in client of one simulator."""
    token = simulator.credentials()["SLACK_TOKEN"]
    return plain(simulator, headers={"Authorization": f"Bearer {token}"})


async def error_of(client: httpx2.AsyncClient, method: str, arguments: dict[str, Any]) -> str:
    """Give the error of a call that must fail with HTTP 200."""
    answer = await client.post(f"/api/{method}", json=arguments)
    assert (answer.status_code, answer.json()["ok"]) == (200, False)
    return str(answer.json()["error"])


def active(value: object, **step: Any) -> dict[str, Any]:
    """Give the SCIM patch that sets `active`."""
    operation = {"op": "replace", "path": "active", "value": value, **step}
    return {"schemas": [PATCH], "Operations": [operation]}


async def test_auth_test_says_who_the_token_is(slack):
    """A good token is told its workspace and user, and its scopes in a header."""
    answer = await slack.post("/api/auth.test")
    body = answer.json()
    assert (body["ok"], body["team_id"], body["user"]) == (True, "T0ACME0001", "newel")
    assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")


async def test_a_token_may_come_as_an_argument(world, slack):
    """The token may stand in the form instead of the header; without any it is not_authed."""
    token = world.slack.credentials()["SLACK_TOKEN"]
    async with plain(world.slack) as client:
        assert (await client.post("/api/auth.test", data={"token": token})).json()["ok"]
        assert (await client.get(f"/api/auth.test?token={token}")).json()["ok"]
        assert await error_of(client, "auth.test", {}) == "not_authed"


async def test_a_missing_scope_is_named(world, slack):
    """A missing scope is answered with what is needed and what the token has."""
    from newel.simulators import RemoveScope

    world.slack.fail("*", RemoveScope("chat:write"))
    answer = await slack.post("/api/chat.postMessage", json={"channel": GENERAL, "text": "x"})
    body = answer.json()
    assert (answer.status_code, body["error"], body["needed"]) == (
        200,
        "missing_scope",
        "chat:write",
    )
    assert "channels:read" in body["provided"].split(",")
    assert world.slack.messages() == []


async def test_a_user_is_provisioned_by_scim_once(world, slack):
    """SCIM creates a user who is there at once; the same name or address is a conflict."""
    made = await slack.post(SCIM, json=JANE)
    assert made.status_code == 201
    assert made.headers["content-type"] == "application/scim+json"
    assert made.headers["location"].endswith(f"{SCIM}/{made.json()['id']}")
    for body in (JANE, {**JANE, "userName": "other"}, {**JANE, "emails": [{"value": "x@y.z"}]}):
        conflict = await slack.post(SCIM, json=body)
        assert (conflict.status_code, conflict.json()["status"]) == (409, "409")
        assert (conflict.json()["schemas"], conflict.json()["scimType"]) == ([ERROR], "uniqueness")
    for query in (
        'userName eq "JANE.DOE"',
        'externalId eq "4711"',
        'emails.value eq "jane.doe@acme.example"',
    ):
        found = (await slack.get(SCIM, params={"filter": query})).json()
        assert [user["id"] for user in found["Resources"]] == [made.json()["id"]]
    looked_up = await slack.get("/api/users.lookupByEmail?email=jane.doe@acme.example")
    assert looked_up.json()["user"]["id"] == made.json()["id"]
    call = world.slack.assert_exactly_once("account/jane.doe@acme.example")
    assert call.effect_key == "4711"
    assert world.slack.accounts()[-1]["access"] == ["general"]


async def test_scim_users_are_deactivated_and_brought_back(world, slack):
    """DELETE and PATCH deactivate; PATCH with either spelling of true brings back."""
    path = f"{SCIM}/{(await slack.post(SCIM, json=JANE)).json()['id']}"
    assert (await slack.delete(path)).status_code == 204
    assert (await slack.get(path)).json()["active"] is False
    lookup = "/api/users.lookupByEmail?email=jane.doe@acme.example"
    assert (await slack.get(lookup)).json()["error"] == "users_not_found"
    assert (await slack.patch(path, json=active("True"))).json()["active"] is True
    no_path = {"schemas": [PATCH], "Operations": [{"op": "Replace", "value": {"active": False}}]}
    assert (await slack.patch(path, json=no_path)).json()["active"] is False
    await slack.patch(path, json=no_path)
    assert [call.did for call in world.slack.calls("scim/patch")] == [
        "changed",
        "changed",
        "nothing",
    ]


async def test_scim_attributes_are_changed_one_by_one(slack):
    """Name, address and marker are changed by path; another's name is refused."""
    await slack.post(
        SCIM, json={**JANE, "userName": "joe", "emails": [{"value": "joe@acme.example"}]}
    )
    path = f"{SCIM}/{(await slack.post(SCIM, json=JANE)).json()['id']}"
    steps = [
        {"op": "replace", "path": "userName", "value": "jane"},
        {"op": "add", "path": "externalId", "value": "4712"},
        {"op": "replace", "path": "emails", "value": [{"value": "j@acme.example"}]},
        {"op": "replace", "path": "displayName", "value": "Jane Smith"},
    ]
    shown = (await slack.patch(path, json={"schemas": [PATCH], "Operations": steps})).json()
    assert (shown["userName"], shown["externalId"], shown["emails"][0]["value"]) == (
        "jane",
        "4712",
        "j@acme.example",
    )
    assert shown["displayName"] == "Jane Smith"
    assert (await slack.patch(path, json=active("joe", path="userName"))).status_code == 409


async def test_scim_lists_in_pages(world, slack):
    """A list of five in pages of three is followed by startIndex; a lagging filter misses."""
    for name in ("a", "b", "c", "d"):
        world.slack.create_by_hand(f"{name}@acme.example")
    first = (await slack.get(f"{SCIM}?count=100")).json()
    second = (await slack.get(f"{SCIM}?count=100&startIndex=4")).json()
    assert (first["totalResults"], first["itemsPerPage"], second["itemsPerPage"]) == (5, 3, 2)
    world.slack.fail("*", Lag("scim.filter", 5))
    await slack.post(SCIM, json=JANE)
    query = {"filter": 'userName eq "jane.doe"'}
    assert (await slack.get(SCIM, params=query)).json()["totalResults"] == 0
    world.clock.advance(timedelta(seconds=5))
    assert (await slack.get(SCIM, params=query)).json()["totalResults"] == 1


async def test_scim_says_what_it_can(slack):
    """The provider's configuration announces patch and filter."""
    body = (await slack.get("/scim/v2/ServiceProviderConfig")).json()
    assert (body["patch"]["supported"], body["filter"]["supported"]) == (True, True)


async def test_the_plan_decides_which_ways_there_are():
    """Pro has neither SCIM nor admin methods, Business has SCIM, Enterprise has both."""
    ways = {}
    for plan in ("pro", "business", "enterprise"):
        async with client_of(SlackSimulator(plan=plan)) as client:
            scim = (await client.get("/scim/v2/ServiceProviderConfig")).status_code
            invited = (await client.post("/api/admin.users.invite", json=INVITATION)).json()
            ways[plan] = (scim, invited.get("error", "ok"))
    assert ways == {
        "pro": (403, "feature_not_enabled"),
        "business": (200, "feature_not_enabled"),
        "enterprise": (200, "ok"),
    }


async def test_an_invited_person_is_not_found_until_she_accepts():
    """An invitation makes nobody findable; inviting again says which state the person is in."""
    simulator = SlackSimulator(plan="enterprise")
    lookup = "/api/users.lookupByEmail?email=jane@acme.example"
    async with client_of(simulator) as slack:
        assert (await slack.post("/api/admin.users.invite", json=INVITATION)).json()["ok"]
        assert (await slack.get(lookup)).json()["error"] == "users_not_found"
        again = await error_of(slack, "admin.users.invite", INVITATION)
        assert again == "already_in_team_invited_user"
        simulator.accept_in_slack("jane@acme.example")
        assert (await slack.get(lookup)).json()["ok"]
        assert await error_of(slack, "admin.users.invite", INVITATION) == "already_in_team"
        simulator.deactivate_by_hand("jane@acme.example")
        assert await error_of(slack, "admin.users.invite", INVITATION) == "user_disabled"
    simulator.assert_exactly_once("account/jane@acme.example")


async def test_a_user_of_the_organization_is_assigned_once():
    """Assigning puts an organization's user into the workspace; the second time is an error."""
    simulator = SlackSimulator(plan="enterprise")
    made = simulator.create_by_hand("jane@acme.example")
    simulator.store.put("users", made["id"], {**made, "in_team": False})
    body = {"team_id": "T0ACME0001", "user_id": made["id"]}
    async with client_of(simulator) as slack:
        assert (await slack.post("/api/admin.users.assign", json=body)).json() == {"ok": True}
        assert await error_of(slack, "admin.users.assign", body) == "user_already_team_member"


async def test_a_message_keeps_its_metadata_for_who_asks(world, slack):
    """Metadata of a message is in the history only if asked for, and marks a double."""
    metadata = {"event_type": "newel", "event_payload": {"op_key": "k-1"}}
    body = {"channel": "#general", "text": "Welcome Jane!", "metadata": metadata}
    world.slack.fail("chat.postMessage", LoseResponse(), times=1)
    with pytest.raises(httpx2.RemoteProtocolError):
        await slack.post("/api/chat.postMessage", json=body)
    said = (await slack.post("/api/chat.postMessage", json=body)).json()
    assert (said["channel"], said["message"]["metadata"]) == (GENERAL, metadata)
    base = f"/api/conversations.history?channel={GENERAL}"
    without = (await slack.get(base)).json()["messages"]
    with_it = (await slack.get(f"{base}&include_all_metadata=true")).json()["messages"]
    assert ["metadata" in message for message in without] == [False, False]
    assert [message["metadata"] for message in with_it] == [metadata, metadata]
    assert with_it[0]["ts"] > with_it[1]["ts"]
    assert world.slack.book.doubled() == {"message/general/k-1": 1}


async def test_a_message_may_come_as_a_form(world, slack):
    """A form with JSON inside is unpacked."""
    form = {
        "channel": GENERAL,
        "text": "hello",
        "metadata": '{"event_type": "newel", "event_payload": {"op_key": "k"}}',
    }
    assert (await slack.post("/api/chat.postMessage", data=form)).json()["ok"]
    assert world.slack.messages()[0]["metadata"]["event_payload"] == {"op_key": "k"}
    broken = await slack.post("/api/chat.postMessage", data={**form, "metadata": "{"})
    assert broken.json()["error"] == "invalid_json"


async def test_history_is_read_from_a_moment_in_pages(world, slack):
    """History goes back to `oldest`, newest first, in pages; a lagging one misses the newest."""
    for number in range(5):
        await slack.post("/api/chat.postMessage", json={"channel": GENERAL, "text": str(number)})
        world.clock.advance(timedelta(seconds=10))
    base = f"/api/conversations.history?channel={GENERAL}"
    oldest = world.clock.now().timestamp() - 25
    recent = (await slack.get(f"{base}&oldest={oldest}")).json()
    assert [message["text"] for message in recent["messages"]] == ["4", "3"]
    texts: list[str] = []
    cursor = ""
    while True:
        page = (await slack.get(f"{base}&cursor={cursor}")).json()
        texts += [message["text"] for message in page["messages"]]
        cursor = page["response_metadata"]["next_cursor"]
        if not cursor:
            break
    assert texts == ["4", "3", "2", "1", "0"]
    first = world.slack.messages()[0]["ts"]
    exact = f"{base}&oldest={first}&latest={first}"
    assert (await slack.get(exact)).json()["messages"] == []
    assert len((await slack.get(f"{exact}&inclusive=true")).json()["messages"]) == 1
    world.slack.fail("*", Lag("slack.history", 15))
    late = (await slack.get(base)).json()["messages"]
    assert [message["text"] for message in late] == ["3", "2", "1"]


async def test_people_are_put_into_channels_once(world, slack):
    """Inviting to a channel twice says already_in_channel; one bad name refuses all."""
    jane = world.slack.create_by_hand("jane@acme.example")["id"]
    joe = world.slack.create_by_hand("joe@acme.example")["id"]
    body = {"channel": "C0ACME00002", "users": jane}
    assert (await slack.post("/api/conversations.invite", json=body)).json()["ok"]
    assert await error_of(slack, "conversations.invite", body) == "already_in_channel"
    both = {**body, "users": f"{joe},U404"}
    assert await error_of(slack, "conversations.invite", both) == "user_not_found"
    assert world.slack.channels_of(joe) == ["general"]
    assert world.slack.channels_of(jane) == ["general", "engineering"]


async def test_channels_are_listed_by_kind(world, slack):
    """Public channels are listed in pages; private and archived ones as asked."""
    for name in ("a", "b"):
        world.slack.add_channel(name)
    world.slack.add_channel("board", is_private=True)
    world.slack.archive_channel("b")

    async def names(query: str) -> list[str]:
        page = (await slack.get(f"/api/conversations.list?{query}")).json()
        return [channel["name"] for channel in page["channels"]]

    assert await names("limit=3") == ["general", "engineering", "a"]
    assert await names("cursor=next:3") == ["b"]
    assert await names("cursor=next:3&exclude_archived=true") == []
    assert await names("types=private_channel") == ["board"]


async def test_archived_and_foreign_channels_are_closed(world, slack):
    """Nobody is put into, and nothing said in, a channel that is archived or not joined."""
    jane = world.slack.create_by_hand("jane@acme.example")["id"]
    foreign = world.slack.add_channel("foreign")["id"]
    world.slack.archive_channel("engineering")
    for channel, error in ((foreign, "not_in_channel"), ("C0ACME00002", "is_archived")):
        invite = {"channel": channel, "users": jane}
        assert await error_of(slack, "conversations.invite", invite) == error
        say = {"channel": channel, "text": "x"}
        assert await error_of(slack, "chat.postMessage", say) == error


async def test_users_and_team_are_shown(world, slack):
    """A user is shown by id, the workspace by its token."""
    jane = world.slack.create_by_hand("jane@acme.example")["id"]
    assert (await slack.get(f"/api/users.info?user={jane}")).json()["user"]["id"] == jane
    assert (await slack.get("/api/team.info")).json()["team"]["domain"] == "acme-example"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", SCIM, {"userName": "x"}, 400),
        ("POST", SCIM, {"emails": [{"value": "x@y.z"}]}, 400),
        ("GET", f"{SCIM}?filter=title pr", None, 400),
        ("GET", f"{SCIM}/U404", None, 404),
        ("DELETE", f"{SCIM}/U404", None, 404),
        ("PATCH", f"{SCIM}/JANE", {"Operations": []}, 400),
        ("PATCH", f"{SCIM}/JANE", active(False, op="remove"), 400),
        ("PATCH", f"{SCIM}/JANE", active(False, path="shoe_size"), 400),
        (
            "PATCH",
            f"{SCIM}/JANE",
            {"schemas": [PATCH], "Operations": [{"op": "add", "value": 1}]},
            400,
        ),
    ],
)
async def test_what_scim_cannot_do_is_refused(world, slack, method, path, body, status):
    """Wrong requests are refused in SCIM's envelope, where the status is a text."""
    jane = world.slack.create_by_hand("jane@acme.example")["id"]
    answer = await slack.request(method, path.replace("JANE", jane), json=body)
    assert (answer.status_code, answer.json()["status"]) == (status, str(status))
    assert world.slack.calls(committed=True) == []


async def test_who_is_in_a_channel_is_listed_and_taken_out(world, slack):
    """Members are listed over pages; a person is taken out once, and never of the general one."""
    for number in range(4):
        world.slack.create_by_hand(f"user{number}@acme.example")
    first = (await slack.get(f"/api/conversations.members?channel={GENERAL}")).json()
    cursor = first["response_metadata"]["next_cursor"]
    rest = (await slack.get(f"/api/conversations.members?channel={GENERAL}&cursor={cursor}")).json()
    assert (len(first["members"]), len(rest["members"])) == (3, 2)
    jane = world.slack.create_by_hand("jane@acme.example")["id"]
    world.slack.join("C0ACME00002", jane)
    body = {"channel": "C0ACME00002", "user": jane}
    assert (await slack.post("/api/conversations.kick", json=body)).json() == {"ok": True}
    assert await error_of(slack, "conversations.kick", body) == "not_in_channel"
    general = {"channel": GENERAL, "user": jane}
    assert await error_of(slack, "conversations.kick", general) == "cant_kick_from_general"


async def test_private_channels_are_closed_to_the_scopes_of_public_ones(world, slack):
    """Reading and inviting to a private channel need the scopes of groups, by their names."""
    secret = world.slack.add_channel("secret", is_private=True)["id"]
    for scope in ("groups:read", "groups:write", "groups:write.invites"):
        world.slack.fail("*", RemoveScope(scope))
    for method, arguments, needed in (
        ("conversations.members", {"channel": secret}, "groups:read"),
        ("conversations.list", {"types": "public_channel,private_channel"}, "groups:read"),
        ("conversations.invite", {"channel": secret, "users": "U1"}, "groups:write.invites"),
        ("conversations.kick", {"channel": secret, "user": "U1"}, "groups:write"),
    ):
        answer = (await slack.post(f"/api/{method}", json=arguments)).json()
        assert (answer["error"], answer["needed"]) == ("missing_scope", needed)


async def test_a_guest_is_in_few_channels_and_the_owner_out_of_reach():
    """A guest cannot be put into a channel; the owner neither removed, signed out nor locked."""
    simulator = SlackSimulator(plan="enterprise")
    jane = simulator.create_by_hand("jane@acme.example")["id"]
    simulator.make_guest("jane@acme.example")
    simulator.make_primary_owner("jane@acme.example")
    simulator.log_in("jane@acme.example")
    removal = {"team_id": "T0ACME0001", "user_id": jane}
    async with client_of(simulator) as slack:
        joining = {"channel": "C0ACME00002", "users": jane}
        assert await error_of(slack, "conversations.invite", joining) == "user_is_restricted"
        found = await error_of(slack, "admin.users.remove", removal)
        assert found == "cannot_modify_primary_owner"
        found = await error_of(slack, "admin.users.session.reset", {"user_id": jane})
        assert found == "cannot_reset_primary_owner"
        assert (await slack.delete(f"{SCIM}/{jane}")).status_code == 403
    assert simulator.is_signed_in("jane@acme.example")
    with pytest.raises(ValueError, match="there is no user"):
        simulator.log_in("nobody@acme.example")


async def test_members_are_listed_with_their_address_only_for_who_may_see_it(world, slack):
    """The list has everybody who is no mere invitation; addresses need a scope of their own."""
    world.slack.create_by_hand("jane@acme.example")
    members = (await slack.get("/api/users.list")).json()["members"]
    assert [each["profile"]["email"] for each in members] == [
        "newel@acme.example",
        "jane@acme.example",
    ]
    world.slack.fail("*", RemoveScope("users:read.email"))
    members = (await slack.get("/api/users.list")).json()["members"]
    assert ["email" in each["profile"] for each in members] == [False, False]
