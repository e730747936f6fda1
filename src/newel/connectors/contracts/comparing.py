"""What a new document of a vendor changes for us: findings, by operation and field; pure.

    BREAKING   calls fail, or answers are no longer understood, once the vendor does this
    WARN       announced, or something we send without effect from then on
    INFO       nothing to do

Only operations in use count, and of those only the fields that are sent or read: a vendor may
add, describe and reorder as it likes without a finding.
Source: connectors document, §10, detector (b).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from newel.connectors.contracts.agreed import Agreed, Contract, Described
from newel.connectors.contracts.documents import Document
from newel.connectors.contracts.schemas import Field

__all__ = ["Difference", "compared", "successors"]

Level = Literal["BREAKING", "WARN", "INFO"]

_ORDER: Final = ("BREAKING", "WARN", "INFO")
_WIDER: Final = {"number": {"integer"}}
_SAME_PLACE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One finding; field: "" where the whole operation is meant."""

    level: Level
    system: str
    operation: str
    field: str
    what: str


def compared(contract: Contract, new: Document, old: Document | None = None) -> list[Difference]:
    """Compare what we use of a system with a new document; the worst first.

    old: the document before, instead of what the contract keeps of it. Operations that no
    earlier document described are left out, as the new one cannot have changed them.
    """
    found = []
    about = {name for name in contract.documents if new.is_about(contract, name)}
    for name, agreed in contract.operations.items():
        before = agreed.described if old is None else old.described(name, agreed)
        if before is None or agreed.document not in about:
            continue
        for level, field, what in _differences(agreed, before, new.described(name, agreed)):
            found.append(
                Difference(
                    level=level, system=contract.system, operation=name, field=field, what=what
                )
            )
    return sorted(found, key=lambda each: (_ORDER.index(each.level), each.operation, each.field))


def successors(differences: Sequence[Difference], old: Document, new: Document) -> list[str]:
    """Name the operations that are new where one we use is going, as `METHOD /path`."""
    ending = {each.operation for each in differences if not each.field and each.level != "INFO"}
    near = {
        _near(path)
        for (_, path), operation in old.by_place.items()
        if any(old.by_id.get(name) is operation for name in ending)
    }
    added = set(new.by_place) - set(old.by_place)
    return sorted(f"{method} {path}" for method, path in added if _near(path) in near)


def _differences(
    agreed: Agreed, before: Described, after: Described | None
) -> Iterator[tuple[Level, str, str]]:
    if after is None:
        yield "BREAKING", "", "operation removed"
        return
    if after.is_deprecated and not before.is_deprecated:
        yield "WARN", "", "now deprecated"
    for name in sorted(set(after.required) - set(before.required)):
        if agreed.sends.get(name) != "always":
            yield "BREAKING", name, "request field now required"
    for name, said in before.sends.items():
        yield from _sent(name, said, after.sends.get(name))
    for name, said in before.reads.items():
        yield from _read(name, agreed.reads.get(name), said, after.reads.get(name))
    for status in sorted(set(before.statuses) - set(after.statuses)):
        yield "WARN", "", f"status {status} gone"
    for status in sorted(set(after.statuses) - set(before.statuses)):
        yield "INFO", "", f"new status {status}"


def _sent(name: str, before: Field, after: Field | None) -> Iterator[tuple[Level, str, str]]:
    if after is None:
        yield "WARN", name, "request field gone"
    elif gone := _gone(before, after):
        yield "BREAKING", name, f"enum value removed: {', '.join(gone)}"
    elif before.types and after.types and not _covers(after, before):
        what = f"request field retyped: {_types(before)} is now {_types(after)}"
        yield "BREAKING", name, what


def _read(
    name: str, ours: Field | None, before: Field, after: Field | None
) -> Iterator[tuple[Level, str, str]]:
    if after is None:
        yield "BREAKING", name, "response field gone"
        return
    understood = Field(types=(*before.types, *(ours.types if ours else ())))
    if before.types and after.types and not _covers(understood, after):
        what = f"response field retyped: {_types(before)} is now {_types(after)}"
        yield "BREAKING", name, what
    known = set(ours.values) if ours else set()
    if gone := [value for value in _gone(before, after) if not known or value in known]:
        yield "BREAKING", name, f"enum value removed: {', '.join(gone)}"
    if known and (added := sorted(set(after.values) - set(before.values) - known)):
        yield "BREAKING", name, f"enum value added that is not understood: {', '.join(added)}"


def _gone(before: Field, after: Field) -> list[str]:
    return sorted(set(before.values) - set(after.values)) if after.values else []


def _covers(wide: Field, narrow: Field) -> bool:
    """Whether every type of one is among those of the other; a whole number is a number."""
    types = set(wide.types)
    for name in wide.types:
        types |= _WIDER.get(name, set())
    return set(narrow.types) <= types


def _types(field: Field) -> str:
    return " or ".join(field.types)


def _near(path: str) -> str:
    return "/".join(path.split("/")[:_SAME_PLACE])
