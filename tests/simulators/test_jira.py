"""Jira: users and groups, tickets with marks, search that lags, comments, transitions, links."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from newel.simulators import JiraSimulator, Lag, LoseResponse, RemoveScope
from newel.simulators.jira_query import NotJql, NotUnderstood, parsed
from tests.simulators.support import DOCUMENT, plain, signed_in

API = "/rest/api/3"
ISSUE = f"{API}/issue"
SOFTWARE = {"emailAddress": "jane@acme.example", "products": ["jira-software"]}


def ticket(incident: str = "i-1", **fields: Any) -> dict[str, Any]:
    """Give the body that opens a ticket about an incident."""
    return {
        "fields": {
            "project": {"key": "OPS"},
            "issuetype": {"name": "Task"},
            "summary": "GitHub is down",
            "labels": ["newel", f"newel-{incident}"],
            "description": DOCUMENT,
            **fields,
        },
        "properties": [{"key": "newel.incident", "value": {"id": incident}}],
    }


async def search(jira, jql: str, **more: Any) -> list[str]:
    """Give the keys that a query finds, all pages together."""
    body: dict[str, Any] = {"jql": jql, "fields": ["summary"], **more}
    keys: list[str] = []
    while True:
        page = (await jira.post(f"{API}/search/jql", json=body)).json()
        keys += [issue["key"] for issue in page["issues"]]
        if page["isLast"]:
            return keys
        body["nextPageToken"] = page["nextPageToken"]


async def test_a_user_is_made_once_and_found_by_address(world, jira):
    """Inviting twice makes one user, in the group of the product, found by the address."""
    assert (await jira.get(f"{API}/user/search?query=jane@acme.example")).json() == []
    first = await jira.post(f"{API}/user", json=SOFTWARE)
    second = await jira.post(f"{API}/user", json=SOFTWARE)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    found = (await jira.get(f"{API}/user/search?query=JANE@acme.example")).json()
    assert [user["accountId"] for user in found] == [first.json()["accountId"]]
    groups = await jira.get(f"{API}/user/groups?accountId={found[0]['accountId']}")
    assert [group["name"] for group in groups.json()] == ["jira-software-users-acme-example"]
    world.jira.assert_exactly_once("account/jane@acme.example")


async def test_a_user_without_the_product_is_refused(jira):
    """An existing user without access is refused, to be given access by a person."""
    await jira.post(f"{API}/user", json={**SOFTWARE, "products": []})
    answer = await jira.post(f"{API}/user", json=SOFTWARE)
    assert (answer.status_code, "already exists" in answer.text) == (400, True)


async def test_seats_of_a_product_run_out():
    """The user beyond the seats of a product is refused with 400 about the licence."""
    simulator = JiraSimulator(seats=1)
    settings = simulator.credentials()
    auth = (settings["JIRA_EMAIL"], settings["JIRA_TOKEN"])
    async with plain(simulator, auth=auth) as jira:
        assert (await jira.post(f"{API}/user", json=SOFTWARE)).status_code == 201
        other = {**SOFTWARE, "emailAddress": "joe@acme.example"}
        answer = await jira.post(f"{API}/user", json=other)
        assert (answer.status_code, "license" in answer.text) == (400, True)


async def test_whoever_may_not_browse_sees_nobody(world, jira):
    """Without permission searches answer 200 with nothing, and the permissions say so."""
    await jira.post(f"{API}/user", json=SOFTWARE)
    await jira.post(ISSUE, json=ticket())
    world.jira.fail("*", RemoveScope("USER_PICKER"))
    world.jira.fail("*", RemoveScope("BROWSE_PROJECTS"))
    found = await jira.get(f"{API}/user/search?query=jane@acme.example")
    assert (found.status_code, found.json()) == (200, [])
    assert await search(jira, "project = OPS") == []
    mine = await jira.get(f"{API}/mypermissions?permissions=USER_PICKER,CREATE_ISSUES")
    held = {key: each["havePermission"] for key, each in mine.json()["permissions"].items()}
    assert held == {"USER_PICKER": False, "CREATE_ISSUES": True}


async def test_inactive_and_hidden_users(world, jira):
    """A deactivated user is not found; a hidden address is searched but not shown."""
    await jira.post(f"{API}/user", json=SOFTWARE)
    world.jira.hide_email("jane@acme.example")
    (found,) = (await jira.get(f"{API}/user/search?query=jane@acme.example")).json()
    assert "emailAddress" not in found
    world.jira.deactivate_user("jane@acme.example")
    assert (await jira.get(f"{API}/user/search?query=jane@acme.example")).json() == []


async def test_groups_are_joined_and_left_once(world, jira):
    """Joining or leaving twice is refused with 400 in the vendor's words; both are visible."""
    account = (await jira.post(f"{API}/user", json={**SOFTWARE, "products": []})).json()[
        "accountId"
    ]
    name = "jira-software-users-acme-example"
    group = (await jira.get(f"{API}/group/bulk?groupName={name}")).json()["values"][0]
    path = f"{API}/group/user?groupId={group['groupId']}"
    assert (await jira.post(path, json={"accountId": account})).status_code == 201
    again = await jira.post(path, json={"accountId": account})
    assert (again.status_code, "User is already a member of" in again.text) == (400, True)
    members = await jira.get(f"{API}/group/member?groupId={group['groupId']}")
    assert [member["accountId"] for member in members.json()["values"]] == [account]
    assert world.jira.accounts()[-1]["access"] == ["jira-software"]
    assert (await jira.delete(f"{path}&accountId={account}")).status_code == 200
    again = await jira.delete(f"{path}&accountId={account}")
    assert (again.status_code, "not a member of" in again.text) == (400, True)
    assert world.jira.accounts()[-1]["access"] == []


