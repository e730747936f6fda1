"""What a tenant shows of the facts that are believed of its vendor, and the record of it.

Only reads leave: what `check()` asks, and the first page of the listing. Of headers only their
names are written down, of failures only their class, of people nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from newel.base.errors import ContractDrift, InvalidInput, StepError
from newel.connectors.contracts.facts import FACTS, Fact, Holds, seen_in_headers
from newel.connectors.looking import looking

if TYPE_CHECKING:
    from newel.connectors.answers import Answer
    from newel.connectors.base import Connector

__all__ = [
    "Found",
    "Record",
    "asked",
    "checked_tenant",
    "given_answers",
    "is_record",
    "kept",
    "record_of",
    "said",
]

Said = Literal["yes", "no", "unknown"]

_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CLOSED: Final[Mapping[Said, Holds]] = {"yes": "yes", "no": "no", "unknown": "open"}


class Found(BaseModel):
    """What was found of one fact; seen: where it shows, without values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    holds: Holds
    seen: str
    date: date
    tenant: str


class Record(BaseModel):
    """What was found of a system, by the names of its facts."""

    model_config = ConfigDict(extra="forbid")

    system: str
    facts: dict[str, Found] = {}


def checked_tenant(name: str) -> str:
    """Give the name of a tenant; raises InvalidInput for what may be an address or a sentence."""
    if _TENANT.fullmatch(name):
        return name
    raise InvalidInput({"tenant": "letters, digits, `.`, `_` and `-`, and nothing of a person"})


def given_answers(file: Path, system: str) -> dict[str, Said]:
    """Read what a person says of facts: their names, each yes, no or unknown."""
    names = {fact.name for fact in FACTS[system]}
    try:
        stated: Any = orjson.loads(file.read_bytes())  # Any: JSON of a person
    except (OSError, orjson.JSONDecodeError):
        raise InvalidInput({"answers": f"{file} cannot be read as JSON"}) from None
    if not isinstance(stated, dict):
        raise InvalidInput({"answers": f"{file} is no object of names and answers"})
    if unknown := sorted(set(stated) - names):
        raise InvalidInput({"answers": f"{system} has no fact {', '.join(unknown)}"})
    if wrong := sorted(name for name, each in stated.items() if each not in _CLOSED):
        raise InvalidInput({"answers": f"{', '.join(wrong)}: yes, no or unknown"})
    return stated


async def asked(connector: Connector, facts: tuple[Fact, ...]) -> dict[str, tuple[Holds, str]]:
    """Ask a system what can be asked by reading, and say what its answers show."""
    failure = None
    with _noted(connector) as answers:
        try:
            with looking():
                await connector.check()
                await _first_of_the_listing(connector)
        except StepError as failed:
            failure = failed
        finally:
            await connector.aclose()
    found: dict[str, tuple[Holds, str]] = {}
    for fact in facts:
        if fact.headers:
            found[fact.name] = seen_in_headers(fact, answers)
        elif fact.by_check:
            found[fact.name] = _by_check(failure)
    return found


def _by_check(failure: StepError | None) -> tuple[Holds, str]:
    if failure is None:
        return "yes", "check() has read it"
    holds: Holds = "no" if isinstance(failure, ContractDrift) else "open"
    return holds, f"check() failed: {failure.failure_class}"


async def _first_of_the_listing(connector: Connector) -> None:
    if (listing := getattr(connector, "accounts", None)) is not None:
        async with aclosing(listing()) as found:
            await anext(found, None)


@contextmanager
def _noted(connector: Connector) -> Iterator[list[Answer]]:
    """Keep the answers that come while the block runs."""
    answers: list[Answer] = []
    service = connector.http.service

    def noting(answer: Answer) -> StepError | None:
        answers.append(answer)
        return service.judged(answer)

    connector.http.service = replace(service, judged=noting)
    try:
        yield answers
    finally:
        connector.http.service = service


def kept(record: Record, found: Mapping[str, tuple[Holds, str]], tenant: str, on: date) -> Record:
    """Add what was found; what stays open leaves an earlier answer as it is."""
    facts = dict(record.facts)
    for name, (holds, seen) in found.items():
        if holds != "open" or facts.get(name) is None:
            facts[name] = Found(holds=holds, seen=seen, date=on, tenant=tenant)
    return Record(system=record.system, facts=facts)


def record_of(file: Path, system: str) -> Record:
    """Read what was recorded; raises InvalidInput for another file in its place."""
    if not file.exists():
        return Record(system=system)
    try:
        found = Record.model_validate_json(file.read_bytes())
    except ValidationError:
        raise InvalidInput(
            {"record": f"{file} is something else; nothing is overwritten"}
        ) from None
    if found.system != system:
        raise InvalidInput({"record": f"{file} is about {found.system}, not {system}"})
    return found


def is_record(file: Path) -> bool:
    """Whether a file is such a record: they lie where documents of vendors may lie."""
    try:
        Record.model_validate_json(file.read_bytes())
    except ValidationError:
        return False
    return True


def said(answer: Said) -> tuple[Holds, str]:
    """Give what a person's answer makes of a fact."""
    return _CLOSED[answer], "nobody has said" if answer == "unknown" else "a person says so"
