"""`newel contracts`: what a vendor's new document changes for us, and what it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from newel.cli.app import answered
from newel.connectors.contracts.agreed import contract, systems
from tests.connectors.recording import routes
from tests.simulators.contract import FILES

SEARCH = "/rest/api/3/search/jql"
Edit = Callable[[dict[str, Any]], object]


def edited(system: str, directory: Path, edit: Edit) -> Path:
    """Write a copy of a vendor's document in which something is different."""
    document = json.loads(FILES[system].read_text(encoding="utf-8"))
    edit(document)
    file = directory / FILES[system].name
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def checked(
    capsys: pytest.CaptureFixture[str], file: Path, *more: str
) -> tuple[int, list[tuple[str, str, str, str]], list[str]]:
    """Compare; gives the status, the findings and what is new beside them."""
    status = answered(["contracts", "check", "--against", str(file), "--json", *more])
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == status
    found = [
        (each["level"], each["operation"], each["field"], each["what"])
        for each in told["differences"]
    ]
    return status, found, told["new"]


def deprecated(document: dict[str, Any]) -> None:
    """Announce the end of Jira's search, and add what comes after it."""
    paths = document["paths"]
    for each in paths[SEARCH].values():
        each["deprecated"] = True
    paths["/rest/api/3/search/next"] = {
        "get": {"operationId": "searchNext", "responses": {"200": {"description": "found"}}}
    }


def test_a_deprecation_is_a_warning_and_its_successor_is_named(capsys, tmp_path):
    """Of Jira's deprecated search, GET and POST, the one in use is warned of; status 0."""
    file = edited("jira", tmp_path, deprecated)
    operation = "searchAndReconsileIssuesUsingJql"
    expected = [("WARN", operation, "", "now deprecated")]
    assert checked(capsys, file) == (0, expected, [])
    old = ["--old", str(FILES["jira"])]
    assert checked(capsys, file, *old) == (0, expected, ["GET /rest/api/3/search/next"])
    assert answered(["contracts", "check", "--against", str(file)]) == 0
    told = capsys.readouterr().out
    assert "now deprecated" in told
    assert "0 breaking, 1 warnings." in told


def embellished(document: dict[str, Any]) -> None:
    """Change all that concerns nobody: words, order, and what is added."""
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                operation["description"] = "Said in other words."
    for schema in document["components"].get("schemas", {}).values():
        schema.get("properties", {})["something_new"] = {"type": "string"}
        schema.pop("example", None)
    document["paths"] = dict(reversed(document["paths"].items()))
    document["paths"]["/v1/unheard_of"] = {
        "get": {"operationId": "unheard-of", "responses": {"200": {"description": "new"}}}
    }


@pytest.mark.parametrize("system", sorted(FILES))
def test_what_is_added_or_said_otherwise_is_no_finding(capsys, tmp_path, system):
    """New fields, new operations, other words and another order give no finding, status 0."""
    file = edited(system, tmp_path, embellished)
    assert checked(capsys, file, "--old", str(FILES[system])) == (0, [], [])
    assert checked(capsys, file) == (0, [], [])


def _operation(document: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path][method]
    return found


def _invitation_body(document: dict[str, Any]) -> dict[str, Any]:
    operation = _operation(document, "/orgs/{org}/invitations", "post")
    found: dict[str, Any] = operation["requestBody"]["content"]["application/json"]["schema"]
    return found


def _membership(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]["org-membership"]
    return found


