from __future__ import annotations

import inspect
import string
from datetime import timedelta
from typing import Any

import pytest

from newel.base.errors import DefinitionError, Forbidden
from newel.base.secrets import SecretRef
from newel.connectors.atlassian import Atlassian
from newel.connectors.base import Connector, names_of
from newel.connectors.capability import Way
from newel.connectors.declaring import Declared, declared
from newel.connectors.github import GitHub
from newel.connectors.google import Google
from newel.connectors.jira import Jira
from newel.connectors.operation import operation
from newel.connectors.payroll import Gusto
from newel.connectors.salesforce import Salesforce
from newel.connectors.slack import Slack
from newel.domain.people import Person
from newel.flow.step import Step
from newel.simulators.core import Simulator
from newel.simulators.github import GitHubSimulator
from newel.simulators.google import GoogleSimulator
from newel.simulators.gusto import GustoSimulator
from newel.simulators.jira import JiraSimulator
from newel.simulators.salesforce import SalesforceSimulator
from newel.simulators.slack import SlackSimulator
from tests.connectors.support import JANE, raised
from tests.simulators.contract import FILES, UNCOVERED, operations
from tests.simulators.test_contracts import licensing

CONNECTORS: dict[type[Connector], type[Simulator]] = {
    Atlassian: JiraSimulator,
    GitHub: GitHubSimulator,
    Google: GoogleSimulator,
    Gusto: GustoSimulator,
    Jira: JiraSimulator,
    Salesforce: SalesforceSimulator,
    Slack: SlackSimulator,
}
OPERATIONS = [
    pytest.param(connector, step, id=f"{connector.__name__}.{name}")
    for connector in CONNECTORS
    for name, step in connector.operations().items()
]
COMPLETE: dict[str, Any] = {
    "natural_key": "thing/{person.ref}",
    "idempotency": "put",
    "needs": ("things:write",),
    "spec": ("things/put",),
    "undo": "none: for the test",
    "reversible": "yes",
}


async def change(self: object, person: Person) -> None:
    """Change something."""


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ({"idempotency": "perhaps"}, "unknown idempotency"),
        ({"needs": ()}, "names no scope"),
        ({"spec": ()}, "no operation of the vendor"),
        ({"spec": (), "reads": ("things/get",)}, "by no known call"),
        ({"natural_key": None}, "what it looks up"),
        ({"reversible": ""}, "can be taken back"),
        ({"reversible": "perhaps"}, "can be taken back"),
        ({"undo": ""}, "no undo"),
        ({"level": "admin"}, "a level without a grant"),
        ({"settle": (5, 15)}, "ascend from 0"),
        ({"settle": (0, 15, 5)}, "ascend from 0"),
        ({"moves_money": True}, "without an approval"),
        ({"timeout": timedelta(minutes=5)}, "within 60 seconds"),
        ({"idempotency": "append", "natural_key": None}, "nothing makes a repeat safe"),
        ({"idempotency": "read"}, "a read changes nothing"),
        ({"doubles": "find"}, "nothing can double"),
    ],
)
def test_an_incomplete_declaration_is_refused(missing: dict[str, Any], told: str):
    """What is missing or contradicts itself is named with the operation and a remedy."""
    with pytest.raises(DefinitionError) as refused:
        operation(**{**COMPLETE, **missing})(change)
    assert told in str(refused.value)
    assert "`change`" in str(refused.value)
    assert "Fix:" in str(refused.value)


def test_a_complete_declaration_is_read_back():
    """The step carries the declaration as data."""
    step = operation(**COMPLETE)(change)
    assert declared(step) == Declared(
        idempotency="put",
        ways=(Way(path="admin_api"),),
        by_hand=None,
        reversible="yes",
        undo="none: for the test",
        sends_email="none",
        moves_money=False,
        needs=("things:write",),
        spec=("things/put",),
        reads=(),
        bucket="",
        settle=(0,),
        approval=None,
        locks_out=False,
        doubles="",
    )


def test_an_undo_that_does_not_exist_is_refused():
    """A connector whose operation names an unknown undo cannot be imported."""
    step = operation(**{**COMPLETE, "undo": "unchange"})(change)
    with pytest.raises(DefinitionError) as refused:
        type("Thing", (Connector,), {"title": "Thing", "change": step})
    assert "`unchange`" in str(refused.value)


