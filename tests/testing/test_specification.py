"""A connector of a company's own names its vendor's document, and tests hold it to that."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from newel import Person, process
from newel.base.errors import ContractDrift, DefinitionError, Transient
from newel.base.secrets import SecretRef
from newel.cli.app import answered
from newel.connectors.answers import Route
from newel.connectors.generic import API, HttpApi
from newel.simulators import DropField, Status
from newel.testing import StillWaits, contract_with, running
from newel.testing.saas import opened
from tests.connectors.support import JANE

EXAMPLE = Path(__file__).parents[2] / "examples" / "connector"
DOCUMENT = Path(__file__).parent / "specs" / "desks.openapi.json"
ROUTES = "    routes = (ME, LIST, CREATE, UPDATE)\n"
NAMED = '    spec_file = "desks.openapi.json"\n'

Edit = Callable[[dict[str, Any]], object]
Written = Callable[..., Any]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Write the example connector beside a document, both changed as a test says; import it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    place = tmp_path / "acme"

    def write(edit: Edit = dict, *, swap: tuple[str, str] = ("", ""), named: str = NAMED) -> Any:
        shutil.copytree(EXAMPLE, place, dirs_exist_ok=True)
        for file in place.glob("desks*.py"):
            text = file.read_text("utf-8").replace(ROUTES, ROUTES + named)
            text = text.replace(swap[0], swap[1]) if swap[0] else text
            file.write_text(text, "utf-8")
        document = json.loads(DOCUMENT.read_text("utf-8"))
        edit(document)
        (place / DOCUMENT.name).write_text(json.dumps(document), "utf-8")
        desks = importlib.import_module("acme.desks")
        stand_in = importlib.import_module("acme.desks_simulator")
        return desks.Desks, stand_in.DesksSimulator

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] in ("acme", "own")]:
        del sys.modules[name]


async def made(kinds: Any) -> None:
    """Play a joining and a leaving with the contract kit."""
    connector, stand_in = kinds
    with contract_with(stand_in, connector) as contract:
        desks = connector(token=SecretRef("env:DESKS_TOKEN"), **contract.outside)
        await contract.once(desks.ensure_account, JANE)
        await contract.once(desks.suspend, JANE)


async def test_what_agrees_with_the_document_passes(written: Written) -> None:
    """Requests and answers that are as the document has them are nobody's business."""
    await made(written())


@pytest.mark.parametrize(
    ("swap", "told"),
    [
        (('"name": person.name,', ""), "accounts.create: the request .*'name' is a required"),
        (('"reference": marker,', '"mark": marker,'), "the request .*'mark' was unexpected"),
        (("dict(fields)", '{**fields, "state": "out"}'), "accounts.update: the request .*'out'"),
        (("Answer(201, self", "Answer(200, self"), "accounts.create: the answer 200 "),
        (('"next": following', '"next": 3'), "accounts.list: the answer 200 .*next: 3"),
        (('"reference": mark or None,\n', ""), "the answer 201 .*'reference' is a required"),
    ],
)
async def test_what_disagrees_fails_the_test(
    written: Written, swap: tuple[str, str], told: str
) -> None:
    """The sentence says which operation, whether asked or answered, and what is wrong with it."""
    with pytest.raises(AssertionError, match=rf"(?s){told}"):
        await made(written(swap=swap))


async def test_an_answer_that_the_document_lacks_is_said_to_be_given(written: Written) -> None:
    """Without that a refusal that it does not name is a finding; with it, it passes."""

    def silent(document: dict[str, Any]) -> None:
        del document["paths"]["/v1/accounts"]["post"]["responses"]["409"]

    async def refused(kinds: Any) -> int:
        connector, stand_in = kinds
        with contract_with(stand_in, connector) as contract:
            desks = connector(token=SecretRef("env:DESKS_TOKEN"), **contract.outside)
            await desks.ensure_account(JANE)
            create = next(each for each in desks.routes if each.operation == "accounts.create")
            body = {"email": JANE.email, "name": JANE.name}
            answer = await desks.http.call(create, body=body, expect=("email_taken",))
            return int(answer.status)

    with pytest.raises(AssertionError, match="the answer 409"):
        await refused(written(silent))
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
        del sys.modules[name]
    more = NAMED + '    undocumented = {("accounts.create", 409)}\n'
    assert await refused(written(silent, named=more)) == 409


async def test_a_fault_may_answer_as_no_document_has_it(written: Written) -> None:
    """What a fault answers or bends is no finding, and neither is what it leads to."""
    connector, stand_in = written()
    with contract_with(stand_in, connector) as contract:
        desks = connector(token=SecretRef("env:DESKS_TOKEN"), **contract.outside)
        await contract.survives_lost_calls(desks.ensure_account, JANE)
        await contract.needs_its_scopes(desks.suspend, JANE)
        await contract.fails_as(
            Transient, desks.suspend, JANE, fault=Status(500), at="accounts.update"
        )
        contract.simulator.heal()
        await contract.fails_as(
            ContractDrift, desks.suspend, JANE, fault=DropField("id"), at="accounts.update"
        )


