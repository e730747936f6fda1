"""Simulators answer as the vendors' own specifications say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from newel.simulators import World
from tests.simulators.contract import HERE, UNCOVERED, judge, operations, undocumented
from tests.simulators.support import DOCUMENT, START, signed_in

ORG = "/orgs/acme-example"
REPOSITORY_ISSUES = "/repos/acme-example/api/issues"
ISSUE = "/rest/api/3/issue"
STAFF = "/admin/directory/v1/groups/staff@acme.example/members"
Step = tuple[str, str, dict[str, Any] | None, int]

GITHUB: list[Step] = [
    ("GET", "/rate_limit", None, 200),
    ("GET", "/users/jane-doe", None, 200),
    ("GET", ORG, None, 200),
    ("GET", ORG + "/memberships/jane-doe", None, 404),
    ("PUT", ORG + "/memberships/jane-doe", {"role": "member"}, 200),
    ("GET", ORG + "/memberships/jane-doe", None, 200),
    ("GET", ORG + "/members", None, 200),
    ("GET", ORG + "/members?role=admin", None, 200),
    ("POST", ORG + "/invitations", {"email": "joe@acme.example", "role": "direct_member"}, 201),
    ("POST", ORG + "/invitations", {"email": "joe@acme.example"}, 422),
    ("GET", ORG + "/invitations", None, 200),
    ("GET", ORG + "/failed_invitations", None, 200),
    ("GET", ORG + "/teams", None, 200),
    ("PUT", ORG + "/teams/platform/memberships/jane-doe", {"role": "member"}, 200),
    ("GET", ORG + "/teams/platform/memberships/jane-doe", None, 200),
    ("DELETE", ORG + "/teams/platform/memberships/jane-doe", None, 204),
    ("GET", ORG + "/teams/platform/memberships/jane-doe", None, 404),
    ("GET", ORG + "/teams/platform", None, 200),
    ("GET", ORG + "/teams/nobody", None, 404),
    ("PUT", "/repos/acme-example/api/collaborators/jane-doe", {"permission": "push"}, 201),
    ("GET", "/repos/acme-example/api/collaborators/jane-doe", None, 404),
    ("DELETE", "/repos/acme-example/api/collaborators/jane-doe", None, 204),
    ("PUT", "/repos/acme-example/api/collaborators/acme-owner", {"permission": "admin"}, 204),
    ("DELETE", ORG + "/invitations/7000002", None, 204),
    ("DELETE", ORG + "/memberships/jane-doe", None, 204),
    ("DELETE", ORG + "/memberships/acme-owner", None, 403),
    ("POST", REPOSITORY_ISSUES, {"title": "GitHub is down", "labels": ["newel"]}, 201),
    ("POST", REPOSITORY_ISSUES, {"title": " "}, 422),
    ("GET", REPOSITORY_ISSUES + "?labels=newel&state=all", None, 200),
    ("GET", REPOSITORY_ISSUES + "/1", None, 200),
    ("PATCH", REPOSITORY_ISSUES + "/1", {"state": "closed", "state_reason": "completed"}, 200),
    ("PATCH", REPOSITORY_ISSUES + "/9", {"state": "closed"}, 404),
]
JIRA: list[Step] = [
    ("GET", "/rest/api/3/myself", None, 200),
    ("GET", "/rest/api/3/mypermissions?permissions=USER_PICKER,CREATE_ISSUES", None, 200),
    ("GET", "/rest/api/3/mypermissions", None, 400),
    ("GET", "/rest/api/3/user/search?query=jane@acme.example", None, 200),
    ("POST", "/rest/api/3/user", {"emailAddress": "jane@acme.example", "products": []}, 201),
    ("GET", "/rest/api/3/user/search?query=jane@acme.example", None, 200),
    ("GET", "/rest/api/3/group/bulk", None, 200),
    ("GET", "/rest/api/3/group/member?groupname=jira-software-users-acme-example", None, 200),
    ("GET", "/rest/api/3/project/OPS", None, 200),
    ("GET", ISSUE + "/createmeta/OPS/issuetypes", None, 200),
    ("GET", ISSUE + "/createmeta/OPS/issuetypes/10001", None, 200),
    (
        "POST",
        ISSUE,
        {
            "fields": {
                "project": {"key": "OPS"},
                "issuetype": {"name": "Task"},
                "summary": "GitHub is down",
                "labels": ["newel"],
                "description": DOCUMENT,
            },
            "properties": [{"key": "newel.incident", "value": {"id": "i-1"}}],
        },
        201,
    ),
    ("POST", ISSUE, {"fields": {"summary": "no project"}}, 400),
    ("GET", ISSUE + "/OPS-1?fields=*all&properties=newel.incident", None, 200),
    ("PUT", ISSUE + "/OPS-1", {"fields": {"description": DOCUMENT}}, 204),
    ("GET", '/rest/api/3/search/jql?jql=labels = "newel"&fields=summary,status', None, 200),
    ("POST", "/rest/api/3/search/jql", {"jql": "project = OPS", "fields": ["summary"]}, 200),
    ("POST", ISSUE + "/OPS-1/comment", {"body": DOCUMENT}, 201),
    ("GET", ISSUE + "/OPS-1/comment", None, 200),
    ("GET", ISSUE + "/OPS-1/transitions", None, 200),
    ("POST", ISSUE + "/OPS-1/transitions", {"transition": {"id": "31"}}, 204),
    (
        "POST",
        ISSUE + "/OPS-1/remotelink",
        {"globalId": "i-1", "object": {"url": "https://newel.example/i-1", "title": "Incident"}},
        201,
    ),
    ("GET", ISSUE + "/OPS-1/remotelink?globalId=i-1", None, 200),
    ("GET", ISSUE + "/OPS-1/properties/newel.incident", None, 200),
]
GOOGLE: list[Step] = [
    ("GET", "/admin/directory/v1/users?customer=my_customer&maxResults=1", None, 200),
    (
        "POST",
        "/admin/directory/v1/users",
        {
            "primaryEmail": "jane.doe@acme.example",
            "password": "correct horse battery",
            "name": {"givenName": "Jane", "familyName": "Doe"},
            "externalIds": [{"type": "organization", "value": "4711"}],
            "suspended": True,
        },
        200,
    ),
    ("GET", "/admin/directory/v1/users/jane.doe@acme.example", None, 200),
    ("PUT", "/admin/directory/v1/users/jane.doe@acme.example", {"suspended": False}, 200),
    ("GET", "/admin/directory/v1/groups?userKey=admin@acme.example", None, 200),
    ("GET", "/admin/directory/v1/groups/staff@acme.example", None, 200),
    ("GET", STAFF + "/admin@acme.example", None, 404),
    ("POST", STAFF, {"email": "admin@acme.example", "role": "MEMBER"}, 200),
    ("POST", STAFF, {"email": "admin@acme.example", "role": "MEMBER"}, 409),
    ("GET", STAFF, None, 200),
    ("GET", STAFF + "/admin@acme.example", None, 200),
    ("DELETE", STAFF + "/admin@acme.example", None, 204),
    ("DELETE", STAFF + "/admin@acme.example", None, 404),
    ("POST", "/admin/directory/v1/users/jane.doe@acme.example/signOut", None, 204),
    ("GET", "/admin/directory/v1/users/admin@acme.example/tokens", None, 200),
    ("DELETE", "/admin/directory/v1/users/admin@acme.example/tokens/none", None, 404),
    ("GET", "/admin/directory/v1/users/admin@acme.example/asps", None, 200),
    ("DELETE", "/admin/directory/v1/users/admin@acme.example/asps/1", None, 204),
    (
        "POST",
        "/admin/directory/v1/users/admin@acme.example/verificationCodes/invalidate",
        None,
        204,
    ),
    ("GET", "/admin/datatransfer/v1/applications", None, 200),
    ("GET", "/admin/datatransfer/v1/transfers?oldOwnerUserId=1&newOwnerUserId=2", None, 200),
    ("POST", "/admin/datatransfer/v1/transfers", {"oldOwnerUserId": "1"}, 400),
    ("DELETE", "/admin/directory/v1/users/jane.doe@acme.example", None, 204),
    ("GET", "/admin/directory/v1/users?customer=my_customer&showDeleted=true", None, 200),
]
SLACK: list[Step] = [
    ("POST", "/api/auth.test", {}, 200),
    ("GET", "/api/users.lookupByEmail?email=newel@acme.example", None, 200),
    ("GET", "/api/users.lookupByEmail?email=nobody@acme.example", None, 200),
    ("GET", "/api/conversations.list", None, 200),
    ("GET", "/api/users.list?limit=2", None, 200),
    ("GET", "/api/conversations.members?channel=C0ACME00001", None, 200),
    ("POST", "/api/conversations.invite", {"channel": "C0ACME00002", "users": "U404"}, 200),
    ("POST", "/api/conversations.kick", {"channel": "C0ACME00002", "user": "U404"}, 200),
    ("POST", "/api/admin.users.session.reset", {"user_id": "U404"}, 200),
    ("POST", "/api/admin.users.remove", {"team_id": "T0ACME0001", "user_id": "U404"}, 200),
    (
        "POST",
        "/api/chat.postMessage",
        {
            "channel": "C0ACME00001",
            "text": "Welcome!",
            "metadata": {"event_type": "newel", "event_payload": {"op_key": "k"}},
        },
        200,
    ),
    ("GET", "/api/conversations.history?channel=C0ACME00001&include_all_metadata=true", None, 200),
    (
        "POST",
        "/api/admin.users.invite",
        {"team_id": "T0ACME0001", "email": "jane@acme.example", "channel_ids": "C0ACME00001"},
        200,
    ),
]
EMPLOYEES = "/v1/companies/{company}/employees"
GUSTO: list[Step] = [
    ("GET", "/v1/token_info", None, 200),
    ("GET", EMPLOYEES + "?search_term=Jane", None, 200),
    ("POST", EMPLOYEES, {"first_name": "Jane", "last_name": "Doe", "email": "j@doe.example"}, 201),
    ("POST", EMPLOYEES, {"first_name": "Jane", "last_name": "Doe", "email": None}, 201),
    ("GET", EMPLOYEES, None, 200),
    ("GET", "/v1/employees/{employee}", None, 200),
    ("GET", "/v1/employees/00000000-0000-4000-a000-000000000000", None, 404),
    ("PUT", "/v1/employees/{employee}", {"version": "stale", "work_email": "j@acme.example"}, 409),
    (
        "POST",
        "/v1/employees/{employee}/jobs",
        {"title": "Engineer", "hire_date": "2026-02-02"},
        201,
    ),
    ("GET", "/v1/employees/{employee}/jobs", None, 200),
    ("GET", "/v1/employees/{employee}/onboarding_status", None, 200),
    (
        "PUT",
        "/v1/employees/{employee}/onboarding_status",
        {"onboarding_status": "self_onboarding_invited"},
        200,
    ),
    ("DELETE", "/v1/employees/{employee}", None, 204),
]


# One request for each entry of `undocumented.toml`.
BESIDES: list[tuple[str, str, str, dict[str, Any] | None]] = [
    ("github", "PUT", ORG + "/teams/nobody/memberships/jane-doe", {"role": "member"}),
    ("github", "DELETE", ORG + "/teams/platform/memberships/jane-doe", None),
    ("github", "DELETE", "/repos/acme-example/api/collaborators/jane-doe", None),
]


async def walked(system: str, world: World, steps: list[Step]) -> None:
    """Make the requests in order; each status is the expected one and each answer conforms."""
    async with signed_in(system, world) as client:
        for method, path, body, status in steps:
            answer = await client.request(method, path, json=body)
            assert (method, path, answer.status_code) == (method, path, status), answer.text
            judge(system, answer.request, answer)


@pytest.mark.parametrize(
    ("system", "steps"),
    [("github", GITHUB), ("jira", JIRA), ("google", GOOGLE), ("slack", SLACK)],
)
async def test_every_answer_agrees_with_the_vendors_specification(world, system, steps):
    """Each request of a system's tour and its answer conform to the vendor's specification."""
    world.google.add_group("staff@acme.example")
    world.google.authorize_app("admin@acme.example", "Notes")
    world.google.make_app_password("admin@acme.example", "Telephone")
    await walked(system, world, steps)


async def test_what_vendors_answer_besides_is_listed_and_given(world):
    """Each answer that no specification names is given by a stand-in, and no other is listed."""
    given = set()
    for system, method, path, body in BESIDES:
        async with signed_in(system, world) as client:
            answer = await client.request(method, path, json=body)
        operation = world.simulators[system].calls()[-1].operation
        given.add((system, operation, answer.status_code))
    assert given == undocumented()


async def test_gusto_agrees_with_the_description_of_its_interface(world):
    """Each request of Gusto's tour and its answer conform to what is known of the interface."""
    known = {"company": world.gusto.company}
    async with signed_in("gusto", world) as client:
        for method, template, body, status in GUSTO:
            path = template.format(**known)
            answer = await client.request(method, path, json=body)
            assert (method, path, answer.status_code) == (method, path, status), answer.text
            judge("gusto", answer.request, answer)
            if method == "POST" and template == EMPLOYEES:
                known["employee"] = answer.json()["uuid"]


