"""Google Workspace: signed assertions, users, uniqueness, suspension, pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from newel.simulators import (
    GoogleSimulator,
    Lag,
    Licences,
    LoseResponse,
    NotReady,
    RevokeToken,
    Seats,
)
from newel.simulators.google import GRANT
from newel.simulators.google_world import USER_SCOPE
from tests.simulators.support import START, exchanged, google_claims, plain, signed

USERS = "/admin/directory/v1/users"
JANE = f"{USERS}/jane.doe@acme.example"
NOW = int(START.timestamp())


def body(**changes: Any) -> dict[str, Any]:
    """Give the body that creates Jane's account, suspended and marked."""
    return {
        "primaryEmail": "jane.doe@acme.example",
        "password": "correct horse battery",
        "name": {"givenName": "Jane", "familyName": "Doe"},
        "externalIds": [{"type": "organization", "value": "4711"}],
        "suspended": True,
        **changes,
    }


async def test_an_assertion_is_exchanged_for_a_token_of_an_hour(world):
    """A good assertion gives a bearer token that works for an hour."""
    async with plain(world.google) as client:
        answer = await exchanged(client, "/token", google_claims())
        assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        path = f"{USERS}?customer=my_customer"
        assert (await client.get(path, headers=headers)).status_code == 200
        world.clock.advance(timedelta(hours=1))
        assert (await client.get(path, headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"aud": "https://elsewhere.example/token"}, 400, "invalid_grant"),
        ({"exp": NOW}, 400, "invalid_grant"),
        ({"exp": NOW + 7200}, 400, "invalid_grant"),
        ({"iat": NOW + 600, "exp": NOW + 900}, 400, "invalid_grant"),
        ({"iat": "now"}, 400, "invalid_grant"),
        ({"sub": "nobody@acme.example"}, 400, "invalid_grant"),
        ({"iss": "other@acme-newel.iam.gserviceaccount.com"}, 400, "invalid_grant"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, 401, "unauthorized_client"),
        ({"scope": ""}, 401, "unauthorized_client"),
    ],
)
async def test_a_wrong_assertion_is_refused(world, changes, status, error):
    """Audience, times, subject, issuer and scopes of an assertion are checked."""
    async with plain(world.google) as client:
        answer = await exchanged(client, "/token", google_claims(**changes))
    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize(
    "assertion",
    [
        signed(google_claims(), seed=5),
        signed(google_claims(), header={"alg": "none"}),
        signed(google_claims())[:-6] + "AAAAAA",
        "not.a.jwt",
        "nothing",
        "",
    ],
    ids=["another key", "no algorithm", "altered", "no JSON", "no parts", "empty"],
)
async def test_a_forged_assertion_is_refused(world, assertion):
    """An assertion that the service account's key did not sign gets no token."""
    async with plain(world.google) as client:
        form = {"grant_type": GRANT, "assertion": assertion}
        answer = await client.post("/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_only_the_grant_of_assertions_is_known(world):
    """Another grant type is refused."""
    async with plain(world.google) as client:
        answer = await client.post("/token", data={"grant_type": "password"})
    assert answer.json()["error"] == "unsupported_grant_type"


async def test_a_revoked_delegation_gives_no_token(world):
    """With the credential revoked the token endpoint refuses as for a missing delegation."""
    world.google.fail("*", RevokeToken())
    async with plain(world.google) as client:
        answer = await exchanged(client, "/token", google_claims())
    assert answer.json()["error"] == "unauthorized_client"


async def test_a_narrow_token_may_only_read(world):
    """A token for reading cannot create users."""
    async with plain(world.google) as client:
        answer = await exchanged(client, "/token", google_claims(scope=f"{USER_SCOPE}.readonly"))
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        assert (await client.get(JANE)).status_code == 404
        refused = await client.post(USERS, json=body())
    assert refused.status_code == 403
    assert refused.json()["error"]["errors"][0]["reason"] == "insufficientPermissions"


async def test_acting_for_somebody_else_is_not_authorized(world, google):
    """A token for a user who is no administrator may do nothing in the directory."""
    await google.post(USERS, json=body(suspended=False))
    async with plain(world.google) as client:
        answer = await exchanged(client, "/token", google_claims(sub="jane.doe@acme.example"))
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        assert (await client.get(JANE)).status_code == 403


async def test_a_user_is_created_once_with_its_marker(world, google):
    """An account is created with its marker; the second time it is a duplicate."""
    first = await google.post(USERS, json=body())
    second = await google.post(USERS, json=body())
    assert (first.status_code, second.status_code) == (200, 409)
    assert second.json()["error"]["errors"][0]["reason"] == "duplicate"
    shown = (await google.get(JANE)).json()
    assert shown == first.json()
    assert "password" not in shown
    assert (shown["suspended"], shown["name"]["fullName"]) == (True, "Jane Doe")
    assert (await google.get(f"{USERS}/{shown['id']}")).json() == shown
    call = world.google.assert_exactly_once("account/jane.doe@acme.example")
    assert call.effect_key == "4711"
    assert world.google.accounts()[-1]["marker"] == "4711"


async def test_addresses_have_no_case(google):
    """Jane.Doe@ and jane.doe@ are one address."""
    await google.post(USERS, json=body(primaryEmail="Jane.Doe@Acme.Example"))
    assert (await google.get(JANE)).status_code == 200
    assert (await google.post(USERS, json=body())).status_code == 409


async def test_a_lost_answer_leaves_the_account(world, google):
    """After a lost answer the account is there and the repetition is a duplicate."""
    world.google.fail("directory.users.insert", LoseResponse(), times=1)
    with pytest.raises(Exception, match="disconnected"):
        await google.post(USERS, json=body())
    assert (await google.post(USERS, json=body())).status_code == 409
    assert world.google.book.doubled() == {}


async def test_an_update_changes_what_it_names(world, google):
    """Fields are changed one by one, lists whole; null clears; repeating changes nothing."""
    await google.post(USERS, json=body(recoveryEmail="jane@home.example"))
    changed = (await google.put(JANE, json={"suspended": False, "recoveryEmail": None})).json()
    assert (changed["suspended"], "recoveryEmail" in changed) == (False, False)
    assert changed["externalIds"] == [{"type": "organization", "value": "4711"}]
    await google.put(JANE, json={"suspended": False})
    renamed = (await google.put(JANE, json={"name": {"familyName": "Smith"}})).json()
    assert renamed["name"]["fullName"] == "Jane Smith"
    dids = [call.did for call in world.google.calls("directory.users.update")]
    assert dids == ["changed", "nothing", "changed"]


async def test_a_new_password_is_a_change_though_never_shown(world, google):
    """Setting a password again counts as a change and appears nowhere."""
    await google.post(USERS, json=body())
    await google.put(JANE, json={"password": "another horse", "changePasswordAtNextLogin": True})
    assert [c.did for c in world.google.calls("directory.users.update")] == ["changed"]
    assert "another horse" not in str(world.google.snapshot())


async def test_suspending_names_the_reason(google):
    """A user suspended by an administrator says so."""
    await google.post(USERS, json=body(suspended=False))
    assert (await google.put(JANE, json={"suspended": True})).json()["suspensionReason"] == "ADMIN"


async def test_an_address_moves_only_to_a_free_one(world, google):
    """A user may be renamed, but not onto another's address."""
    world.google.create_by_hand("joe@acme.example")
    await google.post(USERS, json=body())
    taken = await google.put(JANE, json={"primaryEmail": "joe@acme.example"})
    assert taken.status_code == 409
    moved = await google.put(JANE, json={"primaryEmail": "jane@acme.example"})
    assert moved.json()["primaryEmail"] == "jane@acme.example"
    assert (await google.get(JANE)).status_code == 404


async def test_a_deleted_user_is_absent(google):
    """Deleting answers 204 once and 404 after that."""
    await google.post(USERS, json=body())
    assert [(await google.delete(JANE)).status_code for _ in range(2)] == [204, 404]


async def test_a_fresh_user_is_not_ready(world, google):
    """For a while after creation an update is refused with 412; then it passes."""
    world.google.fail("*", NotReady(20))
    await google.post(USERS, json=body())
    refused = await google.put(JANE, json={"suspended": False})
    assert (refused.status_code, "not complete" in refused.text) == (412, True)
    world.clock.advance(timedelta(seconds=20))
    assert (await google.put(JANE, json={"suspended": False})).status_code == 200


async def test_a_lagging_read_does_not_see_the_new_user(world, google):
    """Reads trail behind while uniqueness does not."""
    world.google.fail("*", Lag("google.user", 30))
    await google.post(USERS, json=body())
    assert (await google.get(JANE)).status_code == 404
    assert (await google.post(USERS, json=body())).status_code == 409
    world.clock.advance(timedelta(seconds=30))
    assert (await google.get(JANE)).status_code == 200


async def test_users_are_listed_in_pages_and_searched(world, google):
    """A listing of five in pages of three is complete; a query finds marker and address."""
    for number in range(3):
        world.google.create_by_hand(f"user{number}@acme.example")
    await google.post(USERS, json=body())
    first = (await google.get(f"{USERS}?customer=my_customer&maxResults=500")).json()
    assert len(first["users"]) == 3
    second = (
        await google.get(f"{USERS}?customer=my_customer&pageToken={first['nextPageToken']}")
    ).json()
    assert "nextPageToken" not in second
    emails = [user["primaryEmail"] for user in first["users"] + second["users"]]
    assert emails == sorted(emails)
    assert len(emails) == 5
    for query in ("externalId=4711", "email:jane.doe@acme.example", "givenName:Jane"):
        found = (await google.get(f"{USERS}?domain=acme.example&query={query}")).json()
        assert [user["primaryEmail"] for user in found["users"]] == ["jane.doe@acme.example"]
    none = (await google.get(f"{USERS}?domain=acme.example&query=email:none")).json()
    assert "users" not in none


async def test_licences_run_out():
    """The user beyond the licences is refused, by number bought or by a fault."""
    simulator = GoogleSimulator(licences=1)
    claims = google_claims(
        iat=int(simulator.clock.now().timestamp()), exp=int(simulator.clock.now().timestamp()) + 600
    )
    async with plain(simulator) as client:
        answer = await exchanged(client, "/token", claims)
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        assert (await client.post(USERS, json=body())).status_code == 412
    simulator.fail("*", Seats(0))
    assert not simulator.take_seat(used=0, seats=None)


async def test_a_login_is_seen(world, google):
    """The last login of a user is shown; nobody else can log in."""
    await google.post(USERS, json=body(suspended=False))
    world.google.log_in("jane.doe@acme.example")
    assert (await google.get(JANE)).json()["lastLoginTime"] == "2026-01-05T09:00:00.000Z"
    with pytest.raises(ValueError, match="there is no user"):
        world.google.log_in("nobody@acme.example")


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"primaryEmail": ""}, 400, "required"),
        ({"password": None}, 400, "required"),
        ({"name": {"givenName": "Jane"}}, 400, "required"),
        ({"name": None}, 400, "required"),
        ({"primaryEmail": "jane doe@acme.example"}, 400, "invalid"),
        ({"primaryEmail": "jane@elsewhere.example"}, 404, "notFound"),
        ({"password": "short"}, 400, "invalid"),
        ({"orgUnitPath": "Sales"}, 400, "invalid"),
        ({"nickname": "JD"}, 400, "badRequest"),
    ],
)
async def test_a_wrong_user_is_refused(world, google, changes, status, reason):
    """Missing, malformed, foreign and unknown values are refused with their reason."""
    answer = await google.post(USERS, json=body(**changes))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, status)
    assert error["errors"][0]["reason"] == reason
    assert len(world.google.accounts()) == 1


