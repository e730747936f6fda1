"""The bytes of an audit event: built once, hashed once, stored as they are.

A leaf is one JSON object in the form of RFC 8785, restricted so that no number formatting and no
key order beyond ASCII ever matters: no floats, ASCII keys, integers below 2^53, at most six levels
deep, at most 32,768 bytes. On that part of JSON, orjson with sorted keys writes the same bytes as
any RFC 8785 encoder (a property test compares them), about ten times faster.

Building stands on the path of every commit (two leaves a step), so it does each check once and as
cheaply as it can: types by a short walk, characters by a search in the finished bytes. Reading is
for verifiers and checks everything again.
Source: our own audit document §3; RFC 8785 §3.2; RFC 6962 §2.1 (hashes).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, ClassVar, Final, NamedTuple, NoReturn, Protocol, TypeAlias

import orjson

from newel.base.errors import LogInconsistent, NotJournalable

__all__ = [
    "DEPTH_LIMIT",
    "SIZE_LIMIT",
    "Envelope",
    "Event",
    "Leaf",
    "build",
    "instant",
    "leaf_bytes",
    "leaf_hash",
    "node_hash",
    "parse",
]

Json: TypeAlias = Mapping[str, Any]  # Any: the values JSON can hold

DEPTH_LIMIT: Final = 6
SIZE_LIMIT: Final = 32_768

_OPTIONS: Final = (
    orjson.OPT_SORT_KEYS  # the order of RFC 8785 where keys are ASCII
    | orjson.OPT_STRICT_INTEGER  # |n| < 2^53
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_SCALARS: Final = frozenset({str, int, bool, type(None)})
_LISTS: Final = frozenset({list, tuple})


class Event(Protocol):
    """What a leaf needs to know of a fact; the catalogue has one class per type."""

    type: ClassVar[str]
    run_state: ClassVar[str | None]

    def data(self) -> dict[str, Any]:  # Any: the values JSON can hold
        """Give the facts of the type by name; absent optional ones are left out."""
        ...


class Leaf(NamedTuple):
    """The bytes of one audit event and the hash that chains and seals them."""

    entry: bytes
    hash: bytes


def build(
    event: Event,
    *,
    id: str,  # noqa: A002  # the field's name in every leaf
    stream: str,
    seq: int,
    prev: bytes,
    occurred_at: str,
    actor: Json,
    subject: str | None,
    system: str | None,
    process: Json | None = None,
    step: Json | None = None,
    run_state: str | None = None,
    reason: Json | None = None,
    trace_id: str | None = None,
) -> Leaf:
    """Build the leaf of one event.

    id: of the event, lower-case UUID with hyphens. prev: leaf hash of seq - 1, empty at 1.
    occurred_at: as `instant` writes it. actor: type and id, and where it came through. step: key,
    and attempt and round where something is attempted. run_state: the run's state after this
    event, if it changes and the event's type does not say it. reason: code and sealed text.
    errors: NotJournalable, if the facts cannot stand in a leaf.
    """
    envelope: dict[str, Any] = {
        "actor": actor,
        "data": event.data(),
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
    if process is not None:
        envelope["process"] = process
    if step is not None:
        envelope["step"] = step
    state = run_state or event.run_state
    if state is not None:
        envelope["run_state"] = state
    if reason is not None:
        envelope["reason"] = reason
    if trace_id is not None:
        envelope["trace_id"] = trace_id
    entry = leaf_bytes(envelope)
    return Leaf(entry, leaf_hash(entry))


def leaf_bytes(envelope: Json) -> bytes:
    """Write an envelope in the one form that is hashed; errors: NotJournalable."""
    _check_types(envelope, 1)
    try:
        entry = orjson.dumps(envelope, option=_OPTIONS)
    except TypeError as cause:
        raise _unfit(_why(cause)) from cause
    if len(entry) > SIZE_LIMIT:
        raise _unfit(f"it has {len(entry)} bytes, {SIZE_LIMIT} are allowed")
    # Both are rare, so the bytes are searched first and the values only on a hit.
    if b"\\u0000" in entry or not entry.isascii():
        _check_text(envelope)
    return entry


def leaf_hash(entry: bytes) -> bytes:
    """Hash the bytes of a leaf: SHA-256 of 0x00 and the entry."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two neighbours of the tree: SHA-256 of 0x01 and both."""
    return sha256(b"\1" + left + right).digest()


def instant(moment: datetime) -> str:
    """Write an aware moment as leaves have it: UTC, six digits of a second, `Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _check_types(value: Json, depth: int) -> None:
    """Refuse what is no text, whole number, flag, nothing, list or object, and what lies too deep.

    Exact types: a subclass of `str` or `int` may write itself in another way than it reads.
    """
    if depth > DEPTH_LIMIT:
        raise _unfit(f"it is more than {DEPTH_LIMIT} levels deep")
    for item in value.values():
        kind = type(item)
        if kind in _SCALARS:
            continue
        if kind is dict:
            _check_types(item, depth + 1)
        elif kind in _LISTS:
            _check_items(item, depth + 1)
        else:
            raise _unfit(f"it holds a {kind.__name__}")


def _check_items(items: Sequence[Any], depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise _unfit(f"it is more than {DEPTH_LIMIT} levels deep")
    for item in items:
        kind = type(item)
        if kind in _SCALARS:
            continue
        if kind is dict:
            _check_types(item, depth + 1)
        elif kind in _LISTS:
            _check_items(item, depth + 1)
        else:
            raise _unfit(f"it holds a {kind.__name__}")


def _check_text(value: object) -> None:
    """Refuse keys that are not ASCII, and U+0000 in text, which PostgreSQL's jsonb cannot hold."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not key.isascii() or "\0" in key:
                raise _unfit("a name in it is not ASCII")
            _check_text(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_text(item)
    elif isinstance(value, str) and "\0" in value:
        raise _unfit("a text in it holds U+0000")


def _why(cause: TypeError) -> str:
    """Say what the encoder refused, without the value."""
    text = str(cause)
    if "surrogates" in text:
        return "a text in it holds half a surrogate pair"
    if "Integer" in text:
        return "a number in it is 2^53 or more"
    return "a name in it is no text"


def _unfit(why: str) -> NotJournalable:
    return NotJournalable(f"This cannot stand in the audit log: {why}.")


# --- reading -------------------------------------------------------------------------------------


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
    json: Json


_HEX_64: Final = re.compile(r"[0-9a-f]{64}")
_FORMS: Final = {
    "id": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
    "stream": re.compile(r"(?:run|system|auth|service)/[^\s/]+|admin|log"),
    "type": re.compile(r"[a-z]+\.[a-z]+(?:_[a-z]+)*"),
    "occurred_at": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
    "trace_id": re.compile(r"[0-9a-f]{32}"),
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
