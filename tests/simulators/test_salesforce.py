"""Salesforce: signed assertions, queries, users by POST and upsert, permission sets, freezing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from newel.simulators import Lag, LoseResponse, SalesforceSimulator
from newel.simulators.salesforce_query import MalformedQuery, NotUnderstood, parsed
from newel.simulators.salesforce_world import LOGIN_HOSTS, MARKER_FIELD
from tests.simulators.support import START, exchanged, plain, salesforce_claims

TOKEN = "/services/oauth2/token"
DATA = "/services/data/v60.0"
USER = f"{DATA}/sobjects/User"
ASSIGNMENT = f"{DATA}/sobjects/PermissionSetAssignment"
NOW = int(START.timestamp())


def jane(world: Any, **changes: Any) -> dict[str, Any]:
    """Give the fields of Jane's user."""
    return {
        "Username": "jane.doe@acme.example",
        "FirstName": "Jane",
        "LastName": "Doe",
        "Email": "jane.doe@acme.example",
        "Alias": "jdoe",
        "ProfileId": world.salesforce.credentials()["SALESFORCE_PROFILE_ID"],
        "TimeZoneSidKey": "Europe/Berlin",
        "LocaleSidKey": "en_US",
        "EmailEncodingKey": "UTF-8",
        "LanguageLocaleKey": "en_US",
        **changes,
    }


async def found(client: Any, soql: str) -> list[dict[str, Any]]:
    """Give the records of a query, all pages together."""
    answer = await client.get(f"{DATA}/query", params={"q": soql})
    assert answer.status_code == 200, answer.text
    records: list[dict[str, Any]] = answer.json()["records"]
    while not answer.json()["done"]:
        answer = await client.get(answer.json()["nextRecordsUrl"])
        records += answer.json()["records"]
    return records


async def test_an_assertion_is_exchanged_for_a_token(world):
    """A good assertion gives a token, and the address to use it at."""
    async with plain(world.salesforce) as client:
        answer = await exchanged(client, TOKEN, salesforce_claims(world))
        body = answer.json()
        assert (answer.status_code, body["instance_url"]) == (200, "https://vendor.example")
        headers = {"Authorization": f"Bearer {body['access_token']}"}
        assert (await client.get(f"{DATA}/limits", headers=headers)).status_code == 200
        world.clock.advance(timedelta(hours=2))
        expired = await client.get(f"{DATA}/limits", headers=headers)
        assert (expired.status_code, expired.json()[0]["errorCode"]) == (401, "INVALID_SESSION_ID")


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"aud": "https://elsewhere.example"}, "invalid_grant", "audience is invalid"),
        ({"exp": NOW}, "invalid_grant", "expired authorization code"),
        ({"exp": NOW + 3600}, "invalid_grant", "expired authorization code"),
        ({"iss": "other"}, "invalid_client_id", "client identifier invalid"),
        ({"sub": "nobody@acme.example"}, "invalid_grant", "hasn't approved"),
    ],
)
async def test_a_wrong_assertion_is_refused(world, changes, error, text):
    """Audience, time, consumer key and user of an assertion are checked."""
    async with plain(world.salesforce) as client:
        answer = await exchanged(client, TOKEN, salesforce_claims(world, **changes))
    body = answer.json()
    assert (answer.status_code, body["error"]) == (400, error)
    assert text in body["error_description"]


async def test_forged_and_foreign_grants_are_refused(world):
    """Another key's signature and another grant type get no token."""
    async with plain(world.salesforce) as client:
        forged = await exchanged(client, TOKEN, salesforce_claims(world), seed=5)
        assert forged.json() == {"error": "invalid_grant", "error_description": "invalid assertion"}
        other = await client.post(TOKEN, data={"grant_type": "password"})
        assert other.json()["error"] == "unsupported_grant_type"
        sandbox = salesforce_claims(world, aud=LOGIN_HOSTS[1])
        assert (await exchanged(client, TOKEN, sandbox)).status_code == 200