@pytest.mark.parametrize(
    "query", ["", "?customer=c&query=colour:red"], ids=["nobody's", "unknown field"]
)
async def test_a_wrong_listing_is_refused(google, query):
    """A listing needs a customer or a domain, and a query that can be read."""
    assert (await google.get(USERS + query)).status_code == 400


GROUPS = "/admin/directory/v1/groups"
STAFF = f"{GROUPS}/staff@acme.example/members"


async def reason_of(answer: Any) -> tuple[int, str, str]:
    """Give status, reason and text of a refusal."""
    error = answer.json()["error"]
    return answer.status_code, error["errors"][0]["reason"], error["message"]


async def test_a_member_is_added_once_and_removed_once(world, google):
    """A second addition is a duplicate, a second removal 404; groups can be asked by user."""
    world.google.add_group("staff@acme.example")
    user = (await google.post(USERS, json=body())).json()
    wanted = {"id": user["id"], "role": "MEMBER"}
    answers = [await google.post(STAFF, json=wanted) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 409]
    of_jane = (await google.get(f"{GROUPS}?userKey={user['id']}")).json()
    assert [group["email"] for group in of_jane["groups"]] == ["staff@acme.example"]
    answers = [await google.delete(f"{STAFF}/{user['id']}") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 404]
    assert world.google.groups_of("jane.doe@acme.example") == []


