"""The SCIM directory is a SCIM server, and its quirks are what they say."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server
from scim2_tester.utils import Status

from newel.simulators.scim import ScimSimulator
from newel.simulators.scim_patch import PATCH
from newel.simulators.scim_schema import SCHEMAS, published_schema
from newel.simulators.scim_world import Quirks
from newel.testing.transport import SimulatorTransport
from tests.simulators.contract import HERE
from tests.simulators.support import plain

USERS = "/scim/v2/Users"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
JANE = {
    "schemas": [CORE],
    "userName": "Jane.Doe@acme.example",
    "externalId": "4711",
    "emails": [{"value": "jane.doe@acme.example", "type": "work", "primary": True}],
}


class Blocking(httpx2.BaseTransport):
    """Lets a client that knows no event loop speak to a simulator in process."""

    def __init__(self, simulator: ScimSimulator) -> None:
        self._inner = SimulatorTransport(simulator)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Hand one request over, on a loop of its own."""

        async def sent() -> httpx2.Response:
            copied = httpx2.Request(
                request.method, request.url, headers=request.headers, content=request.read()
            )
            return await self._inner.handle_async_request(copied)

        return asyncio.run(sent())


def client_of(simulator: ScimSimulator) -> httpx2.AsyncClient:
    """Give a client with the directory's token."""
    token = simulator.credentials()["SCIM_TOKEN"]
    return plain(simulator, headers={"Authorization": f"Bearer {token}"})


def operations(*steps: dict[str, Any]) -> dict[str, Any]:
    """Make the body of a PATCH."""
    return {"schemas": [PATCH], "Operations": list(steps)}


@pytest.mark.parametrize("etag", [True, False])
def test_every_check_of_an_independent_tester_passes(etag: bool):
    """The tester scim2-tester finds no error, no deviation and nothing that it has to skip."""
    simulator = ScimSimulator(seed=7, quirks=Quirks(etag=etag))
    token = simulator.credentials()["SCIM_TOKEN"]
    with httpx2.Client(
        base_url="https://scim.example/scim/v2",
        headers={"Authorization": f"Bearer {token}"},
        transport=Blocking(simulator),
    ) as client:
        results = check_server(SyncSCIMClient(client))
    wrong = [(each.title, each.reason) for each in results if each.status is not Status.SUCCESS]
    assert wrong == []
    assert len(results) >= 100


@pytest.mark.parametrize(
    ("wanted", "hits"),
    [
        ('userName eq "JANE.DOE@ACME.EXAMPLE"', 1),
        ('externalId eq "4711"', 1),
        ('emails.value eq "jane.doe@acme.example"', 1),
        ('emails[type eq "work" and value co "@acme"]', 1),
        ('userName sw "jane" and not (active eq false)', 1),
        ('userName eq "nobody" or externalId pr', 1),
        ('userName eq "\\" or externalId pr or userName eq \\""', 0),
        ('title gt "a"', 0),
    ],
)
async def test_filters_choose(wanted: str, hits: int):
    """Filters follow the standard's grammar; a quoted value is a value and nothing else."""
    async with client_of(ScimSimulator(seed=7)) as client:
        assert (await client.post(USERS, json=JANE)).status_code == 201
        found = await client.get(USERS, params={"filter": wanted})
    assert (found.status_code, found.json()["totalResults"]) == (200, hits), found.text


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", USERS, {**JANE, "userName": "JANE.DOE@acme.example"}, 409, "uniqueness"),
        ("POST", USERS, {"schemas": [CORE]}, 400, "invalidValue"),
        ("POST", USERS, {"userName": "x"}, 400, "invalidSyntax"),
        ("POST", USERS, {**JANE, "active": "yes"}, 400, "invalidValue"),
        ("GET", USERS + "?filter=userName+is+x", None, 400, "invalidFilter"),
        ("GET", USERS + '?filter=shoeSize+eq+"46"', None, 400, "invalidFilter"),
        ("PATCH", USERS + "/{id}", operations(), 400, "invalidSyntax"),
        ("PATCH", USERS + "/{id}", operations({"op": "move"}), 400, "invalidSyntax"),
        (
            "PATCH",
            USERS + "/{id}",
            operations({"op": "replace", "path": "id", "value": "1"}),
            400,
            "mutability",
        ),
        (
            "PATCH",
            USERS + "/{id}",
            operations({"op": "replace", "path": 'emails[type eq "fax"].value', "value": "1"}),
            400,
            "noTarget",
        ),
        ("PATCH", USERS + "/{id}", operations({"op": "remove"}), 400, "noTarget"),
        (
            "PATCH",
            USERS + "/{id}",
            operations({"op": "remove", "path": "userName"}),
            400,
            "invalidValue",
        ),
        ("GET", USERS + "/unknown", None, 404, None),
        ("GET", "/scim/v2/Robots", None, 404, None),
        ("DELETE", USERS, None, 405, None),
    ],
)
async def test_refusals_are_in_the_standards_form(
    method: str, path: str, body: Any, status: int, kind: str | None
):
    """Each refusal has its status, as text too, and its scimType; nothing is changed by it."""
    simulator = ScimSimulator(seed=7)
    async with client_of(simulator) as client:
        jane = (await client.post(USERS, json=JANE)).json()
        changes = len(simulator.store.changes)
        answer = await client.request(method, path.format(id=jane["id"]), json=body)
    error = answer.json()
    assert (answer.status_code, error["status"], error.get("scimType")) == (
        status,
        str(status),
        kind,
    ), answer.text
    assert len(simulator.store.changes) == changes