async def test_a_user_is_created_once_and_found(world, salesforce):
    """A user is created with its marker and found by name; the second time is a duplicate."""
    body = jane(world, **{MARKER_FIELD: "4711"})
    first = await salesforce.post(USER, json=body)
    assert (first.status_code, first.json()["success"]) == (201, True)
    second = await salesforce.post(USER, json=body)
    assert (second.status_code, second.json()[0]["errorCode"]) == (400, "DUPLICATE_USERNAME")
    query = (
        f"SELECT Id, IsActive, {MARKER_FIELD} FROM User WHERE Username = 'JANE.DOE@acme.example'"
    )
    (record,) = await found(salesforce, query)
    assert (record["Id"], record["IsActive"], record[MARKER_FIELD]) == (
        first.json()["id"],
        True,
        "4711",
    )
    assert (
        world.salesforce.assert_exactly_once("account/jane.doe@acme.example").effect_key == "4711"
    )
    assert (await salesforce.get(f"{USER}/{record['Id']}")).json()["Name"] == "Jane Doe"


async def test_an_upsert_creates_and_then_changes(world, salesforce):
    """An upsert by marker creates once; after a lost answer the repetition changes nothing."""
    path = f"{USER}/{MARKER_FIELD}/4711"
    world.salesforce.fail("upsertUser", LoseResponse(), times=1)
    with pytest.raises(Exception, match="disconnected"):
        await salesforce.patch(path, json=jane(world))
    again = await salesforce.patch(path, json=jane(world))
    assert (again.status_code, again.json()["created"]) == (200, False)
    renamed = await salesforce.patch(path, json={"LastName": "Smith"})
    assert renamed.status_code == 200
    dids = [call.did for call in world.salesforce.calls("upsertUser")]
    assert dids == ["created", "nothing", "changed"]
    created = await salesforce.patch(
        f"{USER}/{MARKER_FIELD}/4712", json=jane(world, Username="joe@acme.example")
    )
    assert (created.status_code, created.json()["created"]) == (201, True)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (f"{USER}/Email/x", {}, 404, "NOT_FOUND"),
        (f"{USER}/{MARKER_FIELD}/1", {MARKER_FIELD: "1"}, 400, "INVALID_FIELD"),
        (f"{USER}/{MARKER_FIELD}/1", {"Id": "1"}, 400, "INVALID_FIELD"),
        (f"{USER}/{MARKER_FIELD}/1", {}, 400, "REQUIRED_FIELD_MISSING"),
        (f"{USER}/005000000000000AAA", {}, 404, "NOT_FOUND"),
    ],
)
async def test_a_wrong_upsert_is_refused(world, salesforce, path, body, status, code):
    """Only the External-ID field can be upserted by, and not in the body as well."""
    answer = await salesforce.patch(path, json=body)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (status, code)
    assert len(world.salesforce.accounts()) == 1


@pytest.mark.parametrize(
    ("changes", "code", "fields"),
    [
        ({"LastName": ""}, "REQUIRED_FIELD_MISSING", ["LastName"]),
        ({"Alias": "too-long-alias"}, "STRING_TOO_LONG", ["Alias"]),
        ({"Username": "jane"}, "INVALID_EMAIL_ADDRESS", ["Username"]),
        ({"ProfileId": "00e000000000000AAA"}, "INVALID_CROSS_REFERENCE_KEY", ["ProfileId"]),
        ({"Shoe__c": 40}, "INVALID_FIELD", None),
        ({"Id": "1"}, "INVALID_FIELD", None),
        ({"Username": "taken@acme.example"}, "DUPLICATE_USERNAME", ["Username"]),
        ({MARKER_FIELD: "4700"}, "DUPLICATE_VALUE", [MARKER_FIELD]),
    ],
)
async def test_a_wrong_user_is_refused(world, salesforce, changes, code, fields):
    """Missing, malformed, unknown and taken values are refused with code and field."""
    world.salesforce.take_username_elsewhere("taken@acme.example")
    other = jane(world, Username="other@acme.example", **{MARKER_FIELD: "4700"})
    await salesforce.post(USER, json=other)
    answer = await salesforce.post(USER, json=jane(world, **changes))
    (problem,) = answer.json()
    assert (answer.status_code, problem["errorCode"], problem.get("fields")) == (400, code, fields)
    assert len(world.salesforce.accounts()) == 2


