"""Forms made from JSON Schema: fields to show, and posted data back into a document.

The document is validated by the same function as the API's, so a page cannot accept what the
API refuses. A field's name is its place in the document (`manager.email`); errors come back
under the same names. What has no control of its own is asked for as JSON.
Source: console document, §6.9.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import orjson
from starlette.datastructures import FormData

from newel.base.errors import InvalidInput

__all__ = [
    "Choice",
    "Field",
    "document_of",
    "fields_for",
    "fields_of",
    "filled",
    "labels_of",
    "name_in_form",
    "posted_from",
    "rest_of_errors",
    "value_of",
]

Kind = Literal[
    "text", "email", "url", "date", "datetime", "number", "checkbox", "radio", "select", "group",
    "list", "json",
]  # fmt: skip
Schema = Mapping[str, Any]  # Any: JSON Schema

_RADIO_MOST: Final = 4
_BLANK_ROWS: Final = 1
_NULL: Final = {"type": "null"}
_PERSON: Final = frozenset({"name", "email", "ref", "hr_key", "manager"})
_OF_OTHERS: Final = frozenset({"name", "email"})
_LABELS: Final = {
    "hr_key": "Employee number",
    "email": "Work e-mail",
    "name": "Name",
    "github_username": "GitHub user name",
}
_HINTS: Final = {"hr_key": "As the HR system has it. Leave empty if there is none."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of a choice, with its label."""

    value: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One control. name: its place in the document. value, values: what stands in it.

    fields: of a group. is_whole, is_decimal: of a number, how it is written in the document.
    """

    name: str
    label: str
    kind: Kind
    hint: str = ""
    is_required: bool = False
    value: str = ""
    values: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    fields: tuple[Field, ...] = ()
    error: str = ""
    is_whole: bool = False
    is_decimal: bool = False

    @property
    def anchor(self) -> str:
        """The id of its control on the page."""
        return f"field-{self.name.replace('.', '-')}"


def fields_of(schema: Schema) -> tuple[Field, ...]:
    """Make the fields of an object's schema, in its order."""
    return _members(schema, schema.get("$defs", {}), prefix="", depth=0)


def fields_for(schema: Schema | None) -> tuple[Field, ...]:
    """Make the fields of any value's schema: those of an object, or one that is the value."""
    if schema is None:
        return ()
    if not _is_wrapped(schema):
        return fields_of(schema)
    return fields_of({"properties": {VALUE: schema}, "required": [VALUE]})


def value_of(
    schema: Schema | None, fields: Sequence[Field], posted: FormData, zone: ZoneInfo
) -> object:
    """Make the value of what was posted under `fields_for`; None where nothing is asked."""
    if schema is None:
        return None
    document = document_of(fields, posted, zone)
    return document.get(VALUE) if _is_wrapped(schema) else document


def name_in_form(schema: Schema | None, name: str) -> str:
    """The field that an error is told at, by the place in the value that it names."""
    if schema is None or name in _OWN or not _is_wrapped(schema):
        return name
    return f"{VALUE}.{name}".rstrip(".")


def _is_wrapped(schema: Schema) -> bool:
    members: Schema = schema.get("properties", {})
    return not members or not _OWN.isdisjoint(members)


VALUE: Final = "value"
_OWN: Final = frozenset({"", "actor", "note", "comment", "zone", "more", "answer"})
"""Names of what a page of newel's own asks for beside the value."""


def _members(schema: Schema, known: Schema, *, prefix: str, depth: int) -> tuple[Field, ...]:
    members: Schema = schema.get("properties", {})
    needed = schema.get("required", ())
    is_person = set(members) >= _PERSON
    found: list[Field] = []
    for name, member in members.items():
        if is_person and (name == "ref" or (depth > 0 and name not in _OF_OTHERS)):
            continue
        found.append(
            _field(f"{prefix}{name}", name, member, known, is_required=name in needed, depth=depth)
        )
    return tuple(found)


