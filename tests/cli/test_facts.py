"""`newel contracts verify`: what a tenant shows of what is believed, and what is kept of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from newel.base.secrets import SecretRef
from newel.cli import contracts as commands
from newel.cli.app import answered
from newel.cli.facts import asked
from newel.connectors.contracts.facts import FACTS, known_as
from newel.connectors.payroll import Gusto
from newel.connectors.salesforce import Salesforce
from newel.connectors.slack import Slack
from newel.simulators import Down, DropField, Status
from newel.simulators.gusto import GustoSimulator
from newel.simulators.salesforce import SalesforceSimulator
from newel.simulators.slack import SlackSimulator
from newel.testing.saas import known_secrets
from newel.testing.transport import SimulatorTransport

TODAY = datetime.now(UTC).date().isoformat()


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty project."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def slack() -> Iterator[tuple[Slack, SlackSimulator]]:
    """Connect to Slack."""
    sim = SlackSimulator(seed=7, plan="business")
    with known_secrets(sim.credentials()):
        transport = SimulatorTransport(sim)
        yield Slack(token=SecretRef("env:SLACK_TOKEN"), plan="business", transport=transport), sim


def answers(project: Path, **said: str) -> str:
    """Write answers; gives their file."""
    file = project / "answers.json"
    file.write_text(json.dumps({name.replace("_", "-"): each for name, each in said.items()}))
    return str(file)


def recorded(project: Path, system: str) -> dict[str, Any]:
    """Read what is kept of a system."""
    found: dict[str, Any] = json.loads((project / "contracts" / f"{system}.json").read_text())
    assert found["system"] == system
    facts: dict[str, Any] = found["facts"]
    return facts


def test_answers_of_a_person_are_kept_with_date_and_tenant(project, capsys):
    """Yes and no are kept; of what nobody has said the earlier answer stays; a no is status 1."""
    file = answers(project, undelete_window="yes", token_errors="unknown")
    verify = ["contracts", "verify", "google", "--answers", file, "--tenant"]
    assert answered([*verify, "acme-test"]) == 0
    said = {"seen": "a person says so", "date": TODAY, "tenant": "acme-test"}
    kept = recorded(project, "google")
    assert set(kept) == {each.name for each in FACTS["google"]}
    assert kept["undelete-window"] == {"holds": "yes", **said}
    assert kept["token-errors"]["holds"] == "open"
    answers(project, undelete_window="unknown", token_errors="no")
    assert answered([*verify, "acme-two"]) == 1
    assert recorded(project, "google")["undelete-window"] == {"holds": "yes", **said}
    assert recorded(project, "google")["token-errors"]["tenant"] == "acme-two"
    capsys.readouterr()
    assert answered(["contracts", "facts", "--system", "google", "--json"]) == 0
    rows = {each["fact"]: each for each in json.loads(capsys.readouterr().out)["facts"]}
    assert {name: each["holds"] for name, each in rows.items()} == {
        **dict.fromkeys(rows, "open"), "undelete-window": "yes", "token-errors": "no"
    }  # fmt: skip


def test_without_answers_and_terminal_everything_stays_open(project, capsys):
    """Nobody is asked, nothing fails, and the list says that all is simulated only."""
    assert answered(["contracts", "verify", "servicenow", "--tenant", "dev1"]) == 0
    assert {each["holds"] for each in recorded(project, "servicenow").values()} == {"open"}
    assert answered(["contracts", "facts"]) == 0
    told = capsys.readouterr().out
    assert all(fact.text in told for facts in FACTS.values() for fact in facts)


def test_a_person_at_the_terminal_is_asked_for_each(project, monkeypatch, capsys):
    """Yes, no, and anything else is unknown."""
    given = io.StringIO("yes\nn\nperhaps\n")
    monkeypatch.setattr(given, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin", given)
    assert answered(["contracts", "verify", "servicenow", "--tenant", "dev1", "--json"]) == 1
    kept = recorded(project, "servicenow")
    names = [fact.name for fact in FACTS["servicenow"]]
    assert [kept[name]["holds"] for name in names] == ["yes", "no", "open"]
    assert FACTS["servicenow"][0].text in capsys.readouterr().out


async def test_headers_of_reading_questions_are_seen(slack):
    """By name and count, never by value; nothing is sent that could change the system."""
    connector, sim = slack
    found = await asked(connector, FACTS["slack"])
    assert found.keys() == {"oauth-scopes", "request-id"}
    assert found["oauth-scopes"][0] == "yes"
    assert found["oauth-scopes"][1].startswith("x-oauth-scopes on ")
    assert sim.mutations() == []
    assert len(sim.calls("auth.test")) == 1


async def test_what_is_not_on_any_answer_is_not_so(slack):
    """A header that no answer carries is a no; without an answer it stays open."""
    connector, sim = slack
    (fact,) = [each for each in FACTS["gusto"] if each.name == "page-headers"]
    holds, seen = (await asked(connector, (fact,)))["page-headers"]
    assert (holds, seen.startswith("on none of ")) == ("no", True)
    sim.fail("*", Down())
    assert (await asked(connector, (fact,)))["page-headers"] == ("open", "no answer came")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (None, ("yes", "check() has read it")),
        (Status(503), ("open", "check() failed: transient")),
        (DropField("records"), ("no", "check() failed: contract-drift")),
    ],
)
async def test_what_the_check_reads_is_shown_by_it(fault, expected):
    """Read: yes. Another shape: no. A system that does not answer shows nothing."""
    sim = SalesforceSimulator(seed=7)
    given = sim.credentials()
    with known_secrets(given):
        connector = Salesforce(
            client_id=given["SALESFORCE_CLIENT_ID"],
            username=given["SALESFORCE_USERNAME"],
            key=SecretRef("env:SALESFORCE_KEY"),
            profile_id=given["SALESFORCE_PROFILE_ID"],
            marker_field="FederationIdentifier",
            transport=SimulatorTransport(sim),
        )
        if fault is not None:
            sim.fail("query", fault)
        assert (await asked(connector, FACTS["salesforce"]))["permissions-read"] == expected


def test_a_connector_of_the_project_is_asked(project, monkeypatch, capsys):
    """By its own name; its facts are those of its kind, and the record is named after that."""
    sim = GustoSimulator(seed=7)
    given = sim.credentials()
    with known_secrets(given):
        payroll = Gusto(
            name="payroll",
            company=given["GUSTO_COMPANY"],
            token=SecretRef("env:GUSTO_TOKEN"),
            transport=SimulatorTransport(sim),
        )
        monkeypatch.setattr(commands, "_known", lambda _: (payroll, known_as(type(payroll))))
        status = answered(["contracts", "verify", "payroll", "--tenant", "acme-test"])
    kept = recorded(project, "gusto")
    assert kept["page-headers"]["holds"] == "yes"
    assert kept["page-headers"]["seen"].startswith("x-total-pages on ")
    assert kept["refresh-once"]["holds"] == "open"
    assert status == int(any(each["holds"] == "no" for each in kept.values()))
    secret = given["GUSTO_TOKEN"]
    assert secret not in (project / "contracts" / "gusto.json").read_text()


def test_a_system_is_found_by_the_name_in_the_project_and_by_its_own(project):
    """The connector that the settings name is taken for either; else nobody can be asked."""
    (project / "newel.toml").write_text('systems = "paying"\n')
    (project / "paying.py").write_text(
        "from newel import SecretRef\nfrom newel.connectors.payroll import Gusto\n"
        'wages = Gusto(name="wages", company="acme", token=SecretRef("env:GUSTO_TOKEN"))\n'
    )
    for name in ("wages", "gusto"):
        connector, kind = commands._known(name)
        assert (connector and connector.name, kind) == ("wages", "gusto")
    assert commands._known("google") == (None, "google")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fax", "--tenant", "t"], "nothing is to be confirmed of `fax`"),
        (["google", "--tenant", "jane@acme.example"], "nothing of a person"),
        (["google", "--tenant", "t", "--answers", "none.json"], "cannot be read as JSON"),
        (["google", "--tenant", "t", "--answers", "list.json"], "no object"),
        (["google", "--tenant", "t", "--answers", "other.json"], "google has no fact refunds"),
        (["google", "--tenant", "t", "--answers", "perhaps.json"], "token-errors: yes, no or"),
        (["slack", "--tenant", "t"], "something else; nothing is overwritten"),
        (["jira", "--tenant", "t"], "is about linear, not jira"),
    ],
)
def test_what_cannot_be_kept_is_refused(project, capsys, arguments, told):
    """In a sentence, before anybody is asked and anything is written."""
    for name, text in {
        "list": "[]",
        "other": '{"refunds": "yes"}',
        "perhaps": '{"token-errors": "perhaps"}',
        "contracts/slack": '{"openapi": "3.0.0"}',
        "contracts/jira": '{"system": "linear"}',
    }.items():
        (project / "contracts").mkdir(exist_ok=True)
        (project / f"{name}.json").write_text(text)
    before = sorted(project.rglob("*"))
    assert answered(["contracts", "verify", *arguments]) == 1
    assert told in capsys.readouterr().err.replace("\n", " ")
    assert sorted(project.rglob("*")) == before
    assert answered(["contracts", "facts", "--system", "fax"]) == 1


def test_records_are_no_documents_of_vendors(project, capsys):
    """Where documents are looked for, the records beside them are passed over in silence."""
    assert answered(["contracts", "verify", "linear", "--tenant", "t"]) == 0
    assert answered(["contracts", "check"]) == 1
    assert "has no document" in capsys.readouterr().err


def test_every_fact_has_a_name_of_its_own_and_one_way_to_be_seen():
    """Names are short and unique in their system, sentences end, and kinds are recognised."""
    for facts in FACTS.values():
        assert len({fact.name for fact in facts}) == len(facts)
        assert all(
            fact.text.endswith(".") and not (fact.headers and fact.by_check) for fact in facts
        )
    assert [known_as(each) for each in (Slack, Gusto, dict)] == ["slack", "gusto", None]
