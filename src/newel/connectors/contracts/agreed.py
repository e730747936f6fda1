"""Contracts: per system, which operations are called, what is sent to them, what is read.

The files beside this module are written by `scripts/contracts.py` from what the connectors do in
their own tests: the fields sent as they are sent, the fields read as the typed decoder has them.
Nobody maintains them by hand. With each operation stands what the vendor's document said of
exactly these fields, so that a later document can be compared without the earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import orjson
from pydantic import TypeAdapter

from newel.connectors.contracts.schemas import Field

__all__ = ["Agreed", "Contract", "Described", "contract", "systems", "written", "written_json"]

_HERE: Final = files("newel.connectors.contracts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a document says of an operation, as far as it concerns us.

    required: request fields without which it refuses. sends, reads: of our fields, those that
    the document names. statuses: as the document writes them, `2XX` and `default` among them.
    """

    is_deprecated: bool = False
    required: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    sends: Mapping[str, Field] = field(default_factory=dict)
    reads: Mapping[str, Field] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """One operation as we use it.

    sends: fields of body and query, and whether always or only sometimes. reads: fields of the
    answer. document: the vendor's document that describes it, as its
    file is called; "" if none does.
    """

    method: str
    path: str
    sends: Mapping[str, Literal["always", "sometimes"]]
    reads: Mapping[str, Field]
    document: str = ""
    described: Described | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What newel relies on in one system; operations by the vendor's own ids."""

    system: str
    operations: Mapping[str, Agreed]

    @property
    def documents(self) -> tuple[str, ...]:
        """The documents that describe its operations, sorted."""
        return tuple(sorted({each.document for each in self.operations.values()} - {""}))


_CONTRACTS: Final = TypeAdapter(Contract)


@cache
def systems() -> tuple[str, ...]:
    """Give the systems there are contracts with, sorted."""
    names = (each.name for each in _HERE.iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


@cache
def contract(system: str) -> Contract:
    """Read the contract with a system; one of `systems()`."""
    return _CONTRACTS.validate_json((_HERE / f"{system}.json").read_bytes())


def written(agreed: Contract) -> bytes:
    """Write a contract as its file has it: sorted, so that a change shows as what it is."""
    return written_json(_CONTRACTS.dump_python(agreed, mode="json"))


def written_json(document: Mapping[str, object]) -> bytes:
    """Write what is checked in: sorted and indented."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(document, option=options)


def parents(names: Iterable[str]) -> frozenset[str]:
    """Give the objects that fields lie in: `user` of `user.id`."""
    found = set()
    for name in names:
        parts = name.split(".")
        found |= {".".join(parts[:depth]) for depth in range(1, len(parts))}
    return frozenset(found)
