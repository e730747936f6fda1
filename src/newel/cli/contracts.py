"""`newel contracts`: what newel relies on in other systems, and what a new document changes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from newel.base.errors import InvalidInput, StepError
from newel.cli.output import columns, say, say_json
from newel.cli.parameters import AsJson

if TYPE_CHECKING:
    from newel.connectors.base import Connector
    from newel.connectors.contracts.agreed import Contract
    from newel.connectors.contracts.comparing import Difference
    from newel.connectors.contracts.documents import Document

__all__ = ["contracts"]

contracts: Final = App(
    name="contracts", help="Say what is relied on in other systems, and what changes of it."
)

UNCHANGED: Final = 0
BREAKS: Final = 1

_Against = Annotated[
    Path, Parameter(help="The vendor's new OpenAPI document, or a directory of such documents.")
]
_Old = Annotated[
    Path | None, Parameter(help="The documents before, instead of what newel has noted of them.")
]


@contracts.default
def listed(*, as_json: AsJson = False) -> None:
    """List the systems: how many operations are called, and which document describes them."""
    from newel.connectors.contracts.agreed import contract, systems

    found = [contract(name) for name in systems()]
    if as_json:
        return say_json({"contracts": [asdict(each) for each in found]})
    rows = [
        (
            each.system,
            str(len(each.operations)),
            str(sum(one.described is not None for one in each.operations.values())),
            ", ".join(each.documents) or "-",
        )
        for each in found
    ]
    return say(columns(("SYSTEM", "OPERATIONS", "DESCRIBED", "DOCUMENTS"), rows))


@contracts.command
def check(
    *, against: _Against = Path("contracts"), old: _Old = None, as_json: AsJson = False
) -> int:
    """Compare what newel sends and reads with new documents of the vendors; asks nobody.

    The status is 1 if something breaks, else 0. A document that describes no system of newel's
    is refused; in a directory it is named and left out. Connectors of the project that name a
    document (`spec_file`) are compared with it.
    """
    from newel.connectors.contracts.comparing import successors
    from newel.connectors.contracts.documents import opened

    named = _named_documents()
    before = {each.name: each for each in map(opened, _files(old))} if old is not None else {}
    found: list[Difference] = []
    new: list[str] = []
    left_out: list[str] = []
    for file in _files(against):
        only = next(iter(before.values())) if len(before) == 1 else None
        try:
            document = opened(file)
            earlier = before.get(document.name) or only
            differences = _differences(document, earlier, [each for each, _ in named])
        except InvalidInput as refused:
            if not against.is_dir():
                raise
            left_out += refused.fields.values()
            continue
        found += differences
        old_ones = [earlier] if earlier is not None else [each for _, each in named]
        new += [each for one in old_ones for each in successors(differences, one, document)]
    if against.is_dir() and len(left_out) == len(_files(against)):
        raise InvalidInput({"against": "; ".join(left_out)})
    status = BREAKS if any(each.level == "BREAKING" for each in found) else UNCHANGED
    if as_json:
        differing = [asdict(each) for each in found]
        say_json({"status": status, "differences": differing, "new": new, "left_out": left_out})
        return status
    say(_told(found, new))
    for each in left_out:
        say(f"Left out: {each}.")
    return status


@contracts.command
def probe(
    *, system: Annotated[str, Parameter(help="This one alone.")] = "", as_json: AsJson = False
) -> int:
    """Ask the systems of the project whether they still answer as agreed; reads only.

    What newel asks by itself every night, without opening an incident. The status is 1 if one does
    not answer as agreed, else 0.
    """
    from newel.base.settings import load_settings
    from newel.cli.project import load_project

    asked = [each for each in load_project(load_settings()).connectors if system in ("", each.name)]
    if not asked:
        what = f"there is no `{system}`" if system else "the project has no systems"
        raise InvalidInput({"system": what})
    answers = asyncio.run(_asked(sorted(asked, key=lambda each: each.name)))
    status = UNCHANGED if all(each["as_agreed"] for each in answers) else BREAKS
    if as_json:
        say_json({"status": status, "systems": answers})
        return status
    rows = [
        (each["system"], "yes" if each["as_agreed"] else each["failure"], each["told"] or "-")
        for each in answers
    ]
    say(columns(("SYSTEM", "AS AGREED", "WHAT"), rows))
    return status


@contracts.command
def facts(
    *, system: Annotated[str, Parameter(help="This one alone.")] = "", as_json: AsJson = False
) -> None:
    """List what is believed of the systems: whether a tenant has shown it, or a stand-in alone."""
    from newel.connectors.contracts.facts import FACTS

    rows = _facts_of([system] if system else sorted(FACTS))
    if as_json:
        return say_json({"facts": rows})
    table = [
        (each["system"], each["fact"], each["holds"], each["tenant"] or "-", each["text"])
        for each in rows
    ]
    return say(columns(("SYSTEM", "FACT", "HOLDS", "TENANT", "WHAT"), table))


@contracts.command
def verify(
    system: Annotated[str, Parameter(help="A connector of the project, or a system's name.")],
    /,
    *,
    tenant: Annotated[str, Parameter(help="What the tenant is called in the record.")],
    answers: Annotated[
        Path | None, Parameter(help="JSON of facts, each `yes`, `no` or `unknown`.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Ask a tenant, and you, whether what newel believes of its system is so; reads only.

    What can be read is asked of the system, if the project has a connector to it, the rest of you,
    at a terminal or by `--answers`. The result is kept in `contracts/SYSTEM.json`. The status is
    1 if something is not as believed, else 0.
    """
    from newel.base.clock import SystemClock
    from newel.base.settings import load_settings
    from newel.cli.facts import asked, checked_tenant, given_answers, kept, record_of, said
    from newel.connectors.contracts.agreed import written_json
    from newel.connectors.contracts.facts import FACTS

    settings = load_settings()
    connector, kind = _known(system)
    name, given = checked_tenant(tenant), given_answers(answers, kind) if answers else {}
    file = settings.project / "contracts" / f"{kind}.json"
    before = record_of(file, kind)
    found = asyncio.run(asked(connector, FACTS[kind])) if connector is not None else {}
    for fact in FACTS[kind]:
        if fact.name in given:
            found[fact.name] = said(given[fact.name])
        elif fact.name not in found:
            found[fact.name] = said(_asked_of_a_person(fact.text))
    record = kept(before, found, name, SystemClock().now().date())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(written_json(record.model_dump(mode="json")))
    status = BREAKS if any(holds == "no" for holds, _ in found.values()) else UNCHANGED
    if as_json:
        seen = {each: {"holds": holds, "seen": how} for each, (holds, how) in found.items()}
        say_json({"status": status, "system": kind, "tenant": name, "facts": seen})
        return status
    rows = [
        (fact.name, found[fact.name][0], found[fact.name][1], fact.text) for fact in FACTS[kind]
    ]
    say(columns(("FACT", "HOLDS", "SEEN", "WHAT"), rows))
    say(f"Kept in {file}.")
    return status