async def test_a_removed_user_is_gone_from_its_groups(world, jira):
    """Removing a user answers 204 once and 404 afterwards."""
    account = (await jira.post(f"{API}/user", json=SOFTWARE)).json()["accountId"]
    path = f"{API}/user?accountId={account}"
    assert [(await jira.delete(path)).status_code for _ in range(2)] == [204, 404]
    assert [row["email"] for row in world.jira.accounts()] == ["newel@acme.example"]


async def test_a_ticket_is_found_by_its_label_and_property(world, jira):
    """A ticket made with label and property is found by the label, and the property read back."""
    made = await jira.post(ISSUE, json=ticket())
    assert (made.status_code, made.json()["key"]) == (201, "OPS-1")
    assert await search(jira, 'labels = "newel-i-1" AND project = OPS') == ["OPS-1"]
    assert await search(jira, 'labels = "newel-other"') == []
    body = {"jql": "labels = newel", "fields": ["status"], "properties": ["newel.incident"]}
    (found,) = (await jira.post(f"{API}/search/jql", json=body)).json()["issues"]
    assert found["properties"] == {"newel.incident": {"id": "i-1"}}
    assert list(found["fields"]) == ["status"]
    call = world.jira.assert_exactly_once("issue/i-1")
    assert call.effect_key == "i-1"


async def test_two_tickets_about_one_incident_are_counted_as_doubled(world, jira):
    """Nothing stops a second ticket about the same incident; the book tells."""
    await jira.post(ISSUE, json=ticket())
    await jira.post(ISSUE, json=ticket())
    assert world.jira.book.doubled() == {"issue/i-1": 1}
    assert len(world.jira.tickets()) == 2


async def test_a_lost_ticket_is_there_but_not_searchable_yet(world, jira):
    """After a lost answer the ticket exists; a lagging index finds it later."""
    world.jira.fail("createIssue", LoseResponse(), times=1)
    world.jira.fail("*", Lag("jira.search", 45))
    with pytest.raises(Exception, match="disconnected"):
        await jira.post(ISSUE, json=ticket())
    assert len(world.jira.tickets()) == 1
    assert await search(jira, "labels = newel-i-1") == []
    world.clock.advance(timedelta(seconds=45))
    assert await search(jira, "labels = newel-i-1") == ["OPS-1"]


async def test_search_comes_in_pages_and_in_order(jira):
    """Seven issues in pages of three are all found, in the order asked for."""
    for number in range(7):
        await jira.post(ISSUE, json=ticket(f"i-{number}"))
    keys = [f"OPS-{number}" for number in range(1, 8)]
    assert await search(jira, "project = OPS", maxResults=100) == keys
    assert await search(jira, "project = OPS ORDER BY created DESC") == keys[::-1]


async def test_search_shows_ids_only_unless_fields_are_named(jira):
    """Without `fields` a search gives ids and nothing else."""
    await jira.post(ISSUE, json=ticket())
    answer = await jira.get(f"{API}/search/jql?jql=project = OPS")
    assert answer.json() == {"issues": [{"id": "10001"}], "isLast": True}


