"""The log as an object-centric event log, OCEL 2.0 in JSON, for process mining.

A run, the person it is about, who decided, the grant, the account, the system, the task, the ticket
are objects; every audit event names those it concerns, each with a qualifier. Attributes are the
facts of the event that are single values and public; lists, records and sealed fields are left out.
Pure: whoever reads the leaves writes the parts in the order of `head`, events, `middle`, objects,
`tail`, and keeps what `related` has named.
Source: https://www.ocel-standard.org/2.0/ocel20_specification.pdf; our own audit document §16.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

from newel.audit.catalogue import TYPES

__all__ = ["OBJECT_TYPES", "Related", "head", "middle", "ocel_event", "ocel_object", "tail"]

OBJECT_TYPES: Final = ("account", "grant", "incident", "person", "run", "system", "task", "ticket")

Json = Any  # Any: JSON

_NAMED: Final = {
    "grant": ("grant", "grant"),
    "from": ("grant", "closed grant"),
    "continues": ("grant", "continued grant"),
    "account_ref": ("account", "account"),
    "task": ("task", "task"),
    "ticket": ("ticket", "ticket"),
    "incident": ("incident", "incident"),
    "run": ("run", "run"),
    "first_run": ("run", "run"),
    "approver": ("person", "approver"),
    "requested_by": ("person", "requester"),
    "to": ("person", "receiver"),
    "second": ("person", "second person"),
}
"""Facts that name an object: its type, and what it is to the event."""

_PREFIXES: Final = {
    "account": "acc_",
    "grant": "grt_",
    "incident": "inc_",
    "person": "per_",
    "run": "run_",
    "task": "tsk_",
}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class Related(NamedTuple):
    """An object that an event is about, its type, and what it is to the event."""

    id: str
    type: str
    qualifier: str


def head() -> bytes:
    """Begin the document: the types, and the list of events."""
    types = [{"attributes": _declared(name), "name": name} for name in sorted(TYPES)]
    objects: list[dict[str, object]] = [{"attributes": [], "name": name} for name in OBJECT_TYPES]
    return b"".join(
        (b'{"eventTypes":', _list(types), b',"objectTypes":', _list(objects), b',"events":[\n')
    )


def middle() -> bytes:
    """End the list of events, begin that of objects."""
    return b'\n],"objects":[\n'


def tail() -> bytes:
    """End the document."""
    return b"\n]}\n"


def ocel_event(leaf: Json) -> tuple[bytes, list[Related]]:
    """Write the event of a leaf; answers with the objects that have to stand in the document."""
    known = sorted(set(_related(leaf)))
    event = {
        "id": leaf["id"],
        "type": leaf["type"],
        "time": leaf["occurred_at"],
        "attributes": _attributes(leaf),
        "relationships": [{"objectId": each.id, "qualifier": each.qualifier} for each in known],
    }
    return _written(event), known


def ocel_object(id_: str, type_: str) -> bytes:
    """Write an object: what is known of it is what its events say."""
    return _written({"id": id_, "type": type_, "attributes": [], "relationships": []})


def _written(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _list(items: list[Json]) -> bytes:
    """Write a list in canonical form, an item in each line."""
    return b"[\n" + b",\n".join(map(_written, items)) + b"\n]"


def _declared(type_: str) -> list[Json]:
    """Declare the attributes that an event of this type can have.

    A type that this version does not know is declared without any.
    """
    its = TYPES[type_]
    names = [*_ENVELOPE]
    names += [name.removesuffix("_") for name in its.__dataclass_fields__]  # type: ignore[attr-defined]  # every event is a dataclass
    return [{"name": name, "type": _declared_type(type_, name)} for name in sorted(set(names))]


_ENVELOPE: Final = ("leaf_stream", "leaf_seq", "process", "step", "run_state", "reason")


def _declared_type(type_: str, name: str) -> str:
    """Give the OCEL type of an attribute, from the annotation of the fact."""
    if name == "leaf_seq":
        return "integer"
    if name in _ENVELOPE:
        return "string"
    fields = TYPES[type_].__annotations__
    written = str(fields.get(name) or fields.get(f"{name}_"))
    kinds = {"int": "integer", "bool": "boolean", "datetime": "time"}
    return kinds.get(written.partition(" ")[0], "string")


def _attributes(leaf: Json) -> list[Json]:
    """Give facts that are single values; a moment is written as such."""
    process, step, reason = leaf.get("process"), leaf.get("step"), leaf.get("reason")
    values = {
        "leaf_stream": leaf["stream"],
        "leaf_seq": leaf["seq"],
        "process": None if process is None else f"{process['name']}@{process['version']}",
        "step": None if step is None else step["key"],
        "run_state": leaf.get("run_state"),
        "reason": None if reason is None else reason.get("code"),
    }
    plain = {name: value for name, value in leaf["data"].items() if _is_plain(value)}
    values = {**plain, **{name: value for name, value in values.items() if value is not None}}
    return [{"name": name, "value": _text(values[name])} for name in sorted(values)]


def _text(value: Json) -> str:
    """Write a value as text, as the published schema has it; its type is declared."""
    return value if isinstance(value, str) else str(value).lower()


def _is_plain(value: Json) -> bool:
    return isinstance(value, str | int | bool)


def _related(leaf: Json) -> Iterator[Related]:
    """Find the objects that an event is about."""
    if leaf["stream"].startswith("run/"):
        yield Related(leaf["stream"].removeprefix("run/"), "run", "run")
    if leaf["subject"] is not None and leaf["subject"].startswith("per_"):
        yield Related(leaf["subject"], "person", "subject")
    actor = leaf["actor"].get("on_behalf_of") or leaf["actor"]["id"]
    if actor.startswith("per_"):
        yield Related(actor, "person", "actor")
    if leaf["system"] is not None:
        yield Related(f"sys_{leaf['system']}", "system", "system")
    authority = leaf["data"].get("authority") or {}
    for name, value in {"approver": authority.get("approver"), **leaf["data"]}.items():
        if name in _NAMED and isinstance(value, str):
            yield from _object(value, *_NAMED[name])


def _object(value: str, type_: str, qualifier: str) -> Iterator[Related]:
    """Give the object that a fact names; a fact that holds something else names none."""
    if type_ == "ticket":
        yield Related(f"tkt_{value}", type_, qualifier)
    elif value.startswith(_PREFIXES[type_]):
        yield Related(value, type_, qualifier)
