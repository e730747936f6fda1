"""A vendor's OpenAPI document, read for the operations that we use and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from newel.base.errors import InvalidInput
from newel.connectors.contracts.agreed import Agreed, Contract, Described, parents
from newel.connectors.contracts.schemas import Field, Schema, Schemas

__all__ = ["Document", "opened"]

_METHODS: Final = frozenset({"get", "put", "post", "patch", "delete"})
_VARIABLE: Final = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True)
class Document:
    """One document: its name, and its operations by id and by method and path.

    name: what its file is called, up to the first dot.
    """

    name: str
    schemas: Schemas
    by_id: Mapping[str, Schema]
    by_place: Mapping[tuple[str, str], Schema]

    def operation(self, name: str, agreed: Agreed) -> Schema | None:
        """Find an operation: by the vendor's id for it, else by method and path."""
        method, path = agreed.method, _VARIABLE.sub("{}", agreed.path)
        found = self.by_id.get(name)
        if found is not None and any(
            place[0] == method and _same(place[1], path)
            for place, each in self.by_place.items()
            if each is found
        ):
            return found
        return next(
            (
                each
                for place, each in self.by_place.items()
                if place[0] == method and _same(place[1], path)
            ),
            None,
        )

    def is_about(self, contract: Contract, name: str) -> bool:
        """Whether it succeeds the document of that name, in which a contract's operations stand.

        It does if it has that name, or most of those operations.
        """
        if self.name == name:
            return True
        listed = [each for each in contract.operations.items() if each[1].document == name]
        there = sum(self.operation(*each) is not None for each in listed)
        return 2 * there > len(listed)

    def described(self, name: str, agreed: Agreed) -> Described | None:
        """Say what the document says of an operation and our fields; None if it has none such."""
        operation = self.operation(name, agreed)
        if operation is None:
            return None
        bodies = list(self._request(operation))
        parameters = self._parameters(operation)
        answers = list(self._answers(operation))
        required = {name for name, each in parameters.items() if each.get("required")}
        for body in bodies[:1]:
            required |= self.schemas.required(body, parents(agreed.sends))
        sends = {
            each: said
            for each in agreed.sends
            if (said := self._sent(bodies, parameters, each)) is not None
        }
        reads = {
            each: said for each in agreed.reads if (said := self._read(answers, each)) is not None
        }
        return Described(
            is_deprecated=bool(operation.get("deprecated")),
            required=tuple(sorted(required)),
            statuses=tuple(sorted(map(str, operation.get("responses") or {}))),
            sends=sends,
            reads=reads,
        )

    def _sent(
        self, bodies: list[Schema], parameters: Mapping[str, Schema], name: str
    ) -> Field | None:
        if name in parameters:
            stated = parameters[name].get("schema")
            return self.schemas.field({"properties": {"it": stated or {}}}, "it")
        found = (self.schemas.field(body, name) for body in bodies)
        return next((each for each in found if each is not None), None)

    def _read(self, answers: list[Schema], name: str) -> Field | None:
        found = [self.schemas.field(answer, name) for answer in answers]
        said = [each for each in found if each is not None]
        if not said:
            return None
        types = {kind for each in said for kind in each.types}
        values = {value for each in said for value in each.values}
        return Field(
            types=tuple(sorted(types)) if all(each.types for each in said) else (),
            values=tuple(sorted(values)) if all(each.values for each in said) else (),
        )

    def _request(self, operation: Schema) -> Iterator[Schema]:
        body = self.schemas.resolved(operation.get("requestBody") or {})
        for content in dict(body.get("content") or {}).values():
            yield content.get("schema") or {}

    def _parameters(self, operation: Schema) -> dict[str, Schema]:
        listed = [self.schemas.resolved(each) for each in operation.get("parameters") or ()]
        return {each["name"]: each for each in listed if each.get("in") == "query"}

    def _answers(self, operation: Schema) -> Iterator[Schema]:
        for status, response in dict(operation.get("responses") or {}).items():
            if str(status).startswith("2"):
                content = self.schemas.resolved(response).get("content") or {}
                for each in dict(content).values():
                    if each.get("schema"):
                        yield each["schema"]


def opened(file: Path) -> Document:
    """Read a document.

    Raises InvalidInput for what cannot be read and for what is no OpenAPI 3 document in JSON.
    """
    try:
        document: Any = orjson.loads(file.read_bytes())  # Any: JSON of a vendor
    except OSError as missing:
        why = (missing.strerror or "cannot be read").lower()
        raise InvalidInput({"against": f"{file}: {why}"}) from None
    except orjson.JSONDecodeError:
        raise InvalidInput({"against": f"{file} is no JSON"}) from None
    stated = document.get("openapi") if isinstance(document, dict) else None
    if not isinstance(stated, str) or not stated.startswith("3."):
        raise InvalidInput({"against": f"{file} is no OpenAPI 3 document"})
    by_id: dict[str, Schema] = {}
    by_place: dict[tuple[str, str], Schema] = {}
    base = _base(document)
    for path, item in dict(document.get("paths") or {}).items():
        for method, operation in item.items():
            if method not in _METHODS:
                continue
            shared = list(item.get("parameters") or ())
            whole = {**operation, "parameters": [*shared, *(operation.get("parameters") or ())]}
            by_id[str(operation.get("operationId") or f"{method} {path}")] = whole
            by_place[method.upper(), _VARIABLE.sub("{}", base + path)] = whole
    return Document(file.name.partition(".")[0], Schemas(document), by_id, by_place)


def _base(document: Schema) -> str:
    servers = document.get("servers") or [{}]
    return urlsplit(str(servers[0].get("url") or "")).path.rstrip("/")


def _same(documented: str, ours: str) -> bool:
    """Compare paths; either may leave out what the address in front of it has."""
    return documented.endswith(ours) or ours.endswith(documented)