@pytest.mark.parametrize("other", [None, "change"])
def test_doubles_that_nothing_looks_for_are_refused(other: str | None):
    """Whoever says that doubles can come names an operation that only reads."""
    step = operation(**{**COMPLETE, "idempotency": "append", "doubles": other or "twins"})(change)
    with pytest.raises(DefinitionError) as refused:
        type("Thing", (Connector,), {"title": "Thing", "change": step})
    assert f"`{other or 'twins'}`" in str(refused.value)


async def test_a_refusal_without_a_scope_names_what_is_needed():
    """The operation's needs stand in a refusal that does not say what is missing."""

    async def refused(self: object, person: Person) -> None:
        """Refuse."""
        raise Forbidden("No.")

    step = operation(**COMPLETE)(refused)
    told = await raised(step.called(None, JANE), Forbidden)
    assert told.missing == "things:write"
    assert "things:write" in str(told)


async def test_a_blocked_operation_names_no_scope():
    """A refusal for another reason keeps its own words."""

    async def blocked(self: object, person: Person) -> None:
        """Refuse."""
        raise Forbidden("Not now.", reason="blocked")

    told = await raised(operation(**COMPLETE)(blocked).called(None, JANE), Forbidden)
    assert (told.missing, str(told)) == (None, "Not now.")


@pytest.mark.parametrize(("connector", "step"), OPERATIONS)
def test_every_operation_verifies_and_can_be_kept(connector: type[Connector], step: Step[..., Any]):
    """Each operation has a verify, a title, and types that the journal can carry."""
    instance = object.__new__(connector)
    instance.name = "here"
    bound: Step[..., Any] = step.__get__(instance, connector)
    bound.checked()
    assert step.verify is not None
    assert step.options.title


@pytest.mark.parametrize(("connector", "step"), OPERATIONS)
def test_templates_speak_of_arguments(connector: type[Connector], step: Step[..., Any]):
    """Natural keys, entitlements and levels can be filled from the operation's arguments."""
    names = set(inspect.signature(step.function).parameters)
    options = step.options
    for template in (options.natural_key, options.grants, options.revokes, options.level):
        fields = [name for _, name, _, _ in string.Formatter().parse(template or "") if name]
        assert {field.partition(".")[0] for field in fields} <= names | {"system"}


@pytest.mark.parametrize(("connector", "step"), OPERATIONS)
def test_calls_exist_in_simulator_and_specification(
    connector: type[Connector], step: Step[..., Any]
):
    """Each call an operation may make is a route of the simulator and of the vendor's file."""
    simulator = CONNECTORS[connector]
    facts = declared(step)
    calls = {*facts.spec, *facts.reads}
    assert calls <= {route.operation for route in simulator.routes}
    file = FILES.get(simulator.system)
    if file is not None and file.exists():
        covered = {name.replace("_", ".") for name in operations(simulator.system)}
        if simulator.system == "google":
            covered |= operations("google-datatransfer") | licensing()
        covered |= operations(simulator.system) | UNCOVERED.get(simulator.system, set())
        assert {call for call in calls if not call.startswith("scim/")} <= covered


def test_an_instance_has_its_own_entitlements():
    """A second organization's keys and entitlements begin with its own name."""
    labs = GitHub(name="github-labs", org="labs", token=SecretRef("env:LABS"))
    assert labs.ensure_member.name == "github-labs.ensure_member"
    assert labs.ensure_member.options.grants == "github-labs:account"
    assert labs.base_entitlement == "github-labs:account"


def test_the_credential_is_named_by_its_reference():
    """Two connectors with one reference share limits and outages; the secret is not read."""
    one = GitHub(org="a", token=SecretRef("env:NOWHERE_AT_ALL"))
    other = GitHub(org="b", token=SecretRef("env:NOWHERE_AT_ALL"))
    third = GitHub(org="a", token=SecretRef("env:ELSEWHERE"))
    assert one.credential == other.credential != third.credential
    name, _, digest = one.credential.partition(":")
    assert (name, len(digest)) == ("github", 12)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Jane Doe", ("Jane", "Doe")),
        ("Ana María de la Cruz", ("Ana María de la", "Cruz")),
        ("Björk", ("Björk", "Björk")),
        (" Jane  Doe ", ("Jane", "Doe")),
    ],
)
def test_names_are_split_for_systems_that_insist(name: str, parts: tuple[str, str]):
    """The last word is the family name; a single word stands for both."""
    assert names_of(Person(name=name, email="x@acme.example")) == parts