def _field(
    place: str, name: str, schema: Schema, known: Schema, *, is_required: bool, depth: int
) -> Field:
    known = {**known, **schema.get("$defs", {})}
    resolved, is_optional = _resolved(schema, known)
    label = _label(name, schema)
    hint = str(schema.get("description") or _HINTS.get(name, ""))
    base = Field(
        name=place, label=label, kind="text", hint=hint, is_required=is_required and not is_optional
    )
    if "properties" in resolved:
        inner = _members(resolved, known, prefix=f"{place}.", depth=depth + 1)
        return replace(base, kind="group", fields=inner)
    if choices := _choices(resolved):
        kind: Kind = "radio" if len(choices) <= _RADIO_MOST else "select"
        return replace(base, kind=kind, choices=choices, value=_default(schema))
    return _scalar(base, name, resolved, schema)


def _scalar(base: Field, name: str, resolved: Schema, schema: Schema) -> Field:
    match resolved.get("type"), resolved.get("format"):
        case "string", "date-time":
            return replace(base, kind="datetime")
        case "string", "date":
            return replace(base, kind="date", value=_default(schema))
        case "string", "email":
            return replace(base, kind="email", value=_default(schema))
        case "string", "uri":
            return replace(base, kind="url", value=_default(schema))
        case "string", _:
            kind: Kind = "email" if name == "email" else "text"
            return replace(base, kind=kind, value=_default(schema))
        case "integer", _:
            return replace(base, kind="number", is_whole=True, value=_default(schema))
        case "number", _:
            return replace(base, kind="number", value=_default(schema))
        case "boolean", _:
            is_on = schema.get("default") is True
            return replace(base, kind="checkbox", is_required=False, value="on" if is_on else "")
        case "array", _ if resolved.get("items", {}).get("type") == "string":
            return replace(base, kind="list", is_required=False)
        case _ if _is_decimal(resolved):
            return replace(base, kind="number", is_decimal=True, value=_default(schema))
        case _:
            return replace(base, kind="json")


def _resolved(schema: Schema, known: Schema) -> tuple[Schema, bool]:
    """Follow references, and take `null` out of a choice of types; tell whether it was there."""
    is_optional = False
    for _ in range(8):
        if "$ref" in schema:
            schema = known[schema["$ref"].rpartition("/")[2]]
            continue
        arms = [arm for arm in schema.get("anyOf", ()) if arm != _NULL]
        if "anyOf" in schema and len(arms) < len(schema["anyOf"]):
            is_optional = True
        if len(arms) == 1:
            schema = arms[0]
            continue
        break
    return schema, is_optional


def _is_decimal(schema: Schema) -> bool:
    arms = [arm.get("type") for arm in schema.get("anyOf", ())]
    return {"number", "string"} >= set(arms) and "number" in arms


def _choices(schema: Schema) -> tuple[Choice, ...]:
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if not values or not all(isinstance(value, str) for value in values):
        return ()
    return tuple(Choice(value=value, label=_sentence(value)) for value in values)


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return "" if default is None else str(default)


def _label(name: str, schema: Schema) -> str:
    title = str(schema.get("title", ""))
    if title and title != name.replace("_", " ").title() and "$ref" not in schema:
        return title
    return _LABELS.get(name) or _sentence(name)