async def test_a_change_on_an_older_version_is_refused():
    """If-Match with a version that is no longer the present one gives 412."""
    async with client_of(ScimSimulator(seed=7)) as client:
        made = await client.post(USERS, json=JANE)
        path = f"{USERS}/{made.json()['id']}"
        shut = operations({"op": "replace", "path": "active", "value": False})
        old = {"If-Match": made.headers["etag"]}
        assert (await client.patch(path, json=shut, headers=old)).status_code == 200
        assert (await client.patch(path, json=shut, headers=old)).status_code == 412


BY_PATH = operations({"op": "replace", "path": "active", "value": False})
BY_VALUE = operations({"op": "replace", "value": {"active": False}})
AS_TEXT = operations({"op": "replace", "path": "active", "value": "False"})


@pytest.mark.parametrize(
    ("quirks", "body", "status"),
    [
        (Quirks(), BY_PATH, 200),
        (Quirks(), BY_VALUE, 200),
        (Quirks(), AS_TEXT, 400),
        (Quirks(patch_style="no_path"), BY_PATH, 400),
        (Quirks(patch_style="no_path"), BY_VALUE, 200),
        (Quirks(patch_style="put"), BY_PATH, 501),
        (Quirks(bool_style="text"), BY_PATH, 400),
        (Quirks(bool_style="text"), AS_TEXT, 200),
    ],
)
async def test_quirks_of_patches(quirks: Quirks, body: Any, status: int):
    """A server with a quirk takes what the quirk says, and refuses the rest."""
    simulator = ScimSimulator(seed=7, quirks=quirks)
    async with client_of(simulator) as client:
        jane = (await client.post(USERS, json=JANE)).json()
        answer = await client.patch(f"{USERS}/{jane['id']}", json=body)
    (account,) = simulator.accounts()
    assert (answer.status_code, account["state"]) == (
        status,
        "suspended" if status == 200 else "active",
    ), answer.text


@pytest.mark.parametrize(("means", "left"), [("delete", []), ("deactivate", ["suspended"])])
async def test_deleting_means_what_the_server_says(
    means: Literal["delete", "deactivate"], left: list[str]
):
    """DELETE removes a user and its memberships, or only deactivates it."""
    simulator = ScimSimulator(seed=7, quirks=Quirks(delete_means=means))
    async with client_of(simulator) as client:
        jane = (await client.post(USERS, json=JANE)).json()
        assert (await client.delete(f"{USERS}/{jane['id']}")).status_code == 204
    assert [each["state"] for each in simulator.accounts()] == left


async def test_only_the_named_attribute_can_be_looked_up():
    """A server that filters by externalId alone refuses another filter."""
    async with client_of(ScimSimulator(seed=7, quirks=Quirks(lookup="externalId"))) as client:
        by_name = await client.get(USERS, params={"filter": 'userName eq "x"'})
        by_mark = await client.get(USERS, params={"filter": 'externalId eq "4711"'})
    assert (by_name.status_code, by_mark.status_code) == (400, 200)


FACTS = ("type", "multiValued", "required", "mutability", "returned", "caseExact")


def differing(mine: dict[str, Any], theirs: dict[str, Any], path: str) -> list[str]:
    """Name every fact in which an attribute differs from the one of the same name."""
    found = [
        f"{path}: {fact} {mine[fact]} is {theirs[fact]}"
        for fact in FACTS
        if fact in mine and fact in theirs and mine[fact] != theirs[fact]
    ]
    known = {each["name"]: each for each in theirs.get("subAttributes") or []}
    for part in mine.get("subAttributes") or []:
        found += differing(part, known[part["name"]], f"{path}.{part['name']}")
    return found


@pytest.mark.parametrize("urn", sorted(SCHEMAS))
def test_published_attributes_are_those_of_the_standard(urn: str):
    """What the simulator says of an attribute is what RFC 7643 says of it."""
    listed = json.loads((HERE / "scim-schemas.rfc7643.json").read_text(encoding="utf-8"))
    standard = {
        each["name"]: each
        for schema in listed
        if schema["id"] == urn
        for each in schema["attributes"]
    }
    wrong: list[str] = []
    for attribute in published_schema(urn, "")["attributes"]:
        wrong += differing(attribute, standard[attribute["name"]], attribute["name"])
    assert wrong == []