async def test_licences_run_out():
    """The user beyond the licences is refused."""
    simulator = SalesforceSimulator(licences=1)

    class Holder:
        salesforce = simulator

    claims = salesforce_claims(Holder, exp=int(simulator.clock.now().timestamp()) + 100)  # type: ignore[arg-type]
    async with plain(simulator) as client:
        token = (await exchanged(client, TOKEN, claims)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        answer = await client.post(USER, json=jane(Holder))
    assert answer.json()[0]["errorCode"] == "LICENSE_LIMIT_EXCEEDED"


async def test_a_permission_set_is_given_and_taken(world, salesforce):
    """A permission set is given once, seen through its relationship, and taken away."""
    user = (await salesforce.post(USER, json=jane(world))).json()["id"]
    (held,) = await found(salesforce, "SELECT Id FROM PermissionSet WHERE Name = 'Sales_Console'")
    body = {"AssigneeId": user, "PermissionSetId": held["Id"]}
    assert (await salesforce.post(ASSIGNMENT, json=body)).status_code == 201
    again = await salesforce.post(ASSIGNMENT, json=body)
    assert (again.status_code, again.json()[0]["errorCode"]) == (400, "DUPLICATE_VALUE")
    query = (
        "SELECT Id, PermissionSet.Name FROM PermissionSetAssignment "
        f"WHERE AssigneeId = '{user}' AND PermissionSet.Name = 'Sales_Console'"
    )
    (row,) = await found(salesforce, query)
    assert row["PermissionSet"]["Name"] == "Sales_Console"
    assert world.salesforce.accounts()[-1]["access"] == ["Sales_Console"]
    path = f"{ASSIGNMENT}/{row['Id']}"
    assert [(await salesforce.delete(path)).status_code for _ in range(2)] == [204, 404]
    assert await found(salesforce, query) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "REQUIRED_FIELD_MISSING"),
        ({"AssigneeId": "x", "PermissionSetId": "y"}, "INVALID_CROSS_REFERENCE_KEY"),
    ],
)
async def test_a_wrong_assignment_is_refused(salesforce, body, code):
    """An assignment needs a user and a permission set there are."""
    answer = await salesforce.post(ASSIGNMENT, json=body)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)


async def test_a_login_is_frozen_by_its_own_id(world, salesforce):
    """Freezing goes through UserLogin, keeps the user active, and is repeatable."""
    user = (await salesforce.post(USER, json=jane(world))).json()["id"]
    (login,) = await found(
        salesforce, f"SELECT Id, IsFrozen FROM UserLogin WHERE UserId = '{user}'"
    )
    path = f"{DATA}/sobjects/UserLogin/{login['Id']}"
    for _ in range(2):
        assert (await salesforce.patch(path, json={"IsFrozen": True})).status_code == 204
    assert [c.did for c in world.salesforce.calls("updateUserLogin")] == ["changed", "nothing"]
    assert world.salesforce.accounts()[-1]["state"] == "frozen"
    assert (await salesforce.patch(path, json={"UserId": "x"})).status_code == 400


async def test_users_are_deactivated_and_never_deleted(world, salesforce):
    """A user can be deactivated, unless something blocks it; there is no deleting."""
    user = (await salesforce.post(USER, json=jane(world))).json()["id"]
    world.salesforce.make_default_owner("jane.doe@acme.example")
    blocked = await salesforce.patch(f"{USER}/{user}", json={"IsActive": False})
    assert (blocked.status_code, "default lead owner" in blocked.text) == (400, True)
    world.salesforce.store.remove("blocked", user)
    assert (await salesforce.patch(f"{USER}/{user}", json={"IsActive": False})).status_code == 204
    assert world.salesforce.accounts()[-1]["state"] == "inactive"
    assert (await salesforce.delete(f"{USER}/{user}")).status_code == 405
    with pytest.raises(ValueError, match="there is no user"):
        world.salesforce.make_default_owner("nobody@acme.example")


async def test_queries_come_in_pages_and_in_order(world, salesforce):
    """Five users in pages of three are all found, ordered and limited as asked."""
    for name in ("d", "b", "c", "a"):
        world.salesforce.create_by_hand(f"{name}@acme.example")
    answer = await salesforce.get(f"{DATA}/query", params={"q": "SELECT Username FROM User"})
    assert (answer.json()["totalSize"], len(answer.json()["records"])) == (5, 3)
    ordered = await found(salesforce, "SELECT Username FROM User ORDER BY Username DESC")
    names = [record["Username"][0] for record in ordered]
    assert names == ["n", "d", "c", "b", "a"]
    limited = await found(salesforce, "select Username from User order by Username limit 2")
    assert [record["Username"][0] for record in limited] == ["a", "b"]
    assert (await salesforce.get(f"{DATA}/query/none")).status_code == 400


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("Username LIKE 'o%@acme.example'", 1),
        ("LastName = 'O\\'Brien'", 1),
        ("IsActive = true AND FederationIdentifier = null", 2),
        ("IsActive != false", 2),
        ("Username IN ('o.brien@acme.example', 'x')", 1),
        ("Username NOT IN ('o.brien@acme.example')", 1),
        ("Profile.Name = 'Sales User'", 2),
        ("LastName = 'O\\'Brien' OR Username = 'nobody@acme.example'", 1),
        ("LastName = 'O\\'Brien' or Profile.Name = 'Sales User'", 2),
    ],
)
async def test_conditions_compare_as_they_say(world, salesforce, where, count):
    """Each kind of condition compares as in SOQL, quotes and relationships included."""
    world.salesforce.create_by_hand("o.brien@acme.example", last_name="O'Brien")
    assert len(await found(salesforce, f"SELECT Id FROM User WHERE {where}")) == count