def _sentence(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ").strip()
    return f"{words[:1].upper()}{words[1:]}"


# --- what was typed --------------------------------------------------------------------------


def filled(
    fields: Sequence[Field],
    posted: FormData | None = None,
    errors: Mapping[str, str] | None = None,
    *,
    more_of: str = "",
) -> tuple[Field, ...]:
    """Put what was posted, and what is wrong with it, into the fields.

    more_of: the list that gets another row.
    """
    wrong = errors or {}
    return tuple(_filled(field, posted, wrong, more_of) for field in fields)


def _filled(
    field: Field, posted: FormData | None, errors: Mapping[str, str], more_of: str
) -> Field:
    error = errors.get(field.name, "")
    if field.kind == "group":
        inner = tuple(_filled(each, posted, errors, more_of) for each in field.fields)
        return replace(field, fields=inner, error=error)
    if field.kind == "list":
        given = [] if posted is None else [str(each) for each in posted.getlist(field.name)]
        kept = [each for each in given if each.strip()]
        rows = len(given) + 1 if more_of == field.name else len(kept) + _BLANK_ROWS
        blank = [""] * max(rows - len(kept), 0)
        places = [why for name, why in errors.items() if name.startswith(f"{field.name}.")]
        return replace(
            field, values=tuple(kept + blank), error=error or (places[0] if places else "")
        )
    if posted is None:
        return field
    return replace(field, value=str(posted.get(field.name, "")), error=error)


def posted_from(fields: Sequence[Field], document: object, zone: tzinfo) -> FormData:
    """Make what would have been posted for a document, so that a form can show it.

    zone: in which moments are shown.
    """
    given = document if isinstance(document, dict) else {VALUE: document}
    return FormData(list(_posted(fields, given, zone)))


def _posted(
    fields: Sequence[Field], document: Mapping[str, Any], zone: tzinfo
) -> Iterator[tuple[str, str]]:
    for field in fields:
        value = document.get(field.name.rpartition(".")[2])
        if value is None:
            continue
        match field.kind:
            case "group":
                yield from _posted(field.fields, value, zone)
            case "list":
                yield from ((field.name, str(each)) for each in value)
            case "datetime":
                moment = datetime.fromisoformat(value).astimezone(zone)
                yield field.name, f"{moment:%Y-%m-%dT%H:%M:%S}"
            case "checkbox":
                if value:
                    yield field.name, "on"
            case "json":
                yield field.name, orjson.dumps(value).decode()
            case _:
                yield field.name, str(value)


def rest_of_errors(fields: Sequence[Field], errors: Mapping[str, str]) -> dict[str, str]:
    """Give the errors that belong to no field of the form, by their name."""
    names = {each.name for each in _flat(fields)}
    lists = {each.name for each in _flat(fields) if each.kind == "list"}
    return {
        name: why
        for name, why in errors.items()
        if name not in names and name.rpartition(".")[0] not in lists
    }


def labels_of(fields: Sequence[Field]) -> dict[str, str]:
    """Give the labels of all fields by name; inside a group its label stands before."""
    found: dict[str, str] = {}
    for field in fields:
        found[field.name] = field.label
        inner = labels_of(field.fields)
        found |= {
            name: f"{field.label}, {label[:1].lower()}{label[1:]}" for name, label in inner.items()
        }
    return found


def _flat(fields: Sequence[Field]) -> list[Field]:
    found: list[Field] = []
    for field in fields:
        found.append(field)
        found.extend(_flat(field.fields))
    return found


def document_of(fields: Sequence[Field], posted: FormData, zone: ZoneInfo) -> dict[str, object]:
    """Make the document of what was posted; what was left empty is left out.

    zone: of the local times that were typed. Raises InvalidInput for what cannot even be read.
    """
    errors: dict[str, str] = {}
    document = _document(fields, posted, zone, errors)
    if errors:
        raise InvalidInput(errors)
    return document


def _document(
    fields: Sequence[Field], posted: FormData, zone: ZoneInfo, errors: dict[str, str]
) -> dict[str, object]:
    document: dict[str, object] = {}
    for field in fields:
        name = field.name.rpartition(".")[2]
        value = _value(field, posted, zone, errors)
        if value is not None:
            document[name] = value
    return document


def _value(field: Field, posted: FormData, zone: ZoneInfo, errors: dict[str, str]) -> object | None:
    if field.kind == "group":
        inner = _document(field.fields, posted, zone, errors)
        return inner or None
    if field.kind == "list":
        given = [str(each).strip() for each in posted.getlist(field.name)]
        return [each for each in given if each]
    text = str(posted.get(field.name, "")).strip()
    if field.kind == "checkbox":
        return text != ""
    if not text:
        return None
    try:
        return _read(field, text, zone)
    except ValueError:
        errors[field.name] = _UNREADABLE[field.kind]
        return None


_UNREADABLE: Final = {
    "datetime": "is no date and time",
    "number": "is no number",
    "json": "is no JSON",
}


def _read(field: Field, text: str, zone: ZoneInfo) -> object:
    match field.kind:
        case "datetime":
            moment = datetime.fromisoformat(text)
            aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
            return aware.isoformat()
        case "number":
            return text if field.is_decimal else int(text) if field.is_whole else float(text)
        case "json":
            value: object = orjson.loads(text)
            return value
        case _:
            return text
