"""The one form of JSON that is hashed, and the two hashes of the log.

It is RFC 8785, restricted so that no number formatting and no key order beyond ASCII ever matters:
no floats, ASCII keys, integers below 2^53, at most six levels deep, at most 32,768 bytes. On that
part of JSON, orjson with sorted keys writes the same bytes as any RFC 8785 encoder (a property
test compares them), about ten times faster.

Writing stands on the path of every commit, so each check is made once and as cheaply as it can be:
types by a walk that stays in C where an object is flat, characters by a search in the finished
bytes.
Source: our own audit document §3.1; RFC 8785 §3.2; RFC 6962 §2.1 (hashes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final, TypeAlias

import orjson

from newel.base.errors import NotJournalable

__all__ = ["DEPTH_LIMIT", "SIZE_LIMIT", "Json", "encoded", "leaf_bytes", "leaf_hash", "node_hash"]

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


def leaf_bytes(envelope: Json) -> bytes:
    """Write an object in the one form that is hashed; errors: NotJournalable."""
    check_types(envelope.values(), 1)
    return encoded(envelope)


def encoded(envelope: Json) -> bytes:
    """Write an object whose types were checked before; characters and size are checked here."""
    try:
        entry = orjson.dumps(envelope, option=_OPTIONS)
    except TypeError as cause:
        raise _unfit(_why(cause)) from cause
    if len(entry) > SIZE_LIMIT:
        raise _unfit(f"it has {len(entry)} bytes, {SIZE_LIMIT} are allowed")
    # Escapes and other scripts are rare: the bytes are searched first, the values on a hit only.
    if b"\\" in entry or not entry.isascii():
        _check_text(envelope)
    return entry


def leaf_hash(entry: bytes) -> bytes:
    """Hash the bytes of a leaf: SHA-256 of 0x00 and the entry."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two neighbours of the tree: SHA-256 of 0x01 and both."""
    return sha256(b"\1" + left + right).digest()


def check_types(items: Iterable[Any], depth: int) -> None:
    """Refuse what is no text, whole number, flag, nothing, list or object, and what lies too deep.

    items: the values of an object or a list at this depth. Exact types only: a subclass of `str`
    or `int` may write itself in another way than it reads. errors: NotJournalable.
    """
    if depth > DEPTH_LIMIT:
        raise _unfit(f"it is more than {DEPTH_LIMIT} levels deep")
    if _SCALARS.issuperset(map(type, items)):
        return
    for item in items:
        kind = type(item)
        if kind is dict:
            check_types(item.values(), depth + 1)
        elif kind is list or kind is tuple:
            check_types(item, depth + 1)
        elif kind not in _SCALARS:
            raise _unfit(f"it holds a {kind.__name__}")


def _check_text(value: object) -> None:
    """Refuse keys that are not ASCII, and U+0000 in text, which PostgreSQL's jsonb cannot hold."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not key.isascii():
                raise _unfit("a name in it is not ASCII")
            _check_text(key)
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
    return f"a name in it is no text, or it holds something else ({text.partition(':')[0]})"


def _unfit(why: str) -> NotJournalable:
    return NotJournalable(f"This cannot stand in the audit log: {why}.")