MEMBERSHIPS = "/orgs/{org}/memberships/{username}"
INVITE = "orgs/create-invitation"
SET = "orgs/set-membership-for-user"
GET = "orgs/get-membership-for-user"
BREAKING: list[tuple[Edit, list[tuple[str, str, str]]]] = [
    (lambda d: d["paths"].pop("/rate_limit"), [("rate-limit/get", "", "operation removed")]),
    (
        lambda d: _invitation_body(d).update(required=["team_ids"]),
        [(INVITE, "team_ids", "request field now required")],
    ),
    (
        lambda d: _invitation_body(d)["properties"]["role"]["enum"].remove("direct_member"),
        [(INVITE, "role", "enum value removed: direct_member")],
    ),
    (
        lambda d: _membership(d)["properties"].pop("role"),
        [(each, "role", "response field gone") for each in (GET, SET)],
    ),
    (
        lambda d: _membership(d)["properties"].update(role={"type": "object"}),
        [(each, "role", "response field retyped: string is now object") for each in (GET, SET)],
    ),
    (
        lambda d: _membership(d)["properties"]["state"]["enum"].append("frozen"),
        [(each, "state", "enum value added that is not understood: frozen") for each in (GET, SET)],
    ),
]


@pytest.mark.parametrize(
    ("edit", "expected"),
    BREAKING,
    ids=["removed", "required", "enum", "gone", "retyped", "enum-added"],
)
def test_what_breaks_us_is_named_by_operation_and_field(capsys, tmp_path, edit, expected):
    """Each change that breaks a call or an answer is one BREAKING finding a call, status 1."""
    file = edited("github", tmp_path, edit)
    found = [("BREAKING", *each) for each in expected]
    assert checked(capsys, file) == (1, found, [])
    assert checked(capsys, tmp_path, "--old", str(FILES["github"]))[:2] == (1, found)


def test_what_we_send_and_nobody_wants_any_more_is_a_warning(capsys, tmp_path):
    """A field of a request that the new document has not is named, and breaks nothing, status 0."""
    file = edited("github", tmp_path, lambda d: _invitation_body(d)["properties"].pop("role"))
    assert checked(capsys, file) == (0, [("WARN", INVITE, "role", "request field gone")], [])


def test_what_we_always_send_may_become_required(capsys, tmp_path):
    """A field that every request has may be required from now on; statuses come and go."""

    def edit(document: dict[str, Any]) -> None:
        _operation(document, MEMBERSHIPS, "put")["requestBody"]["content"]["application/json"][
            "schema"
        ]["required"] = ["role"]
        answers = _operation(document, MEMBERSHIPS, "get")["responses"]
        answers["410"] = {"description": "gone"}
        del answers["403"]

    assert checked(capsys, edited("github", tmp_path, edit)) == (
        0,
        [("WARN", GET, "", "status 403 gone"), ("INFO", GET, "", "new status 410")],
        [],
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("{", "is no JSON"),
        ('{"swagger": "2.0"}', "is no OpenAPI 3 document"),
        ('{"openapi": "3.0.0", "paths": {}}', "describes no system"),
    ],
)
def test_what_cannot_be_compared_is_refused(capsys, tmp_path, text, said):
    """A document that cannot be read or is about nothing we use is refused in a sentence."""
    file = tmp_path / "strange.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    assert answered(["contracts", "check", "--against", str(file)]) == 1
    assert said in capsys.readouterr().err
    assert answered(["contracts", "check", "--against", str(tmp_path / "none")]) == 1


def test_in_a_directory_what_describes_nothing_is_named_and_left_out(capsys, tmp_path):
    """The others are compared; a directory with nothing to compare is refused."""
    (tmp_path / "other.json").write_text('{"kind": "discovery"}', encoding="utf-8")
    assert answered(["contracts", "check", "--against", str(tmp_path)]) == 1
    assert "no OpenAPI 3 document" in capsys.readouterr().err
    edited("jira", tmp_path, deprecated)
    assert answered(["contracts", "check", "--against", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "now deprecated" in told
    assert "other.json is no OpenAPI 3 document." in told


def test_every_route_of_a_connector_is_in_its_contract(capsys):
    """Contracts have all that connectors call and nothing else, and the list counts them."""
    called: dict[str, set[str]] = {}
    for route, system in routes().items():
        called.setdefault(system, set()).add(route.operation)
    agreed = {name: set(contract(name).operations) for name in systems()}
    assert agreed == called
    assert answered(["contracts"]) == 0
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [[name, str(len(agreed[name]))] for name in systems()]
