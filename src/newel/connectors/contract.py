"""Shapes: the fields of an answer that a connector reads, and drift seen before it does harm.

A shape is a frozen dataclass with exactly the fields that are read. An answer that lacks or
retypes one of them is `ContractDrift` before anything is done with it; fields nobody reads may
come and go. Names of the vendor are given with `named("primaryEmail")`.
Source: connectors document, §10, detector (a).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import make_dataclass
from typing import Any, Generic, TypeVar, cast

from pydantic import Field, TypeAdapter, ValidationError

from newel.base.errors import ContractDrift
from newel.connectors.answers import Answer, unanswered
from newel.connectors.contracts.schemas import Field as Described
from newel.connectors.contracts.schemas import Schemas

__all__ = ["Shape", "named"]

T = TypeVar("T")


def named(vendor_name: str) -> Any:  # Any: pydantic's field marker is for annotations
    """Say under which name the vendor sends a field, inside `Annotated[str, …]`."""
    return Field(alias=vendor_name)


class Shape(Generic[T]):
    """Reads one kind of answer, strictly: text is not taken for a number."""

    def __init__(self, kind: type[T], *, at: str = "") -> None:
        """Make it for a kind.

        at: where in the answer it stands, as names by dots, if it is wrapped: `data.issue`.
        """
        self._path = at.split(".") if at else []
        self._adapter: TypeAdapter[Any] = TypeAdapter(_wrapped(kind, self._path))

    def fields(self) -> Mapping[str, Described]:
        """Give the fields that are read, by their paths, as the decoder itself has them."""
        schema = self._adapter.json_schema(mode="validation")
        return Schemas(schema).leaves(schema)

    def read(self, answer: Answer) -> T:
        """Give the fields of an answer.

        Raises ContractDrift naming the field; for an answer that is no JSON at all, what a lost
        answer raises.
        """
        try:
            found = self._adapter.validate_json(answer.body, strict=True)
        except ValidationError as wrong:
            raise _drift(wrong, answer) from None
        for name in self._path:
            found = getattr(found, name)
        return cast("T", found)  # what `_wrapped` has put inside


def _wrapped(kind: Any, path: Sequence[str]) -> Any:  # Any: a type made while the program runs
    """Give the kind of an answer that holds such a thing at this place."""
    for name in reversed(path):
        kind = make_dataclass(f"With_{name}", [(name, kind)], frozen=True)
    return kind


def _drift(wrong: ValidationError, answer: Answer) -> Exception:
    """Say what differs, by field and type; values stay out, because they may be personal."""
    first = wrong.errors(include_input=True, include_url=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return unanswered(answer.route, "The answer cannot be read", status=answer.status)
    field = ".".join(str(part) for part in first["loc"]) or "the answer"
    seen = "absent" if first["type"] == "missing" else type(first["input"]).__name__
    return ContractDrift(
        f"The answer to {answer.route.operation} no longer has the agreed shape: `{field}`",
        operation=answer.route.operation,
        status=answer.status,
        expected=f"{field}: {first['type']}",
        seen=f"{field}: {seen}",
    )
