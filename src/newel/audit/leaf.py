"""The bytes of an audit event: built once, hashed once, stored as they are, read by verifiers.

A leaf is one JSON object in the form of `canonical`. Building stands on the path of every commit
(two leaves a step): what is the same in many leaves, the actor and the process, is written and
checked once. Reading checks everything again, from the bytes alone.
Source: our own audit document §3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, ClassVar, Final, Literal, NamedTuple, NoReturn, Protocol, TypeVar

import orjson

from newel.audit.canonical import (
    SIZE_LIMIT,
    Json,
    check_types,
    encoded,
    leaf_bytes,
    leaf_hash,
    node_hash,
)
from newel.base.errors import LogInconsistent, NotJournalable

__all__ = [
    "Actor",
    "Envelope",
    "Event",
    "Leaf",
    "ProcessVersion",
    "build",
    "instant",
    "leaf_bytes",
    "leaf_hash",
    "node_hash",
    "parse",
]


T = TypeVar("T")


class Event(Protocol):
    """What a leaf needs to know of a fact; the catalogue has one class per type."""

    type: ClassVar[str]
    has_process: ClassVar[bool]
    has_step: ClassVar[bool]
    run_state: ClassVar[str | None]

    def data(self) -> dict[str, Any]:  # Any: the values JSON can hold
        """Give the facts of the type by name, checked; absent optional ones are left out."""
        ...


class Leaf(NamedTuple):
    """The bytes of one audit event and the hash that chains and seals them."""

    entry: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it, and through what; made once and used for many leaves.

    via: `console`, `api`, `cli`, `worker/<id>`, `webhook/<source>` or `link`. on_behalf_of: a
    person's reference. from_: address and user agent, sealed for one event.
    """

    type: Literal["person", "service", "key", "system"]
    id: str
    via: str | None = None
    on_behalf_of: str | None = None
    session: str | None = None
    from_: Json | None = None
    written: orjson.Fragment = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = ("type", "id", "via", "on_behalf_of", "session")
        known = {name: value for name in names if (value := getattr(self, name)) is not None}
        if self.from_ is not None:
            known["from"] = self.from_
        object.__setattr__(self, "written", orjson.Fragment(leaf_bytes(known)))

    @property
    def person(self) -> str | None:
        """The reference of the person who acts, or on whose behalf; None where nobody is named."""
        return self.on_behalf_of or (self.id if self.type == "person" else None)

    @property
    def kept(self) -> dict[str, str | None]:
        """Who it is, as it is kept with an order until a second person comes: `Actor(**kept)`."""
        names = ("type", "id", "via", "on_behalf_of")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessVersion:
    """The definition a run goes by."""

    name: str
    version: int
    definition_sha256: str
    written: orjson.Fragment = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = ("name", "version", "definition_sha256")
        known = {name: getattr(self, name) for name in names}
        object.__setattr__(self, "written", orjson.Fragment(leaf_bytes(known)))


def build(
    event: Event,
    *,
    id: str,  # noqa: A002  # the field's name in every leaf
    stream: str,
    seq: int,
    prev: bytes,
    occurred_at: str,
    actor: Actor,
    subject: str | None,
    system: str | None,
    process: ProcessVersion | None = None,
    step: Json | None = None,
    run_state: str | None = None,
    reason: Json | None = None,
    trace_id: str | None = None,
    payload: bytes | None = None,
) -> Leaf:
    """Build the leaf of one event.

    id: of the event, lower-case UUID with hyphens. prev: leaf hash of seq - 1, empty at 1.
    occurred_at: as `instant` writes it. process, step: written where the type carries them (step:
    key, and attempt and round where something is attempted). run_state: the run's state after this
    event, if it changes and the event's type does not say it. reason: code and sealed text.
    payload: what is kept beside the event; its digest is written unless the facts have it.
    errors: NotJournalable, if the facts cannot stand in a leaf.
    """
    envelope: dict[str, Any] = {
        "actor": actor.written,
        "data": (data := event.data()),
        "id": id,
        "occurred_at": occurred_at,
        "prev": prev.hex(),
        "seq": seq,
        "stream": stream,
        "subject": subject,
        "system": system,
        "type": event.type,
        "v": 1,
    }
    if event.has_process:
        envelope["process"] = _needed(process, event, "process").written
    if event.has_step:
        envelope["step"] = _needed(step, event, "step")
    state = run_state or event.run_state
    if state is not None:
        envelope["run_state"] = state
    if reason is not None:
        check_types(reason.values(), 2)
        envelope["reason"] = reason
    if trace_id is not None:
        envelope["trace_id"] = trace_id
    if payload is not None and (digest := sha256(payload).hexdigest()) not in data.values():
        envelope["payload_sha256"] = digest
    entry = encoded(envelope)
    return Leaf(entry, leaf_hash(entry))