@pytest.mark.parametrize(
    ("soql", "status", "code"),
    [
        ("", 400, "MALFORMED_QUERY"),
        ("DELETE FROM User", 400, "MALFORMED_QUERY"),
        ("SELECT Id FROM User WHERE Username", 400, "MALFORMED_QUERY"),
        ("SELECT Id FROM User WHERE Username = jane", 400, "MALFORMED_QUERY"),
        ("SELECT Id FROM User WHERE Id = 'x' OR Id = 'y' AND Id = 'z'", 400, "MALFORMED_QUERY"),
        ("SELECT Shoe FROM User", 400, "INVALID_FIELD"),
        ("SELECT Id FROM User WHERE Shoe = 'x'", 400, "INVALID_FIELD"),
        ("SELECT Shop.Name FROM User", 400, "INVALID_FIELD"),
        ("SELECT Id FROM Account", 400, "INVALID_TYPE"),
    ],
)
async def test_a_wrong_query_is_refused(salesforce, soql, status, code):
    """A query that is no SOQL, or names what is not there, is refused with its code."""
    answer = await salesforce.get(f"{DATA}/query", params={"q": soql})
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (status, code)


@pytest.mark.parametrize(
    "soql",
    [
        "SELECT COUNT() FROM User",
        "SELECT Id FROM User WHERE (IsActive = true)",
        "SELECT Id FROM User WHERE (IsActive = true) OR Email = 'x'",
    ],
)
async def test_what_is_not_understood_is_not_answered_wrongly(salesforce, soql):
    """SOQL beyond this simulator is 501, never a wrong list."""
    answer = await salesforce.get(f"{DATA}/query", params={"q": soql})
    assert (answer.status_code, "does not understand" in answer.text) == (501, True)


def test_queries_are_read_with_their_parts():
    """Fields, object, conditions, order and limit of a query are read."""
    query = parsed("SELECT Id, Name FROM User WHERE A = 1.5 AND B != NULL ORDER BY Name LIMIT 7")
    assert (query.fields, query.object, query.order, query.limit) == (
        ("Id", "Name"),
        "User",
        "Name",
        7,
    )
    assert [clause.values for clause in query.clauses] == [(1.5,), (None,)]
    with pytest.raises(MalformedQuery):
        parsed("SELECT")
    with pytest.raises(NotUnderstood):
        parsed("SELECT Id FROM User WHERE NOT A = 1")


async def test_a_lagging_query_misses_the_newest_user(world, salesforce):
    """Queries trail behind while uniqueness does not."""
    world.salesforce.fail("*", Lag("salesforce.query", 15))
    await salesforce.post(USER, json=jane(world))
    query = "SELECT Id FROM User WHERE Username = 'jane.doe@acme.example'"
    assert await found(salesforce, query) == []
    assert (await salesforce.post(USER, json=jane(world))).status_code == 400
    world.clock.advance(timedelta(seconds=15))
    assert len(await found(salesforce, query)) == 1


async def test_the_daily_limit_is_on_every_answer(salesforce):
    """Every answer tells how much of the daily limit is used."""
    answer = await salesforce.get(f"{DATA}/limits")
    used, limit = answer.headers["sforce-limit-info"].removeprefix("api-usage=").split("/")
    assert int(limit) - int(used) == answer.json()["DailyApiRequests"]["Remaining"]


async def test_beyond_the_daily_limit_nothing_is_answered_for_a_day(world, salesforce):
    """The limit is that of any 24 hours: what is refused beyond it costs nothing of the next."""
    world.salesforce.requests = 2
    for _ in range(2):
        assert (await salesforce.get(f"{DATA}/limits")).status_code == 200
    refused = await salesforce.get(f"{DATA}/limits")
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")
    world.clock.advance(timedelta(hours=24))
    assert world.salesforce.count_request()
