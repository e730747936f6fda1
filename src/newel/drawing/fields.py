"""Fields of an input or a form as rows for people: name, type in words, whether it is required."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from newel.drawing.data import class_of, kinds_of
from newel.flow.process import Process

__all__ = ["Field", "fields_of", "of_input"]

Schema = Mapping[str, Any]  # Any: JSON

_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes or no",
    "null": "nothing",
    "object": "record",
    "array": "list",
    "date-time": "moment",
    "date": "date",
    "time": "time of day",
    "duration": "span",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. type: in words. is_required: whether it must be given. kind: its class of data."""

    name: str
    type: str
    is_required: bool
    kind: str = ""


def of_input(process: Process[..., Any]) -> tuple[Field, ...]:  # Any: it has its own result
    """The fields of all parameters of a process, as `parameter.field`, in order."""
    found: list[Field] = []
    kinds = kinds_of(process)
    for name, codec in process.parameters.items():
        schema = codec.json_schema()
        inside = list(fields_of(schema, f"{name}."))
        found += inside or [Field(name=name, type=_type(schema), is_required=True)]
    return tuple(replace(each, kind=class_of(kinds, each.name)) for each in found)


def fields_of(schema: Schema, prefix: str = "") -> Iterator[Field]:
    """The fields of a record; none for anything else."""
    schema = _target(schema, schema)
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        yield Field(name=prefix + name, type=_type(each), is_required=name in required)


def _target(schema: Schema, whole: Schema) -> Schema:
    """What a schema that only points to a definition points to."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Schema = whole.get("$defs", {}).get(name, schema)
    return found


def _type(schema: Schema) -> str:
    """A type in words; a record by its name."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return "one of " + ", ".join(str(each) for each in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_type(schema['items'])}"
    known = str(schema.get("format") or schema.get("type") or "anything")
    return _WORDS.get(known, _WORDS.get(str(schema.get("type")), known))
