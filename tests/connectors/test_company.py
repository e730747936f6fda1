"""The example company: its people are checked, its roles get exactly their systems."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from newel.base.errors import InvalidInput
from newel.base.secrets import SecretRef
from newel.base.settings import load_settings
from newel.connectors.base import Connector
from newel.flow.reading import sites
from newel.simulators.server import serve
from newel.simulators.world import World

EXAMPLES = Path(__file__).parents[2] / "examples"
ENGINEER: dict[str, Any] = {
    "name": "Jane Doe",
    "email": "jane.doe@acme.example",
    "hr_key": "4711",
    "manager": {"name": "Max Roe", "email": "max.roe@acme.example"},
    "job": "engineer",
    "team": "platform",
    "starts_at": "2026-02-02T09:00:00+01:00",
    "repositories": ["acme-example/api", "acme-example/console"],
    "github_username": "jane-doe",
}
SELLER = {**ENGINEER, "job": "sales", "team": "sales", "repositories": [], "github_username": ""}
CLERK = {**SELLER, "job": "office", "team": "office"}


@dataclass
class Company:
    """The example company as imported beside a world of simulators."""

    onboarding: ModuleType
    people: ModuleType
    systems: ModuleType

    def hire(self, document: dict[str, Any]) -> Any:
        """Read a new colleague as a start request has them."""
        return self.onboarding.onboarding.parameters["hire"].accept(json.dumps(document))


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """Import the company anew, with whatever the environment says now."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for name in [name for name in sys.modules if name.partition(".")[0] == "company"]:
        monkeypatch.delitem(sys.modules, name)
    yield Company(
        *(
            importlib.import_module(f"company.{name}")
            for name in ("onboarding", "people", "systems")
        )
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == "company"]:
        del sys.modules[name]


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Serve all six systems and point the environment at them."""
    world = World(seed=5, page_size=3)
    async with serve(list(world.simulators.values())) as addresses:
        for name, value in world.credentials(addresses).items():
            monkeypatch.setenv(name, value)
            SecretRef(f"env:{name}").resolve(fresh=True)
        yield world


def accounts(world: World) -> dict[str, list[str]]:
    """Give who has accounts where, Jane's only."""
    return {
        name: [each["state"] for each in simulator.accounts() if "jane" in str(each).lower()]
        for name, simulator in world.simulators.items()
    }


async def gone_through(company: Company, world: World, document: dict[str, Any]) -> None:
    """Do all steps of an onboarding in their order, as ordinary coroutines."""
    hire, systems = company.hire(document), company.systems
    await systems.google.ensure_account(hire, suspended=True)
    await systems.slack.ensure_account(hire)
    await systems.jira.ensure_account(hire)
    await systems.payroll.ensure_employee(hire)
    if document["job"] == "engineer":
        await systems.github.ensure_member(hire, hire.github_username)
        world.github.accept_invitation("jane-doe")
    await company.onboarding.job_access(hire)
    await systems.google.activate(hire)
    await systems.slack.say("#general", f"Welcome {hire.name}!")
    for system in vars(systems).values():
        if isinstance(system, Connector):
            await system.aclose()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (ENGINEER, {"github": ["active"], "salesforce": []}),
        (SELLER, {"github": [], "salesforce": ["active"]}),
        (CLERK, {"github": [], "salesforce": []}),
    ],
    ids=["engineer", "sales", "office"],
)
async def test_each_job_gets_exactly_its_systems(
    world: World, company: Company, document: dict[str, Any], expected: dict[str, list[str]]
):
    """Engineers get GitHub, sellers Salesforce, clerks neither; the rest is the same for all."""
    await gone_through(company, world, document)
    found = accounts(world)
    assert {**found, "gusto": len(found["gusto"])} == {
        "google": ["active"],
        "slack": ["active"],
        "jira": ["active"],
        "gusto": 1,
        **expected,
    }


async def test_a_second_onboarding_changes_nothing_but_the_greeting(world: World, company: Company):
    """Everything done once more for the same person sends no mutation but the message."""
    await gone_through(company, world, SELLER)
    before = {name: len(each.mutations()) for name, each in world.simulators.items()}
    await gone_through(company, world, SELLER)
    after = {name: len(each.mutations()) for name, each in world.simulators.items()}
    assert after == {**before, "slack": before["slack"] + 1}


async def test_an_engineer_gets_team_and_repositories(world: World, company: Company):
    """The engineer's team and repositories are those of the contract."""
    await gone_through(company, world, ENGINEER)
    assert world.github.access("jane-doe") == {"api", "console"}
    teams = world.github.store.rows("team_members")
    assert {(row["team"], row["state"]) for row in teams.values()} == {("platform", "active")}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"manager": ...}, {"manager": "is missing"}),
        ({"ends_at": "2026-02-01T00:00:00Z"}, {"ends_at": "is not after starts_at"}),
        ({"starts_at": "2026-02-02T09:00:00"}, {"starts_at": "needs a time zone"}),
        ({"github_username": ""}, {"github_username": "an engineer needs one"}),
        ({"name": " "}, {"name": "is empty"}),
        ({"email": "jane"}, {"email": "is missing, or is no address"}),
        ({"shoe_size": 42}, {"shoe_size": "is not known"}),
        (
            {"manager": {"name": "J", "email": "Jane.Doe@acme.example"}},
            {"manager": "nobody confirms their own hire"},
        ),
    ],
)
def test_bad_input_is_refused_by_field(
    company: Company, change: dict[str, Any], fields: dict[str, str]
):
    """What is wrong with a new colleague's data is said beside its field."""
    document = {name: value for name, value in {**ENGINEER, **change}.items() if value is not ...}
    with pytest.raises(InvalidInput) as refused:
        company.hire(document)
    assert refused.value.fields == fields


@pytest.mark.parametrize("name", ["Siobhán O'Brien", "محمد علي", "🦊 Fox", "Björk"])
def test_any_name_is_accepted(company: Company, name: str):
    """Apostrophes, other scripts, emoji and single words are names."""
    assert company.hire({**CLERK, "name": name}).name == name


def test_every_step_of_the_process_is_seen(company: Company):
    """The reader of processes finds all operations that onboarding uses, helpers included."""
    assert set(sites(company.onboarding.onboarding)) == {
        "google.reserve_address",
        "google.ensure_account",
        "google.activate",
        "slack.ensure_account",
        "slack.say",
        "jira.ensure_account",
        "gusto.ensure_employee",
        "github.ensure_member",
        "github.accepted",
        "github.join_team",
        "github.grant",
        "salesforce.ensure_account",
        "salesforce.assign_permission_set",
    }


def test_the_process_file_stays_short(company: Company):
    """Onboarding is written in under sixty lines of code."""
    assert company.onboarding.__file__ is not None
    lines = Path(company.onboarding.__file__).read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if line.strip() and not line.strip().startswith(("#", '"""'))]
    assert len(code) < 60


def test_the_project_is_found_by_its_settings(company: Company):
    """The settings beside the company name its process, systems and trackers."""
    settings = load_settings(EXAMPLES)
    assert settings.processes == ("company.onboarding:onboarding",)
    assert settings.systems == "company.systems"
    assert settings.tickets == "company.systems:tickets"
    assert [ticket.channel for ticket in company.systems.tickets] == ["jira:OPS"]


def test_importing_newel_is_light():
    """What authors import opens neither a database nor a connection nor a web framework."""
    code = (
        "import sys, newel; "
        "print([m for m in ('asyncpg', 'fastapi', 'httpx2', 'uvicorn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