@pytest.mark.parametrize(
    ("jql", "count"),
    [
        ("statusCategory != Done", 1),
        ("statusCategory = Done", 1),
        ('status in ("To Do", Done)', 2),
        ("status not in (Done)", 1),
        ("resolution is EMPTY", 1),
        ("resolution is not empty and project = ops", 1),
        ("summary ~ 'github*'", 2),
        ('created >= "2026-01-05 09:00"', 2),
        ('created < "2026-01-05"', 0),
        ("key = OPS-2", 1),
        ("issuetype = Task", 2),
        ("labels != newel", 0),
    ],
)
async def test_queries_find_what_they_say(jira, jql, count):
    """Each kind of clause compares as Jira does."""
    for incident in ("i-1", "i-2"):
        await jira.post(ISSUE, json=ticket(incident))
    await jira.post(f"{ISSUE}/OPS-1/transitions", json={"transition": {"id": "31"}})
    assert len(await search(jira, jql)) == count


@pytest.mark.parametrize(
    ("jql", "status", "told"),
    [
        ("", 400, "Unbounded"),
        ("ORDER BY created", 400, "Unbounded"),
        ("project =", 400, "not a clause"),
        ("project = OPS AND", 400, "after AND"),
        ("colour = red", 400, "does not exist"),
        ("project = OPS OR labels = x", 501, "does not understand"),
        ("(project = OPS)", 501, "does not understand"),
    ],
)
async def test_queries_that_cannot_be_answered(jira, jql, status, told):
    """A wrong query is 400 as in Jira; a query this simulator cannot read is 501."""
    await jira.post(ISSUE, json=ticket())
    answer = await jira.post(f"{API}/search/jql", json={"jql": jql})
    assert (answer.status_code, told in answer.text) == (status, True), answer.text


def test_queries_are_read_with_quotes_and_escapes():
    """Quoted values keep what they hold; operators and field names have no case."""
    query = parsed("""LABELS Not  In ("a b", 'c"d', e) and "status" = "x\\"y" order by key desc""")
    assert [(c.field, c.operator, c.values) for c in query.clauses] == [
        ("labels", "not in", ("a b", 'c"d', "e")),
        ("status", "=", ('x"y',)),
    ]
    assert (query.order, query.descending) == ("key", True)
    with pytest.raises(NotJql):
        parsed("project = OPS ORDER BY")
    with pytest.raises(NotUnderstood):
        parsed("not project = OPS")


async def test_the_old_search_is_gone(jira):
    """The removed search answers 410, as it has since August 2025."""
    assert (await jira.get(f"{API}/search?jql=project=OPS")).status_code == 410


async def test_a_ticket_is_described_again_without_a_second_change(world, jira):
    """Writing the same description twice is one change; labels can be added."""
    await jira.post(ISSUE, json=ticket(description=None))
    body = {"fields": {"description": DOCUMENT}}
    statuses = [(await jira.put(f"{ISSUE}/OPS-1", json=body)).status_code for _ in range(2)]
    assert statuses == [204, 204]
    assert [c.did for c in world.jira.calls("editIssue")] == ["changed", "nothing"]
    update = {"update": {"labels": [{"add": "seen"}, {"remove": "newel"}]}}
    shown = await jira.put(f"{ISSUE}/OPS-1?returnIssue=true", json=update)
    assert (shown.status_code, shown.json()["fields"]["labels"]) == (200, ["newel-i-1", "seen"])


async def test_comments_are_added_each_time_and_keep_their_mark(world, jira):
    """Every POST adds a comment; its property is the mark by which a double is counted."""
    await jira.post(ISSUE, json=ticket())
    body = {"body": DOCUMENT, "properties": [{"key": "newel.comment", "value": "c-1"}]}
    for _ in range(2):
        assert (await jira.post(f"{ISSUE}/OPS-1/comment", json=body)).status_code == 201
    listed = (await jira.get(f"{ISSUE}/OPS-1/comment")).json()
    assert (listed["total"], [c["body"] for c in listed["comments"]]) == (2, [DOCUMENT, DOCUMENT])
    assert "properties" not in listed["comments"][0]
    assert world.jira.book.doubled() == {"comment/OPS-1/c-1": 1}
    assert world.jira.tickets()[0]["comments"] == ["GitHub is down."] * 2