def _needed(value: T | None, event: Event, name: str) -> T:
    if value is None:
        raise NotJournalable(f"The audit event `{event.type}` cannot stand without its {name}.")
    return value


_LENGTH: Final = len('"2026-01-05T07:00:04.118203Z"')


def instant(moment: datetime) -> str:
    """Write an aware moment as leaves have it: UTC, six digits of a second, `Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    text = orjson.dumps(moment, option=orjson.OPT_UTC_Z).decode()
    # orjson, three times as fast as isoformat, leaves the fraction out where it is nothing.
    return text[1:-1] if len(text) == _LENGTH else f"{text[1:20]}.000000Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a leaf says; `json` is the whole object as it was read."""

    v: int
    id: str
    stream: str
    seq: int
    prev: str
    type: str
    occurred_at: str
    actor: Json
    subject: str | None
    system: str | None
    data: Json
    process: Json | None
    step: Json | None
    run_state: str | None
    reason: Json | None
    trace_id: str | None
    payload_sha256: str | None
    json: Json


_HEX_64: Final = re.compile(r"[0-9a-f]{64}")
_FORMS: Final = {
    "id": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
    "stream": re.compile(r"(?:run|system|auth|service|log)/[^\s/]+|admin|log"),
    "type": re.compile(r"[a-z]+\.[a-z]+(?:_[a-z]+)*"),
    "occurred_at": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
    "trace_id": re.compile(r"[0-9a-f]{32}"),
    "payload_sha256": _HEX_64,
}
_ALWAYS: Final[Mapping[str, tuple[type, ...]]] = {
    "v": (int,),
    "id": (str,),
    "stream": (str,),
    "seq": (int,),
    "prev": (str,),
    "type": (str,),
    "occurred_at": (str,),
    "actor": (dict,),
    "subject": (str, type(None)),
    "system": (str, type(None)),
    "data": (dict,),
}
_AT_TIMES: Final[Mapping[str, tuple[type, ...]]] = {
    "process": (dict,),
    "step": (dict,),
    "run_state": (str,),
    "reason": (dict,),
    "trace_id": (str,),
    "payload_sha256": (str,),
}


def parse(entry: bytes, *, at: str = "") -> Envelope:
    """Read a leaf and check all that can be checked from its bytes alone.

    at: where it stands, for the message. An unknown type or an unknown member is no error: a later
    version may have written it. errors: LogInconsistent.
    """
    found = _read(entry, at)
    _check_members(found, at)
    return Envelope(
        **{name: found.get(name) for name in (*_ALWAYS, *_AT_TIMES)},  # type: ignore[arg-type]  # checked by name just above
        json=found,
    )


def _read(entry: bytes, at: str) -> dict[str, Any]:
    """Read one object that is written in the one allowed form."""
    if not 2 <= len(entry) <= SIZE_LIMIT:
        _wrong(at, f"a leaf of {len(entry)} bytes")
    try:
        found = json.loads(entry, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError):
        _wrong(at, "the leaf is no JSON of whole numbers and text")
    if not isinstance(found, dict):
        _wrong(at, "the leaf is no object")
    try:
        canonical = leaf_bytes(found)
    except NotJournalable as cause:
        raise LogInconsistent(at=at, what=cause.what) from cause
    # One comparison finds spaces, key order, double keys, other escapes and other number forms.
    if canonical != entry:
        _wrong(at, "the leaf is not in canonical form")
    return found


def _check_members(found: Json, at: str) -> None:
    for name, kinds in _ALWAYS.items():
        if name not in found:
            _wrong(at, f"`{name}` is missing")
        if type(found[name]) not in kinds:
            _wrong(at, f"`{name}` is of the wrong kind")
    for name, kinds in _AT_TIMES.items():
        if name in found and type(found[name]) not in kinds:
            _wrong(at, f"`{name}` is of the wrong kind")
    for name, form in _FORMS.items():
        if name in found and form.fullmatch(found[name]) is None:
            _wrong(at, f"`{name}` has the wrong form")
    if found["v"] != 1:
        _wrong(at, f"version {found['v']} is not known")
    if found["seq"] < 1:
        _wrong(at, "`seq` is below 1")
    if (found["prev"] == "") != (found["seq"] == 1):
        _wrong(at, "`prev` is empty at the first event of a stream and only there")
    if found["prev"] and _HEX_64.fullmatch(found["prev"]) is None:
        _wrong(at, "`prev` is no hash")


def _no_float(text: str) -> NoReturn:
    raise ValueError(text)


def _wrong(at: str, what: str) -> NoReturn:
    raise LogInconsistent(at=at, what=what)