async def test_in_a_run_it_fails_the_test_too(written: Written, monkeypatch: Any) -> None:
    """The systems of a test are held to documents in the same way; what was seen ends the test."""
    connector, stand_in = written(swap=('"reference": mark or None,\n', ""))
    monkeypatch.setenv("DESKS_TOKEN", "none yet")
    desks = connector(token=SecretRef("env:DESKS_TOKEN"))

    @process(owner="it")
    async def joining(person: Person) -> str:
        """Give somebody a desk."""
        account = await desks.ensure_account(person)
        return str(account.handle)

    def told() -> Any:
        return pytest.raises(AssertionError, match=r"the answer 201 .*'reference'")

    with told(), opened() as saas:
        saas.add(stand_in)
        hired = Person(name="Jane Doe", email="jane.doe@acme.example", hr_key="4711")
        async with running(joining.request(hired), at="2026-01-05") as run:
            with pytest.raises(StillWaits):
                await run.result()


async def test_without_openapi_core_it_is_said_what_to_install(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal comes before anything is asked, and names the extra."""
    connector, stand_in = written()
    monkeypatch.setitem(sys.modules, "openapi_core", None)
    with (
        pytest.raises(DefinitionError, match=r'pip install "newel\[spec\]"'),
        contract_with(stand_in, connector),
    ):
        pass
    with contract_with(stand_in):
        pass


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda d: d["paths"].pop("/v1/me"), r"no me.get \(GET /v1/me\), which Desks names"),
        (
            lambda d: d["paths"]["/v1/accounts/{account}"].update(
                put=d["paths"]["/v1/accounts/{account}"].pop("patch")
            ),
            "has no accounts.update",
        ),
        (lambda d: d.update(openapi="2.0"), "cannot be read: .*no OpenAPI 3"),
    ],
)
def test_a_route_that_the_document_lacks_is_refused(written: Written, edit: Edit, told: str):
    """When the class is made, with the code and the remedy."""
    with pytest.raises(DefinitionError, match=told) as refused:
        written(edit)
    assert refused.value.code == "F709"


def test_a_document_that_is_not_there_is_refused(written: Written):
    """With its place, which is relative to the module."""
    with pytest.raises(DefinitionError, match=r"acme/other.json: no such file"):
        written(named='    spec_file = "other.json"\n')


def test_routes_of_further_hosts_are_not_the_documents(written: Written):
    """They need not be in it; and who extends a class is held to the document of that class."""
    connector, _ = written()
    elsewhere = Route("files.get", "GET", "/files", API, "files.example")
    made: type[HttpApi] = type("More", (connector,), {"routes": (*connector.routes, elsewhere)})
    assert made.specification() == connector.specification()
    assert made.specification() is not None


# A later document ------------------------------------------------------------------------------


def _accounts(document: dict[str, Any], method: str) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/v1/accounts"][method]
    return found


def _schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


LATER: list[tuple[Edit, list[tuple[str, str, str, str]]]] = [
    (
        lambda d: [
            _schema(d, "Account")["properties"].pop("floor"),  # which nobody reads
            _schema(d, "New")["properties"].pop("floor"),  # which nobody need send
            _accounts(d, "get").update(description="In other words."),
        ],
        [],
    ),
    (
        lambda d: d["paths"].pop("/v1/me"),
        [("BREAKING", "me.get", "", "operation removed")],
    ),
    (
        lambda d: _schema(d, "New")["required"].append("floor"),
        [("BREAKING", "accounts.create", "floor", "request field now required")],
    ),
    (
        lambda d: _schema(d, "New")["properties"].update(name={"type": "object"}),
        [
            (
                "BREAKING",
                "accounts.create",
                "name",
                "request field retyped: string is now object",
            )
        ],
    ),
    (
        lambda d: _schema(d, "Page")["properties"].pop("next"),
        [("BREAKING", "accounts.list", "next", "response field gone")],
    ),
    (
        lambda d: _accounts(d, "get").update(deprecated=True),
        [("WARN", "accounts.list", "", "now deprecated")],
    ),
]


@pytest.mark.parametrize(("edit", "expected"), LATER)
def test_a_later_document_is_compared_with_the_one_that_is_named(
    written: Written,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    edit: Edit,
    expected: list[tuple[str, str, str, str]],
) -> None:
    """`newel contracts check` finds what concerns the project's own connectors, and only that."""
    written()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(
        "from acme.desks import Desks\nfrom newel import SecretRef\n"
        'desks = Desks(token=SecretRef("env:DESKS_TOKEN"))\n',
        "utf-8",
    )
    (tmp_path / "newel.toml").write_text('systems = "own"\n', "utf-8")
    document = json.loads(DOCUMENT.read_text("utf-8"))
    edit(document)
    later = tmp_path / "desks-2.json"
    later.write_text(json.dumps(document), "utf-8")
    status = answered(["contracts", "check", "--against", str(later), "--json"])
    told = json.loads(capsys.readouterr().out)
    found = [(e["level"], e["operation"], e["field"], e["what"]) for e in told["differences"]]
    assert found == expected
    assert {each["system"] for each in told["differences"]} <= {"desks"}
    assert status == int(any(each[0] == "BREAKING" for each in expected))