async def test_who_is_not_there_is_named_by_the_part_of_the_address(world, google):
    """An absent group, an absent member and a fresh user are each 404 with the key's name."""
    wanted = {"id": "nobody", "role": "MEMBER"}
    answer = await google.post(STAFF, json=wanted)
    assert await reason_of(answer) == (404, "notFound", "Resource Not Found: groupKey")
    world.google.add_group("staff@acme.example")
    answer = await google.post(STAFF, json=wanted)
    assert await reason_of(answer) == (404, "notFound", "Resource Not Found: memberKey")
    user = (await google.post(USERS, json=body())).json()
    world.google.fail("*", NotReady(90))
    fresh = {"id": user["id"]}
    assert (await google.post(STAFF, json=fresh)).status_code == 404
    world.clock.advance(timedelta(seconds=90))
    assert (await google.post(STAFF, json=fresh)).status_code == 200


async def test_a_lagging_membership_is_not_shown(world, google):
    """A group shows its new member later, while adding again is a duplicate at once."""
    world.google.add_group("staff@acme.example")
    user = (await google.post(USERS, json=body())).json()
    world.google.fail("*", Lag("google.member", 60))
    await google.post(STAFF, json={"id": user["id"]})
    assert (await google.get(f"{STAFF}/{user['id']}")).status_code == 404
    assert (await google.post(STAFF, json={"id": user["id"]})).status_code == 409
    world.clock.advance(timedelta(seconds=60))
    assert (await google.get(f"{STAFF}/{user['id']}")).json()["role"] == "MEMBER"