def _asked_of_a_person(text: str) -> Literal["yes", "no", "unknown"]:
    """Ask at the terminal; without one nobody has said."""
    if not sys.stdin.isatty():
        return "unknown"
    match input(f"{text} [yes/no/unknown] ").strip().lower():
        case "yes" | "y":
            return "yes"
        case "no" | "n":
            return "no"
        case _:
            return "unknown"


def _known(system: str) -> tuple[Connector | None, str]:
    """Find the project's connector of that name or kind, and whose facts it is about."""
    from newel.base.settings import load_settings
    from newel.cli.project import load_project
    from newel.connectors.contracts.facts import FACTS, known_as

    settings = load_settings()
    connectors = load_project(settings).connectors if settings.systems is not None else ()
    for each in connectors:
        kind = known_as(type(each))
        if kind is not None and system in (each.name, kind):
            return each, kind
    if system in FACTS:
        return None, system
    raise InvalidInput({"system": f"nothing is to be confirmed of `{system}`"})


def _facts_of(systems: Sequence[str]) -> list[dict[str, str]]:
    """Give every fact of systems as rows, with what the project's records say of it."""
    from newel.base.settings import load_settings
    from newel.cli.facts import record_of
    from newel.connectors.contracts.facts import FACTS

    rows = []
    for system in systems:
        if system not in FACTS:
            raise InvalidInput({"system": f"nothing is to be confirmed of `{system}`"})
        file = load_settings().project / "contracts" / f"{system}.json"
        recorded = record_of(file, system).facts
        for fact in FACTS[system]:
            found = recorded.get(fact.name)
            told = {"holds": "open", "seen": "simulated only", "date": "", "tenant": ""}
            if found is not None:
                told = found.model_dump(mode="json")
            rows.append({"system": system, "fact": fact.name, "text": fact.text, **told})
    return rows