@pytest.mark.parametrize("system", sorted(UNCOVERED))
def test_every_route_is_an_operation_of_the_specification(world, system):
    """Routes carry the operation ids of the vendor's specification, save the listed ones."""
    routes = {route.operation for route in world.chosen([system])[0].routes}
    known = operations(system)
    if system == "google":
        known |= operations("google-datatransfer") | licensing()
    assert routes - known == UNCOVERED[system]


def licensing() -> set[str]:
    """Give the methods of Google's licences, of which there is only a discovery document."""
    document = json.loads((HERE / "google-licensing.discovery.json").read_text(encoding="utf-8"))
    return {each["id"] for each in document["resources"]["licenseAssignments"]["methods"].values()}


def slack_methods() -> dict[str, Any]:
    """Give what Slack says about its methods."""
    text = (HERE / "slack-method-args-errors.json").read_text(encoding="utf-8")
    methods: dict[str, Any] = json.loads(text)
    return methods


def test_every_web_api_route_of_slack_is_a_method_with_its_scope(world):
    """Routes of Slack's Web API are methods of its reference and need scopes it names."""
    methods = slack_methods()
    for route in world.slack.routes:
        if route.operation.startswith("scim/"):
            continue
        scopes = {s for kind in methods[route.operation]["scope"].values() for s in kind}
        needed = {scope for need in route.needs for scope in need.split("|")}
        assert needed <= scopes, route.operation


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("users.lookupByEmail", {"email": "nobody@acme.example"}),
        ("users.info", {"user": "U404"}),
        ("chat.postMessage", {"channel": "C404", "text": "hello"}),
        ("chat.postMessage", {"channel": "C0ACME00001"}),
        ("chat.postMessage", {"channel": "C0ACME00001", "text": "x", "metadata": {"a": 1}}),
        ("conversations.history", {"channel": "C404"}),
        ("conversations.history", {"channel": "C0ACME00001", "oldest": "soon"}),
        ("conversations.history", {"channel": "C0ACME00001", "cursor": "?"}),
        ("conversations.invite", {"channel": "C0ACME00001", "users": "U404"}),
        ("conversations.kick", {"channel": "C0ACME00002", "user": "U404"}),
        ("conversations.kick", {"channel": "C0ACME00001", "user": "APP"}),
        ("conversations.kick", {"channel": "C0ACME00002", "user": "APP"}),
        ("conversations.members", {"channel": "C404"}),
        ("admin.users.remove", {"team_id": "T0ACME0001", "user_id": "U404"}),
        ("admin.users.session.reset", {"user_id": "U404"}),
        ("admin.users.invite", {"team_id": "T1", "email": "a@b.c", "channel_ids": "C1"}),
        ("admin.users.assign", {"team_id": "T0ACME0001", "user_id": "U404"}),
    ],
)
async def test_every_error_of_slack_is_in_its_methods_list(world, slack, method, arguments):
    """An error of the Web API is one that the method's reference names."""
    app = world.slack.user_by_email("newel@acme.example")["id"]
    arguments = {name: app if value == "APP" else value for name, value in arguments.items()}
    answer = await slack.post(f"/api/{method}", json=arguments)
    body = answer.json()
    assert (answer.status_code, body["ok"]) == (200, False)
    assert body["error"] in slack_methods()[method]["errors"]
    assert world.clock.now() == START