async def test_every_way_in_can_be_ended(world, google):
    """Sessions, apps, app passwords and backup codes end each by its own call."""
    email = "jane.doe@acme.example"
    await google.post(USERS, json=body(suspended=False))
    world.google.log_in(email)
    token = world.google.authorize_app(email, "Notes")["clientId"]
    code = world.google.make_app_password(email, "Telephone")["codeId"]
    world.google.make_backup_codes(email)
    left = [world.google.ways_in(email)]
    for method, path in (
        ("POST", "/signOut"),
        ("DELETE", f"/tokens/{token}"),
        ("DELETE", f"/asps/{code}"),
        ("POST", "/verificationCodes/invalidate"),
    ):
        assert (await google.request(method, JANE + path)).status_code == 204
        left.append(world.google.ways_in(email))
    assert [len(each) for each in left] == [4, 3, 2, 1, 0]


async def test_a_transfer_runs_until_the_world_ends_it(world, google):
    """A transfer names its owners by id, is in progress, and then completed or failed."""
    path = "/admin/datatransfer/v1/transfers"
    jane = (await google.post(USERS, json=body())).json()["id"]
    boss = world.google.create_by_hand("boss@acme.example")
    wanted = {
        "oldOwnerUserId": jane,
        "newOwnerUserId": boss,
        "applicationDataTransfers": [{"applicationId": "55656082996"}],
    }
    by_address = {**wanted, "newOwnerUserId": "boss@acme.example"}
    assert (await google.post(path, json=by_address)).status_code == 400
    made = (await google.post(path, json=wanted)).json()
    world.google.finish_transfer()
    ended = (await google.get(f"{path}/{made['id']}")).json()
    states = [each["overallTransferStatusCode"] for each in (made, ended)]
    assert states == ["inProgress", "completed"]
    found = (await google.get(f"{path}?oldOwnerUserId={jane}&status=inProgress")).json()
    assert "dataTransfers" not in found