async def test_a_ticket_moves_to_done(world, jira):
    """The transition to a done category resolves the ticket; doing it again changes nothing."""
    await jira.post(ISSUE, json=ticket())
    listed = (await jira.get(f"{ISSUE}/OPS-1/transitions")).json()["transitions"]
    done = [t["id"] for t in listed if t["to"]["statusCategory"]["key"] == "done"]
    body = {"transition": {"id": done[0]}}
    for _ in range(2):
        assert (await jira.post(f"{ISSUE}/OPS-1/transitions", json=body)).status_code == 204
    assert [c.did for c in world.jira.calls("doTransition")] == ["changed", "nothing"]
    fields = (await jira.get(f"{ISSUE}/OPS-1?fields=status,resolution")).json()["fields"]
    assert (fields["status"]["name"], fields["resolution"]["name"]) == ("Done", "Done")
    world.jira.fail("*", RemoveScope("TRANSITION_ISSUES"))
    empty = (await jira.get(f"{ISSUE}/OPS-1/transitions")).json()["transitions"]
    assert empty == []


async def test_a_link_has_its_global_id(world, jira):
    """A link with a global id is created once and updated after that."""
    await jira.post(ISSUE, json=ticket())
    body = {"globalId": "g", "object": {"url": "https://newel.example/1", "title": "Incident"}}
    path = f"{ISSUE}/OPS-1/remotelink"
    assert [(await jira.post(path, json=body)).status_code for _ in range(2)] == [201, 200]
    assert len((await jira.get(path)).json()) == 1
    assert world.jira.book.doubled() == {}
    assert (await jira.get(f"{path}?globalId=other")).status_code == 404


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"project": {"key": "NONE"}}, "project"),
        ({"issuetype": {"name": "Epic"}}, "issuetype"),
        ({"summary": " "}, "summary"),
        ({"summary": "x" * 256}, "summary"),
        ({"description": "plain text"}, "description"),
        ({"labels": ["two words"]}, "labels"),
        ({"customfield_1": 1}, "customfield_1"),
    ],
)
async def test_a_wrong_field_is_named(world, jira, fields, named):
    """A ticket with a wrong field is refused with the error at that field."""
    answer = await jira.post(ISSUE, json=ticket(**fields))
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [named])
    assert world.jira.tickets() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"{ISSUE}/OPS-9", None, 404),
        ("GET", f"{ISSUE}/OPS-1/properties/none", None, 404),
        ("GET", f"{API}/project/NONE", None, 404),
        ("GET", f"{API}/user?accountId=none", None, 404),
        ("GET", f"{API}/user", None, 400),
        ("GET", f"{API}/user/search", None, 400),
        ("GET", f"{API}/group/member?groupname=none", None, 404),
        ("GET", f"{API}/mypermissions?permissions=FLY", None, 400),
        ("POST", f"{API}/user", {"emailAddress": "jane@acme.example"}, 400),
        ("POST", f"{API}/user", {"emailAddress": "jane", "products": []}, 400),
        ("POST", f"{API}/user", {"emailAddress": "j@x.y", "products": ["fax"]}, 400),
        ("POST", f"{ISSUE}/OPS-1/comment", {"body": "plain"}, 400),
        ("POST", f"{ISSUE}/OPS-1/transitions", {}, 400),
        ("POST", f"{ISSUE}/OPS-1/transitions", {"transition": {"id": "99"}}, 400),
        ("POST", f"{ISSUE}/OPS-1/remotelink", {"globalId": "g"}, 400),
        ("POST", ISSUE, {**ticket(), "properties": [{"key": "x"}]}, 400),
    ],
)
async def test_what_makes_no_sense_is_refused(world, jira, method, path, body, status):
    """Unknown things are 404 and wrong values 400, in the vendor's envelope."""
    await jira.post(ISSUE, json=ticket())
    answer = await jira.request(method, path, json=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"errorMessages", "errors"}
    assert len(world.jira.calls(committed=True)) == 1


async def test_people_move_and_edit_tickets(world):
    """A person resolves or renames a ticket in the browser; nobody can touch one there is not."""
    async with signed_in("jira", world) as client:
        await client.post(ISSUE, json=ticket())
    world.jira.edit_issue("OPS-1", "Renamed")
    world.jira.resolve_issue("OPS-1")
    (shown,) = world.jira.tickets()
    assert (shown["summary"], shown["status"]) == ("Renamed", "Done")
    for act in (world.jira.resolve_issue, world.jira.hide_email, world.jira.deactivate_user):
        with pytest.raises(ValueError, match="there is no"):
            act("OPS-9")
    with pytest.raises(ValueError, match="there is no"):
        world.jira.edit_issue("OPS-9", "x")