async def _asked(connectors: Sequence[Connector]) -> list[dict[str, Any]]:
    """Ask one system after the other; what it says of itself, or how it failed."""
    answers: list[dict[str, Any]] = []
    for each in connectors:
        told: dict[str, Any] = {"system": each.name, "as_agreed": True, "failure": ""}
        try:
            found = await each.examine()
        except StepError as failure:
            told |= {"as_agreed": False, "failure": failure.failure_class, "told": str(failure)}
        else:
            told["told"] = " ".join([found.identity, *found.notes]).strip()
        finally:
            await each.aclose()
        answers.append(told)
    return answers


def _differences(
    document: Document, old: Document | None, named: Sequence[Contract]
) -> list[Difference]:
    """Compare with every system that the document is about; there must be one."""
    from newel.connectors.contracts.agreed import contract, systems
    from newel.connectors.contracts.comparing import compared

    own = [*(contract(name) for name in systems()), *named]
    about = [each for each in own if any(document.is_about(each, name) for name in each.documents)]
    if not about:
        raise InvalidInput(
            {"against": f"{document.name} describes no system that newel has a contract with"}
        )
    return [found for each in about for found in compared(each, document, old)]


def _named_documents() -> list[tuple[Contract, Document]]:
    """Give what the project's own connectors rely on, each with the document that it names."""
    from newel.base.settings import load_settings

    settings = load_settings()
    if settings.systems is None:
        return []
    from newel.cli.project import load_project
    from newel.connectors.contracts.documents import opened
    from newel.connectors.contracts.own import own_contract, read_by
    from newel.connectors.generic import HttpApi

    found = []
    for each in load_project(settings).connectors:
        if isinstance(each, HttpApi) and (file := each.specification()) is not None:
            document = opened(file)
            agreed = own_contract(each.name, document, each.routes, read_by(type(each)))
            found.append((agreed, document))
    return found


def _files(place: Path) -> list[Path]:
    """Give the documents of a directory, sorted, or the one file."""
    if not place.is_dir():
        return [place]
    from newel.cli.facts import is_record

    found = sorted(file for file in place.glob("*.json") if not is_record(file))
    if not found:
        raise InvalidInput({"against": f"{place} has no document"})
    return found


def _told(found: Sequence[Difference], new: Sequence[str]) -> str:
    lines = []
    if found:
        rows = [
            (each.level, each.system, each.operation, each.field or "-", each.what)
            for each in found
        ]
        lines.append(columns(("LEVEL", "SYSTEM", "OPERATION", "FIELD", "WHAT"), rows))
    lines += [f"New beside it: {each}" for each in new]
    breaking = sum(each.level == "BREAKING" for each in found)
    warned = sum(each.level == "WARN" for each in found)
    lines.append(
        f"{breaking} breaking, {warned} warnings." if found else "Nothing that is used has changed."
    )
    return "\n".join(lines)