async def test_a_licence_is_one_of_its_product_and_has_to_be_free(world, google):
    """A second licence of a product and one beyond those bought are 412, each with its text."""
    path = "/apps/licensing/v1/product/Google-Apps/sku/1010020020/user"
    await google.post(USERS, json=body())
    wanted = {"userId": "jane.doe@acme.example"}
    world.google.fail("*", Licences(0), identity="full")
    status, _, text = await reason_of(await google.post(path, json=wanted))
    assert (status, "enough available" in text) == (412, True)
    world.google.faults.remove("full")
    assert (await google.post(path, json=wanted)).status_code == 200
    status, _, text = await reason_of(await google.post(path, json=wanted))
    assert (status, "already has" in text) == (412, True)
    assert world.google.licences_of("jane.doe@acme.example") == ["1010020020"]


async def test_a_deleted_user_comes_back_within_twenty_days(world, google):
    """Undeleting is by id, for twenty days; the address is free again after some minutes."""
    user = (await google.post(USERS, json=body())).json()
    path = f"{USERS}/{user['id']}/undelete"
    await google.delete(JANE)
    assert (await google.post(USERS, json=body())).status_code == 409
    deleted = (await google.get(f"{USERS}?customer=c&showDeleted=true")).json()["users"]
    assert [each["id"] for each in deleted] == [user["id"]]
    back = await google.post(path, json={"orgUnitPath": "/"})
    assert (back.status_code, (await google.get(JANE)).status_code) == (204, 200)
    await google.delete(JANE)
    world.clock.advance(timedelta(minutes=6))
    assert (await google.post(USERS, json=body())).status_code == 200
    world.google.store.remove("users", str(world.google.find_user("jane.doe@acme.example")["id"]))
    world.clock.advance(timedelta(days=21))
    now = int(world.clock.now().timestamp())
    answer = await exchanged(google, "/token", google_claims(iat=now, exp=now + 600))
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    late = await google.post(path, json={"orgUnitPath": "/"}, headers=headers)
    assert late.status_code == 404


def test_the_page_shows_who_is_in_which_group_and_has_which_licence(world):
    """Users, groups, licences and transfers, each in a table of its own."""
    google = world.google
    google.create_by_hand("jane@acme.example")
    google.add_group("team@acme.example")
    google.add_member_by_hand("team@acme.example", "jane@acme.example")
    shown = {panel.title: panel.rows for panel in google.panels()}
    assert list(shown) == ["Users", "Licences", "Transfers of files", "Group members"]
    assert [row[:2] for row in shown["Group members"]] == [
        ("team@acme.example", "jane@acme.example")
    ]
