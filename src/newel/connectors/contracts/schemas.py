"""Fields in JSON schemas: those a shape reads, and what a vendor's document says of a field.

A field is named by its path: `user.id`, `[].login` for a field of every entry of a list. One
reader serves both sides, the schema that our own typed decoder gives and the vendor's.
Source: JSON Schema 2020-12, OpenAPI 3.0 and 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Field", "Schemas", "joined"]

Schema = Mapping[str, Any]  # Any: JSON of a document that others have written

ENTRY: Final = "[]"
_DEEPEST: Final = 8
_CHOICES: Final = ("allOf", "oneOf", "anyOf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What is said of a field: its JSON types (none: anything goes), and its values, if listed."""

    types: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


def joined(path: str, name: str) -> str:
    """Give the path of a field one level down."""
    return f"{path}.{name}" if path else name


class Schemas:
    """The schemas of one document, whose references are followed within it."""

    def __init__(self, document: Schema) -> None:
        """Take the whole document."""
        self._document = document

    def leaves(self, schema: Schema) -> dict[str, Field]:
        """Give all fields that a schema names, objects and lists by what is in them."""
        return dict(self._leaves(schema, "", 0))

    def field(self, schema: Schema, path: str) -> Field | None:
        """Say what a schema says of a field; None if it neither names it nor admits others."""
        found = [schema]
        for name in path.split("."):
            found = [inner for each in found for inner in self._inside(each, name)]
        if not found:
            return None
        return self._said([each for one in found for each in self._choices(one)])

    def required(self, schema: Schema, within: frozenset[str]) -> frozenset[str]:
        """Give the fields that must be there, at the top and in the objects `within`."""
        return frozenset(self._required(schema, "", within))

    def resolved(self, schema: Schema) -> Schema:
        """Follow references to where something is said; an empty schema if that is nowhere."""
        for _ in range(_DEEPEST):
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            found: Any = self._document  # Any: JSON
            for part in reference.removeprefix("#/").split("/"):
                name = part.replace("~1", "/").replace("~0", "~")
                found = found.get(name, {}) if isinstance(found, Mapping) else {}
            schema = found if isinstance(found, Mapping) else {}
        return {}

    def _leaves(self, schema: Schema, path: str, depth: int) -> Iterator[tuple[str, Field]]:
        parts = self._choices(schema)
        inner = [
            (joined(path, name), each)
            for part in parts
            for name, each in dict(part.get("properties") or {}).items()
        ]
        inner += [(joined(path, ENTRY), part["items"]) for part in parts if part.get("items")]
        if depth < _DEEPEST:
            for below, each in inner:
                yield from self._leaves(each, below, depth + 1)
        if not inner and path:
            yield path, self._said(parts)

    def _choices(self, schema: Schema, depth: int = 0) -> list[Schema]:
        """Give the alternatives of a schema, and its parts, each without choices of its own."""
        here = self.resolved(schema)
        if depth > _DEEPEST:
            return [here]
        further = [each for name in _CHOICES for each in here.get(name) or ()]
        own = {name: value for name, value in here.items() if name not in _CHOICES}
        says = {"type", "properties", "items", "enum", "const", "additionalProperties"} & set(own)
        found = [inner for each in further for inner in self._choices(each, depth + 1)]
        return [own, *found] if says or not further else found

    def _inside(self, schema: Schema, name: str) -> Iterator[Schema]:
        parts = self._choices(schema)
        has_names = any(part.get("properties") for part in parts)
        for part in parts:
            if name == ENTRY:
                if _may_be(part, "array") and (part.get("items") or not has_names):
                    yield part.get("items") or {}
                continue
            named = part.get("properties") or {}
            further = part.get("additionalProperties")
            if name in named:
                yield named[name]
            elif isinstance(further, Mapping):
                yield further
            elif not has_names and _may_be(part, "object") and further is not False:
                yield {}

    def _required(self, schema: Schema, path: str, within: frozenset[str]) -> Iterator[str]:
        here = self.resolved(schema)
        for each in here.get("allOf") or ():
            yield from self._required(each, path, within)
        yield from (joined(path, name) for name in here.get("required") or ())
        for name, each in dict(here.get("properties") or {}).items():
            if (below := joined(path, name)) in within:
                yield from self._required(each, below, within)

    def _said(self, parts: list[Schema]) -> Field:
        types = {name for part in parts for name in _types(part)}
        if not all(_types(part) for part in parts):
            types = set()  # "anything" beside something narrower is anything
        listed = [part.get("enum") or _constant(part) for part in parts if _types(part) != {"null"}]
        values = {str(value) for each in listed for value in each if value is not None}
        is_closed = bool(listed) and all(listed)
        return Field(types=tuple(sorted(types)), values=tuple(sorted(values)) if is_closed else ())


def _types(part: Schema) -> set[str]:
    stated = part.get("type")
    types: set[str] = {stated} if isinstance(stated, str) else set(stated or ())
    if not types and part.get("properties"):
        types = {"object"}
    if not types and (part.get("enum") or "const" in part):
        types = {"string"}
    return types | {"null"} if part.get("nullable") and types else types


def _constant(part: Schema) -> tuple[object, ...]:
    return (part["const"],) if "const" in part else ()


def _may_be(part: Schema, kind: str) -> bool:
    types = _types(part)
    return not types or kind in types
