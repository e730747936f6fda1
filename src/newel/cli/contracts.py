"""`newel contracts`: what newel relies on in other systems, and what a new document changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from newel.base.errors import InvalidInput
from newel.cli.output import columns, say, say_json
from newel.cli.parameters import AsJson

if TYPE_CHECKING:
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
    is refused.
    """
    from newel.connectors.contracts.comparing import successors
    from newel.connectors.contracts.documents import opened

    before = {each.name: each for each in map(opened, _files(old))} if old is not None else {}
    found: list[Difference] = []
    new: list[str] = []
    for file in _files(against):
        document = opened(file)
        only = next(iter(before.values())) if len(before) == 1 else None
        earlier = before.get(document.name) or only
        differences = _differences(document, earlier)
        found += differences
        new += successors(differences, earlier, document) if earlier is not None else []
    status = BREAKS if any(each.level == "BREAKING" for each in found) else UNCHANGED
    if as_json:
        differing = [asdict(each) for each in found]
        say_json({"status": status, "differences": differing, "new": new})
        return status
    say(_told(found, new))
    return status


def _differences(document: Document, old: Document | None) -> list[Difference]:
    """Compare with every system that the document is about; there must be one."""
    from newel.connectors.contracts.agreed import contract, systems
    from newel.connectors.contracts.comparing import compared

    own = [contract(name) for name in systems()]
    about = [each for each in own if any(document.is_about(each, name) for name in each.documents)]
    if not about:
        raise InvalidInput(
            {"against": f"{document.name} describes no system that newel has a contract with"}
        )
    return [found for each in about for found in compared(each, document, old)]


def _files(place: Path) -> list[Path]:
    """Give the documents of a directory, sorted, or the one file."""
    if not place.is_dir():
        return [place]
    found = sorted(place.glob("*.json"))
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
