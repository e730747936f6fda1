"""The page on contracts and inventory names commands and a setting that there are."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from newel.base.settings import Settings
from newel.cli.app import answered
from newel.connectors.contracts.agreed import contract, systems
from newel.connectors.contracts.facts import FACTS
from newel.engine.builtin import PROBE
from tests.simulators.contract import FILES

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "contracts-and-inventory.md").read_text("utf-8")
# The page of each connector, and whose facts are on it.
PAGES = {
    "google-and-slack.md": ("google", "slack"),
    "hr-payroll-and-directories.md": ("bamboohr", "gusto", "salesforce"),
    "jira-and-github.md": ("jira", "atlassian", "github", "asana", "linear"),
    "servicenow.md": ("servicenow",),
}
COMMANDS = re.findall(r"```shell\nnewel (.*?)\n```", TEXT)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_is_carried_out(command, tmp_path, monkeypatch, capsys):
    """Each command of the page ends well in a directory with Jira's document."""
    document = FILES["jira"]
    (tmp_path / document.name).write_bytes(document.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert answered(shlex.split(command)) == 0
    assert capsys.readouterr().out.strip()


def test_what_the_page_says_of_settings_and_documents_is_so():
    """The setting has the default that is told, and the systems without a document are those."""
    assert "probe_at" in TEXT and Settings.model_fields["probe_at"].default == "0 3 * * *"
    assert f"`{PROBE}`" in TEXT
    undescribed = {name for name in systems() if not contract(name).documents}
    assert undescribed == {"salesforce", "scim", "linear", "zendesk", "atlassian"}
    told = json.dumps(TEXT).lower()
    assert [name for name in undescribed if name not in told] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_page_of_a_connector_says_what_is_only_simulated(page):
    """Every fact has its row, in the order of the list, and no row is of another."""
    text = (DOCS / page).read_text("utf-8")
    shown = {True: "a header", False: "a person"}
    wanted = [
        (system, fact.name, fact.text, "`check()`" if fact.by_check else shown[bool(fact.headers)])
        for system in PAGES[page]
        for fact in FACTS[system]
    ]
    rows = r"^\| (\w+) \| `([\w-]+)` \| (.*) \| (a header|a person|`check\(\)`) \|$"
    assert re.findall(rows, text, re.MULTILINE) == wanted


def test_every_list_of_facts_is_on_a_page():
    """None is forgotten."""
    assert sorted(each for systems in PAGES.values() for each in systems) == sorted(FACTS)
