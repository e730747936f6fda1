"""`newel inventory`: what can be done where, with which permission, as it is declared."""

from __future__ import annotations

import csv
import importlib
import io
import json
import socket
from typing import Any

import pytest

from newel.connectors.base import Connector
from newel.connectors.declaring import declared


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whatever would open a connection or look a name up."""

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("the inventory asks nobody")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


def systems(project) -> dict[str, Connector]:
    """Give the project's connectors by name, as the command has imported them."""
    module = importlib.import_module("company.systems")
    return {each.name: each for each in vars(module).values() if isinstance(each, Connector)}


@pytest.mark.usefixtures("without_network")
def test_every_operation_is_listed_as_it_is_declared(newel, project):
    """JSON has each operation of each system with needs, owner, mails, undo and users."""
    found = newel("inventory", "--json").document["operations"]
    expected = [
        (name, operation, list(declared(step).needs), connector.owner, declared(step).sends_email)
        for name, connector in sorted(systems(project).items())
        for operation, step in connector.operations().items()
    ]
    assert [
        (each["system"], each["operation"], each["needs"], each["owner"], each["mails"])
        for each in found
    ] == expected
    by_name = {(each["system"], each["operation"]): each for each in found}
    assert by_name["github", "ensure_member"] == {
        "system": "github",
        "title": "GitHub",
        "operation": "ensure_member",
        "does": "Invite to the GitHub organization",
        "ways": ["admin_api"],
        "goes": "admin_api",
        "why": "",
        "needs": ["members:write"],
        "owner": "it",
        "sla": "60 min, 3 rounds",
        "on_failure": "waits for a person, with a ticket; in doubt newel looks first",
        "mails": "person",
        "reversible": "with_loss",
        "undo": "remove_member",
        "approval": "",
        "used_by": ["onboarding"],
    }
    assert by_name["github", "find"]["reversible"] == "-"
    assert by_name["github", "find"]["on_failure"] == (
        "waits for a person, with a ticket; in doubt it is repeated, harmlessly"
    )
    assert by_name["github", "revoke"]["used_by"] == []


@pytest.mark.usefixtures("without_network")
def test_people_and_spreadsheets_read_the_same(newel, project):
    """The table and the comma-separated values have a row for each operation of the JSON."""
    found = newel("inventory", "--json", "--used").document["operations"]
    assert found
    assert all(each["used_by"] for each in found)
    lines = newel("inventory", "--used").out.splitlines()
    assert lines[0].split()[:5] == ["SYSTEM", "OPERATION", "WAY", "NEEDS", "OWNER"]
    assert [line.split()[:2] for line in lines[1:]] == [
        [each["system"], each["operation"]] for each in found
    ]
    rows = list(csv.DictReader(io.StringIO(newel("inventory", "--used", "--csv").out)))
    assert rows == [
        {
            name: ", ".join(value) if isinstance(value, list) else value
            for name, value in each.items()
        }
        for each in found
    ]


@pytest.mark.usefixtures("without_network")
def test_the_hosts_that_can_be_reached_are_listed(newel, project, monkeypatch):
    """With --egress each host stands once for whoever speaks to it: database and copies, too."""
    monkeypatch.setenv("NEWEL_DATABASE_URL", "postgresql://who:hush@db.acme.example:5433/newel")
    places = ["directory:drawer", "s3:https://s3.example:9000/log/a days=400", "command:/bin/cat"]
    monkeypatch.setenv("NEWEL_ANCHORS", json.dumps(places))
    said = newel("inventory", "--egress", "--json")
    found = [(each["host"], each["by"]) for each in said.document["hosts"]]
    assert ("api.github.com", "github") in found
    assert ("oauth2.googleapis.com", "google") in found
    assert ("acme-example.atlassian.net", "jira:OPS") in found
    assert found[-2:] == [
        ("db.acme.example:5433", "database"),
        ("s3.example:9000", "anchors (s3)"),
    ]
    assert "hush" not in said.out
    assert len(set(found)) == len(found)
    spoken = {host for each in systems(project).values() for host in each.hosts}
    assert spoken <= {host for host, _ in found}


@pytest.mark.usefixtures("without_network")
def test_what_plans_allow_is_listed_and_says_that_nobody_was_asked(newel, project, monkeypatch):
    """With --capabilities each has its state; a system that cannot be asked says so."""
    monkeypatch.setenv("SLACK_PLAN", "pro")
    found = newel("inventory", "--capabilities", "--json").document["capabilities"]
    by_name = {each["capability"]: each for each in found}
    assert {name: each["state"] for name, each in by_name.items()} == {
        "github.enterprise_managed": "absent",
        "github.invitations": "there",
        "google.data_transfer": "there",
        "google.licensing": "there",
        "jira.administration": "there",
        "slack.admin": "absent",
        "slack.scim": "absent",
    }
    assert by_name["slack.scim"]["why"] == "Slack's plan pro has no SCIM"
    assert {each["checked_at"] for each in found} == {None}
    ways = newel("inventory", "--json").document["operations"]
    (way,) = [e for e in ways if (e["system"], e["operation"]) == ("slack", "ensure_account")]
    assert way["ways"] == ["scim (slack.scim)", "invitation (slack.admin)", "by_hand"]
    assert (way["goes"], way["why"][:28]) == ("by_hand", "Slack's plan pro has no SCIM")
    lines = newel("inventory", "--capabilities", "--check").out.splitlines()
    assert lines[0].split() == ["SYSTEM", "CAPABILITY", "STATE", "CHECKED", "WHY"]
    asked = [line for line in lines if line.startswith("google")]
    assert all(len(line.split()) > 4 for line in asked)  # why it could not be asked


def test_without_systems_it_says_so(newel, tmp_path, monkeypatch):
    """A directory without a project has no inventory."""
    monkeypatch.chdir(tmp_path)
    assert newel("inventory").out == "No system is configured.\n"
    assert newel("inventory", "--csv").out == ""
