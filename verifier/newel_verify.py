#!/usr/bin/env python3
"""Check an audit log of newel without newel: one file, Python 3.9 or newer, nothing else.

    python3 newel_verify.py LOG --policy FILE       (or --vkey KEY, as often as there are keys)

LOG is an evidence package (a zip or its folder), a log as tiles lie in a folder or are served
under an address, a folder of numbered log epochs, or one proof (`.tlog-proof`). The key is the one
you were given at the first meeting: a key that comes with the log proves nothing. With
`--untrusted` all but signatures is checked, and the verdict is at best "incomplete".

Exit codes: 0 clean; 1 the evidence contradicts itself, the key or an anchor; 2 incomplete: nothing
contradicts, something could not be decided; 3 could not run. `--json` prints all findings.

This file shares no line with the program that writes the log, so that each checks the other. What
it implements, in its own words: RFC 8032 (Ed25519, strictly), RFC 6962 (tree and proofs), RFC 8785
(the part of JSON that leaves use), and of https://c2sp.org: signed-note, tlog-checkpoint,
tlog-tiles, tlog-cosignature, tlog-policy, tlog-proof.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import csv
import hashlib
import html
import io
import json
import re
import struct
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache, partial
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, Callable, NamedTuple, NoReturn

VERSION = "1"

CLEAN, TAMPERED, INCOMPLETE, COULD_NOT_RUN = 0, 1, 2, 3

CHECKS = {
    "V01": "files of the package match SHA256SUMS and manifest.json",
    "V02": "signatures of the package",
    "V03": "every checkpoint: syntax, origin, key, signature",
    "V04": "every entry: canonical bytes, envelope, type",
    "V05": "every entry hashes to its place in the tiles",
    "V06": "the root at every checkpoint, recomputed",
    "V07": "all checkpoints of an origin agree with each other",
    "V08": "every anchor equals the root at its size",
    "V09": "cosignatures satisfy the quorum",
    "V10": "every stream: no gap, no repeat, each entry names the one before",
    "V11": "time never runs backwards in a stream",
    "V12": "ids are unique; every reference leads to an earlier fact",
    "V13": "every event is sealed or waits to be, never both, and not for long",
    "V14": "the state that was handed in is the state the log leads to",
    "V15": "log epochs and changes of key follow each other",
    "V16": "files derived from entries, made again",
    "V17": "control tests made again; samples drawn again, as the log says that they were",
    "V18": "what says that nothing is missing, counted again",
}


class Unusable(Exception):
    """The input or the arguments cannot be used at all: exit code 3."""


class Malformed(Exception):
    """Bytes that are not what they have to be; the text says what is wrong."""


# -------------------------------------------------------------------------------- Ed25519
# Strict RFC 8032 §5.1.7 without the cofactor. A point is (X, Y, Z, T), extended coordinates.

_P = 2**255 - 19
_Q = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_NEUTRAL = (0, 1, 1, 0)

Point = tuple[int, int, int, int]
Table = list[list[Point]]


@lru_cache(maxsize=1024)
def ed25519_verifies(key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature is one of RFC 8032; refuses every non-canonical encoding."""
    if len(key) != 32 or len(signature) != 64:
        return False
    table = _table_of(key)
    s = int.from_bytes(signature[32:], "little")
    if table is None or s >= _Q:
        return False
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    k = int.from_bytes(digest, "little") % _Q
    # R = [S]B - [k]A, compared as bytes: a second spelling of the same point is never equal.
    return _encoded(_added(_times(s, _base_table()), _times(k, table))) == signature[:32]


def is_sound_key(key: bytes) -> bool:
    """Tell whether 32 bytes are the one spelling of a point that is not of low order."""
    point = _decoded(key)
    if point is None:
        return False
    for _ in range(3):
        point = _added(point, point)
    return point[0] % _P != 0 or (point[1] - point[2]) % _P != 0


def _added(p: Point, q: Point) -> Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] * _D % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _decoded(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little")
    sign = y >> 255
    y &= (1 << 255) - 1
    if len(data) != 32 or y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P != 0:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - square) % _P != 0 or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _encoded(point: Point) -> bytes:
    inverse = pow(point[2], _P - 2, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | ((x & 1) << 255)).to_bytes(32, "little")


def _multiples(point: Point) -> Table:
    """Give [d * 16^i] point for every digit d and place i: signatures are then additions only."""
    table = []
    for _ in range(64):
        row = [_NEUTRAL]
        for _ in range(15):
            row.append(_added(row[-1], point))
        table.append(row)
        point = _added(row[-1], point)
    return table


def _times(number: int, table: Table) -> Point:
    total = _NEUTRAL
    for row in table:
        if number & 15:
            total = _added(total, row[number & 15])
        number >>= 4
    return total


@lru_cache(maxsize=1)
def _base_table() -> Table:
    base = _decoded((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))
    if base is None:
        raise AssertionError
    return _multiples(base)


@lru_cache(maxsize=64)
def _table_of(key: bytes) -> Table | None:
    """Give the table of minus the key's point, or nothing where the key is no point."""
    point = _decoded(key)
    if point is None:
        return None
    return _multiples((_P - point[0], point[1], 1, _P - point[3]))


# -------------------------------------------------------------- notes, keys and checkpoints

_LOG_KEY, _COSIGNATURE = 1, 4


class Key(NamedTuple):
    """A verifier key: kind 1 signs notes, kind 4 cosigns checkpoints with a time."""

    name: str
    id: bytes
    kind: int
    public: bytes

    def verifies(self, text: str, signature: bytes) -> bool:
        """Tell whether the bytes after the key id sign this text."""
        if self.kind == _LOG_KEY:
            return ed25519_verifies(self.public, text.encode(), signature)
        if len(signature) != 72 or signature[0] > 127:
            return False
        (time,) = struct.unpack(">Q", signature[:8])
        signed = "cosignature/v1\ntime %d\n%s" % (time, text)
        return ed25519_verifies(self.public, signed.encode(), signature[8:])


class Note(NamedTuple):
    """A text and the signature lines below it: name, key id, signature."""

    text: str
    signatures: list[tuple[str, bytes, bytes]]


class Checkpoint(NamedTuple):
    """A signed tree head as it was read; `where` is the file it came from."""

    where: str
    raw: bytes
    note: Note
    origin: str
    size: int
    root: bytes


def read_key(text: str) -> Key:
    """Read a verifier key; errors: Malformed, also for a point that nobody should use."""
    name, _, rest = text.strip().partition("+")
    id_hex, _, encoded = rest.partition("+")
    material = _base64(encoded)
    if not _is_name(name) or re.fullmatch("[0-9a-f]{8}", id_hex) is None or len(material) < 2:
        raise Malformed("a verifier key is written name+id+key")
    kind, public = material[0], material[1:]
    if kind not in (_LOG_KEY, _COSIGNATURE):
        raise Malformed("the key %s is of kind %d, which is not known here" % (name, kind))
    expected = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    if expected.hex() != id_hex:
        raise Malformed("the key %s does not have the id %s" % (name, id_hex))
    if len(public) != 32 or not is_sound_key(public):
        raise Malformed("the key %s is no sound Ed25519 point" % name)
    return Key(name, expected, kind, public)


def read_note(raw: bytes) -> Note:
    """Read a signed note; errors: Malformed."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("a note is UTF-8") from None
    if any(character < " " and character != "\n" for character in text):
        raise Malformed("a note holds a control character")
    body, separator, tail = text.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise Malformed("a note is a text, an empty line, and lines of signatures")
    lines = tail[:-1].split("\n")
    if len(lines) > 256:
        raise Malformed("a note has %d signatures" % len(lines))
    return Note(body + "\n", [_signature(line) for line in lines])


def _signature(line: str) -> tuple[str, bytes, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    blob = _base64(encoded)
    if dash != "\u2014" or not _is_name(name) or len(blob) < 5:
        raise Malformed("a signature line is a dash, a name and base64")
    return name, blob[:4], blob[4:]


def read_checkpoint(raw: bytes, where: str) -> Checkpoint:
    """Read a signed tree head; errors: Malformed."""
    note = read_note(raw)
    lines = note.text.split("\n")[:-1]
    if len(lines) < 3 or "" in lines:
        raise Malformed("a checkpoint has at least three lines and no empty one")
    if re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]) is None:
        raise Malformed("the size of a checkpoint is a decimal number")
    root = _base64(lines[2])
    if len(root) != 32:
        raise Malformed("the root of a checkpoint has 32 bytes")
    return Checkpoint(where, raw, note, lines[0], int(lines[1]), root)


def signers(note: Note, keys: Iterable[Key]) -> list[Key]:
    """Give the keys that signed; errors: Malformed, if a known key's signature is wrong."""
    found = []
    for key in keys:
        for name, id_, signature in note.signatures:
            if (name, id_) != (key.name, key.id):
                continue
            if not key.verifies(note.text, signature):
                raise Malformed("the signature of the known key %s is wrong" % key.name)
            found.append(key)
    return found


def _is_name(name: str) -> bool:
    return name != "" and "+" not in name and not any(map(str.isspace, name))


def _base64(text: str) -> bytes:
    """Decode base64 in its one spelling: unused bits are nought."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise Malformed("base64 expected") from None
    if base64.b64encode(data).decode() != text:
        raise Malformed("base64 in another spelling than the canonical one")
    return data


# ------------------------------------------------------------------------------- the policy


class Policy:
    """Whom the auditor believes: keys of logs, keys of witnesses, and how many of these."""

    def __init__(self) -> None:
        """Begin with nobody and no quorum."""
        self.logs: list[Key] = []
        self.witnesses: dict[bytes, Key] = {}
        self.groups: dict[bytes, tuple[int, list[bytes]]] = {}
        self.quorum = b"none"

    def keys_of(self, origin: str) -> list[Key]:
        """Give the keys pinned for the log of this origin."""
        return [key for key in self.logs if key.name == origin]

    def is_satisfied(self, note: Note) -> bool:
        """Tell whether enough witnesses cosigned; errors: Malformed, if one's line is wrong."""
        present = set(signers(note, self.witnesses.values()))
        return self._witnessed(self.quorum, present)

    def _witnessed(self, name: bytes, present: Iterable[Key]) -> bool:
        if name == b"none":
            return True
        if name in self.witnesses:
            return self.witnesses[name] in present
        needed, members = self.groups[name]
        return sum(self._witnessed(member, present) for member in members) >= needed


def read_policy(raw: bytes) -> Policy:
    """Read a tlog-policy file; errors: Malformed, with the line."""
    policy = Policy()
    has_quorum = False
    used: set[bytes] = set()
    for number, line in enumerate(raw.split(b"\n"), 1):
        try:
            if any((byte < 32 and byte != 9) or byte == 127 for byte in line):
                raise Malformed("a control character")
            words = re.split(rb"[ \t]+", line.strip(b" \t"))
            if words == [b""] or words[0].startswith(b"#"):
                continue
            if words[0] == b"quorum" and has_quorum:
                raise Malformed("a second quorum")
            _policy_line(policy, words, used)
            has_quorum = has_quorum or words[0] == b"quorum"
        except (Malformed, UnicodeDecodeError) as why:
            raise Malformed("line %d of the policy: %s" % (number, why)) from None
    if not has_quorum:
        raise Malformed("the policy has no quorum line")
    return policy


def _policy_line(policy: Policy, words: list[bytes], used: set[bytes]) -> None:
    names = {b"none", *policy.witnesses, *policy.groups}
    if words[0] == b"log" and len(words) in (2, 3):
        key = read_key(words[1].decode())
        if key.kind != _LOG_KEY or key.public in {each.public for each in policy.logs}:
            raise Malformed("the key of a log is of kind 1, and stands once")
        policy.logs.append(key)
    elif words[0] == b"witness" and len(words) in (3, 4):
        key = read_key(words[2].decode())
        if key.kind != _COSIGNATURE or words[1] in names:
            raise Malformed("the key of a witness is of kind 4, and its name is new")
        if key.public in {each.public for each in policy.witnesses.values()}:
            raise Malformed("the same witness twice")
        policy.witnesses[words[1]] = key
    elif words[0] == b"group" and len(words) >= 4:
        _policy_group(policy, words, names, used)
    elif words[0] == b"quorum" and len(words) == 2:
        if words[1] not in names:
            raise Malformed("a quorum has a name defined above")
        policy.quorum = words[1]
    else:
        raise Malformed("not understood")


def _policy_group(policy: Policy, words: list[bytes], names: set[bytes], used: set[bytes]) -> None:
    name, how_many, members = words[1], words[2], words[3:]
    unfit = [each for each in members if each not in names or each == b"none" or each in used]
    if name in names or unfit or len(set(members)) < len(members):
        raise Malformed("a group has a new name, and each member is known and used once")
    if how_many in (b"any", b"all"):
        needed = 1 if how_many == b"any" else len(members)
    elif re.fullmatch(rb"[1-9][0-9]*", how_many) and int(how_many) <= len(members):
        needed = int(how_many)
    else:
        raise Malformed("a group needs any, all or a number of its members")
    used.update(members)
    policy.groups[name] = (needed, members)


# ---------------------------------------------------------------------------------- the tree


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry as RFC 6962 does."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two neighbours as RFC 6962 does."""
    return hashlib.sha256(b"\1" + left + right).digest()


def tree_root(hashes: Sequence[bytes]) -> bytes:
    """Give the root over some neighbours: pairs level by level, an odd one goes up as it is."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    level = list(hashes)
    sha256 = hashlib.sha256
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2])] + odd
    return level[0]


def inclusion_root(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """Give the root that a proof of inclusion leads to; errors: Malformed (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        raise Malformed("index %d is not in a tree of size %d" % (index, size))
    _check_lengths([leaf, *proof])
    node, last, root = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise Malformed("the proof is too long")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise Malformed("the proof is too short")
    return root


def _check_lengths(hashes: Iterable[bytes]) -> None:
    if any(len(each) != 32 for each in hashes):
        raise Malformed("a hash has 32 bytes")


def check_consistency(
    size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the smaller tree is the beginning of the larger; errors: Malformed."""
    if size1 == size2:
        if proof or root1 != root2 or (not size1 and root1 != tree_root([])):
            raise Malformed("the trees differ, or the proof is not empty")
        return
    _check_lengths([root1, root2, *proof])
    if not 0 < size1 < size2:
        raise Malformed("nothing leads from a tree of size %d to one of %d" % (size1, size2))
    path = list(proof)
    if not size1 & (size1 - 1):
        path.insert(0, root1)
    if not path:
        raise Malformed("the proof is too short")
    node, last = size1 - 1, size2 - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise Malformed("the proof is too long")
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or first != root1 or second != root2:
        raise Malformed("the proof does not lead from one root to the other")


class Tree:
    """A tree that grows by tiles; keeps the right edge, and gives roots at sizes within a tile."""

    def __init__(self) -> None:
        """Begin empty."""
        self.tiles = 0
        self._edge: list[bytes] = []
        self._open: list[list[bytes]] = []

    def add(self, hashes: Sequence[bytes]) -> list[tuple[int, int, list[bytes]]]:
        """Add a full tile of leaf hashes; answers with level, number and hashes of tiles above."""
        self.tiles += 1
        top = tree_root(hashes)
        merged, count = top, self.tiles - 1
        while count & 1:
            merged = node_hash(self._edge.pop(), merged)
            count >>= 1
        self._edge.append(merged)
        full = []
        for level in range(1, 8):
            if len(self._open) < level:
                self._open.append([])
            tile = self._open[level - 1]
            tile.append(top)
            if len(tile) < 256:
                break
            full.append((level, self.tiles // 256**level - 1, tile))
            self._open[level - 1] = []
            top = tree_root(tile)
        return full

    def root(self, rest: Sequence[bytes]) -> bytes:
        """Give the root with these leaf hashes after the last full tile."""
        root = tree_root(rest) if rest or not self._edge else None
        for subtree in reversed(self._edge):
            root = subtree if root is None else node_hash(subtree, root)
        return root or b""

    def partial(self) -> list[tuple[int, int, list[bytes]]]:
        """Give level, number and hashes of the tiles above the leaves that are not full."""
        levels = enumerate(self._open, 1)
        return [(level, self.tiles // 256**level, tile) for level, tile in levels if tile]


def tile_path(level: str, number: int, width: int = 256) -> str:
    """Give the path of a tile or an entry bundle below the prefix of a log."""
    parts = ["%03d" % (number % 1000)]
    while number >= 1000:
        number //= 1000
        parts.append("x%03d" % (number % 1000))
    suffix = "" if width == 256 else ".p/%d" % width
    return "tile/%s/%s%s" % (level, "/".join(reversed(parts)), suffix)


# -------------------------------------------------------------------------------- the leaves

_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
).encode
_MOST = 2**53 - 1


def _no_float(text: str) -> NoReturn:
    raise Malformed("the number %s is not whole" % text[:40])


def _whole(text: str) -> int:
    number = int(text) if len(text) < 20 else _MOST + 1
    if not -_MOST <= number <= _MOST:
        raise Malformed("a number of 2^53 or more")
    return number


_decode = json.JSONDecoder(
    parse_float=_no_float, parse_int=_whole, parse_constant=_no_float
).raw_decode  # what stands behind the value is missing when it is written again


def read_json(raw: bytes, depth: int = 6) -> Any:
    """Read JSON that is written as RFC 8785 asks; errors: Malformed.

    Accepted is the part that newel writes: names are ASCII, numbers whole and below 2^53, no
    U+0000, at most `depth` levels. Writing the value again and comparing the bytes finds spaces,
    the order and doubling of names, other escapes and other forms of numbers.
    """
    try:
        text = raw.decode("utf-8")
        value, _ = _decode(text)
        again = _encode(value).encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("half a surrogate pair") from None
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    if again != raw:
        raise Malformed("not in the canonical form of RFC 8785")
    is_plain = text.isascii() and "\\u" not in text and text.count("{") + text.count("[") <= depth
    if not is_plain:
        _check_values(value, depth)
    return value


def _check_values(value: Any, depth: int) -> None:
    if isinstance(value, (dict, list)):
        if not depth:
            raise Malformed("more levels than allowed")
        if isinstance(value, dict):
            if not all(map(str.isascii, value)):
                raise Malformed("a name that is not ASCII")
            for name in value:
                _check_values(name, 1)
        for item in value.values() if isinstance(value, dict) else value:
            _check_values(item, depth - 1)
    elif isinstance(value, str) and "\0" in value:
        raise Malformed("a text with U+0000")


# Type, stream, marks (P process, S step), and the members of `data`: `?` may be absent; kinds are
# s text, i whole number, b flag, h digest, t moment, l list of texts, o object, a list of objects,
# x sealed field. A line may go on below, indented. Later versions add types and members; neither
# is an error here.
_MODEL = """
access.adopted run P grant:s state:s entitlement:s account_ref:s authority:o account?:x
  since_unknown?:b
access.approved run - grant:s state:s authority:o
access.excepted run - grant:s state:s expires_at:t approver:s
access.granted run PS grant:s state:s entitlement:s account_ref:s authority:o effective_at:t
  route:s changed:b account?:x level?:s expires_at?:t adopted?:b continues?:s http?:o
access.modified run PS grant:s state:s entitlement:s account_ref:s authority:o effective_at:t
  route:s changed:b from:s account?:x level?:s expires_at?:t adopted?:b continues?:s http?:o
access.pending run PS grant:s state:s entitlement:s account_ref:s expires_at?:t http?:o
access.refused run - grant:s state:s event:s
access.requested run P grant:s state:s entitlement:s action:s requested_by:s request_source:s
  risk:s level?:s expires_at?:t
access.revoked run PS grant:s state:s how:s cause:s due_at:t late_us:i entitlement?:s
  since_unknown?:b http?:o
access.verified run S grant:s state:s result:s http:o
act.recorded run S kind:s verb:s keys?:l run?:s outcome_digest?:h
admin.confirmed admin - of:s verb:s
admin.hold_released admin - rule:s n:i limit:i
admin.hold_triggered admin - rule:s n:i limit:i
admin.key_created admin - key:s scopes:l expires_at?:t
admin.key_revoked admin - key:s
admin.ordered admin - verb:s about:s expires_at:t
admin.webhook_configured admin - endpoint:s url_host:s events:l
admin.webhook_disabled admin - endpoint:s cause:s
admin.webhook_enabled admin - endpoint:s
admin.webhook_redelivered admin - endpoint:s n:i
admin.webhook_retired admin - endpoint:s url_host:s
connector.configured system - fields:l secret_schemes:l
connector.paused system -
connector.resumed system -
data.exported admin - kind:s rows:i filter_digest:h sha256?:h
data.journals_read admin - definitions:h runs:i runs_now:i blocked:i
data.revealed admin - fields:l purpose:s
data.sample_drawn admin - seed:s n:i since:s until:s
event.received run - source:s message_id:s body_digest:h signature:s wait?:s
event.refused system - source:s cause:s n:i window_s:i
incident.attached system - incident:s run:s key:s
incident.closed system - incident:s runs:i healed_by:s
incident.opened system - incident:s class:s first_run:s
incident.ticket_failed system - incident:s tracker:s class:s
incident.ticketed system - incident:s tracker:s ticket:s channel:s marker:s
log.anchor_failing log - target:s misses:i
log.anchor_recovered log - target:s
log.archived log - origin:s from:i to:i sha256:h
log.epoch_opened log - origin:s cause?:s previous_origin?:s previous_size?:i previous_root?:s
  previous_note_sha256?:h kept_size?:i lost_leaves?:i second?:s
log.head_adopted log - origin:s size:i root:s cause:s second?:s
log.key_rotated log - old_vkey:s new_vkey:s cause:s second?:s
log.pruned log - min_index:i origin?:s days?:i forced?:b second?:s
log.retention_changed log - before?:i after?:i
log.tick log -
person.amended admin - fields:l before_digest:h after_digest:h
person.key_created admin - n:i
person.registered admin - kind:s name:x
process.registered admin P source_sha256:h author:s drawing_sha256?:h previous?:i commit?:s
run.acknowledged run -
run.amended run - fields:l before_digest:h after_digest:h second?:s
run.cancel_requested run - compensate:b second?:s
run.cancelled run - undone:l kept:l
run.completed run P outcome_digest:h active_us:i elapsed_us:i
run.disclosed run - cause:s
run.drifted run - key:s fp_before:s fp_after:s definition_before:h definition_after:h
run.failed run P error:s key?:s message?:x
run.parked run - keys:l class:s incident?:s
run.paused run -
run.payload_expired run - digests:l policy:s
run.rescheduled run - waits:a effective_at:t
run.resumed run -
run.started run P source:o requested_by:s input_digest:h confidential:b kind?:s idempotency_key?:s
  parent?:o effective_at?:t time_zone?:s attributes?:o second?:s
run.taken_over run - from_worker:s to_worker:s epoch:i
run.unparked run - by:s
run.version_changed run P from:i to:i check:s
schedule.paused admin - schedule:s
schedule.registered admin - schedule:s process:s cron:s zone:s missed:s
schedule.resumed admin - schedule:s
schedule.retired admin - schedule:s
service.migrated service - from:s to:s sha256:h
service.restore_checked service - compared:i missing:i lost:i outside:i other:i
service.started service - version:s role:s git_sha?:s
service.stopped service -
service.worker_lost service - worker:s runs:i
setting.changed admin - name:s before?:s after?:s
step.attempt_failed run S class:s code:s http?:o next_at?:t
step.cancelled run S by:s
step.completed_by_hand run S second?:s grants?:l evidence_digest?:h outcome_digest?:h input_fp?:s
step.failed run S error:s cause:s outcome_digest:h duration_us:i late?:b
step.in_doubt run S cause:s policy:s
step.kept run S by:s input_fp?:s
step.looked run S claimed:b next_at:t
step.parked run S class:s rounds:i owner:s incident?:s task?:s
step.queued run S
step.resolved run S how:s http?:o
step.retried run S by:s
step.round_failed run S class:s attempts:i next_round_at?:t
step.skipped run S second?:s grants?:l evidence_digest?:h outcome_digest?:h input_fp?:s
step.started run S idempotency_key:s input_fp:s direction:s route?:s
step.succeeded run S outcome_digest:h duration_us:i changed?:b adopted?:b late?:b would?:s
  calls_digest?:h
person.hold_released admin - hold:s run?:s second?:s
person.hold_set admin - run?:s
subject.erased admin - keys:i rows:o order:s second:s
subject.erasure_ordered admin - expires_at:t
task.claimed run - task:s to:s from?:s until?:t
task.decided run PS task:s decision:s answer_digest:h channel:s auth:o excluded:l shown_digest?:h
  four_eyes?:s evidence_digest?:h comment?:x
task.delegated run - task:s to:s from?:s until?:t
task.escalated run - task:s level:i to:s
task.opened run S task:s kind:s assignees:l deputies:l excluded:l role?:s due_at?:t shown?:x
  form_sha256?:h proposal_digest?:h
task.reassigned run - task:s to:s from?:s until?:t
task.reminded run - task:s n:i channel:s
task.withdrawn run - task:s cause:s
wait.closed run S by:s outcome_digest?:h late_us?:i
wait.opened run S kind:s due_at?:t matches?:s input_fp?:s
"""

_RUN_STATES = frozenset({"running", "waiting", "parked", "completed", "failed", "cancelled"})
_MOMENT = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z"
).fullmatch
_DIGEST = re.compile(r"[0-9a-f]{64}").fullmatch
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch
_STREAM = re.compile(r"(?:run|system|auth|service|log)/[^\s/]+|admin|log").fullmatch
_TYPE = re.compile(r"[a-z]+\.[a-z]+(?:_[a-z]+)*").fullmatch
_SUBJECT = re.compile(r"(?:per|sub)_[0-7][0-9abcdefghjkmnpqrstvwxyz]{25}").fullmatch
_TRACE = re.compile(r"[0-9a-f]{32}").fullmatch


_FORMS = (("id", _ID), ("stream", _STREAM), ("type", _TYPE), ("occurred_at", _MOMENT))


def _is_sealed(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"enc", "kid", "iv", "ct"}


_KINDS = {
    "s": lambda value: type(value) is str,
    "i": lambda value: type(value) is int,
    "b": lambda value: type(value) is bool,
    "h": lambda value: type(value) is str and _DIGEST(value) is not None,
    "t": lambda value: type(value) is str and _MOMENT(value) is not None,
    "l": lambda value: type(value) is list and all(type(item) is str for item in value),
    "o": lambda value: type(value) is dict,
    "a": lambda value: type(value) is list and all(type(item) is dict for item in value),
    "x": _is_sealed,
}


class Model(NamedTuple):
    """What an entry of one type has to hold."""

    stream: str
    has_process: bool
    has_step: bool
    required: frozenset[str]
    kinds: dict[str, str]


def _models() -> dict[str, Model]:
    models = {}
    for line in _MODEL.strip().replace("\n  ", " ").splitlines():
        name, stream, marks, *members = line.split()
        pairs = [member.split(":") for member in members]
        models[name] = Model(
            stream,
            "P" in marks,
            "S" in marks,
            frozenset(member for member, _ in pairs if not member.endswith("?")),
            {member.rstrip("?"): kind for member, kind in pairs},
        )
    return models


MODELS = _models()

_ENVELOPE = {
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
_SOMETIMES = {
    "process": dict,
    "step": dict,
    "run_state": str,
    "reason": dict,
    "trace_id": str,
    "payload_sha256": str,
}


def read_entry(entry: bytes) -> dict[str, Any]:
    """Read an entry and check all that can be checked from its bytes alone; errors: Malformed."""
    if not 2 <= len(entry) <= 32768:
        raise Malformed("%d bytes" % len(entry))
    leaf = read_json(entry)
    if type(leaf) is not dict:
        raise Malformed("no object")
    shape = (*leaf, *map(type, leaf.values()))
    if shape not in _known_shapes:
        _check_shape(leaf)
        if len(_known_shapes) < 1024:
            _known_shapes.add(shape)
    _check_envelope(leaf)
    model = MODELS.get(leaf["type"])
    if model is not None:
        _check_model(leaf, model)
    return leaf


_known_shapes: set[tuple[Any, ...]] = set()
"""Names and kinds of envelopes that were found to be right: there are few, and many entries."""


def _check_shape(leaf: dict[str, Any]) -> None:
    for name, kinds in _ENVELOPE.items():
        if name not in leaf or type(leaf[name]) not in kinds:
            raise Malformed("`%s` is missing or of the wrong kind" % name)
    for name, kind in _SOMETIMES.items():
        if name in leaf and type(leaf[name]) is not kind:
            raise Malformed("`%s` is of the wrong kind" % name)


def _check_envelope(leaf: dict[str, Any]) -> None:
    if leaf["v"] != 1:
        raise Malformed("version %d is not known" % leaf["v"])
    for name, form in _FORMS:
        if form(leaf[name]) is None:
            raise Malformed("`%s` has the wrong form" % name)
    seq, prev, actor = leaf["seq"], leaf["prev"], leaf["actor"]
    if seq < 1 or (prev == "") != (seq == 1) or (prev and _DIGEST(prev) is None):
        raise Malformed("`prev` is a hash, and empty at 1 only")
    if (
        actor.get("type") not in ("person", "service", "key", "system")
        or type(actor.get("id")) is not str
    ):
        raise Malformed("`actor` has a type and an id")
    if leaf["subject"] is not None and _SUBJECT(leaf["subject"]) is None:
        raise Malformed("`subject` has the wrong form")
    if "run_state" in leaf and leaf["run_state"] not in _RUN_STATES:
        raise Malformed("`run_state` is none of the six")
    if "trace_id" in leaf and _TRACE(leaf["trace_id"]) is None:
        raise Malformed("`trace_id` has the wrong form")
    if "payload_sha256" in leaf and _DIGEST(leaf["payload_sha256"]) is None:
        raise Malformed("`payload_sha256` has the wrong form")
    if "reason" in leaf and type(leaf["reason"].get("code")) is not str:
        raise Malformed("`reason` has a code")


_known_facts: dict[tuple[Any, ...], list[str]] = {}
"""By names and kinds of facts that were found to be right: those whose values matter, too."""


def _check_model(leaf: dict[str, Any], model: Model) -> None:
    data = leaf["data"]
    if leaf["stream"].partition("/")[0] != model.stream:
        raise Malformed("`%s` stands in a stream of another kind" % leaf["type"])
    if not model.required <= data.keys():
        raise Malformed("`data` lacks %s" % ", ".join(sorted(model.required - data.keys())))
    shape = (leaf["type"], *data, *map(type, data.values()))
    for name in _known_facts.get(shape, data):
        if name in model.kinds and not _KINDS[model.kinds[name]](data[name]):
            raise Malformed("`data.%s` is of the wrong kind" % name)
    if shape not in _known_facts and len(_known_facts) < 1024:
        _known_facts[shape] = [name for name in data if model.kinds.get(name, "s") not in "sibo"]
    if model.has_process and not _is_process(leaf.get("process")):
        raise Malformed("`process` has a name, a version and a digest")
    if model.has_step and type(leaf.get("step", {}).get("key")) is not str:
        raise Malformed("`step` has a key")


def _is_process(value: Any) -> bool:
    return (
        value is not None
        and type(value.get("name")) is str
        and type(value.get("version")) is int
        and type(value.get("definition_sha256")) is str
        and _DIGEST(value["definition_sha256"]) is not None
    )


# ---------------------------------------------------------------------------------- findings

_RANK = {"pass": 0, "warning": 1, "undecided": 2, "fail": 3}
_MOST_FINDINGS = 1000


class Place:
    """Where in a log something was found; what is not known there is nothing."""

    def __init__(
        self,
        log: str,
        index: int | None = None,
        stream: str | None = None,
        seq: int | None = None,
        id_: str | None = None,
    ) -> None:
        """Name a place as well as it is known."""
        every = {"log": log, "index": index, "stream": stream, "seq": seq, "id": id_}
        self.known = {name: value for name, value in every.items() if value is not None}


class Report:
    """What was checked and what was found; the worst finding of a check is its result."""

    def __init__(self, name: str) -> None:
        """Begin a report on an input of this name."""
        self.name = name
        self.results: dict[str, str] = {}
        self.findings: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.first: dict[str, Any] | None = None
        self.unlisted = 0

    def ran(self, *checks: str) -> None:
        """Say that these checks were made; they pass unless something is found."""
        for check in checks:
            self.results.setdefault(check, "pass")

    def found(self, check: str, result: str, what: str, place: Place | None = None) -> None:
        """Add a finding."""
        self.ran(check)
        self.results[check] = max(self.results[check], result, key=_RANK.__getitem__)
        finding: dict[str, Any] = {"check": check, "result": result, "what": what}
        if place is not None:
            finding.update(place.known)
        if result == "fail" and "index" in finding and self._is_earlier(finding):
            self.first = finding
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(finding)
        else:
            self.unlisted += 1

    def _is_earlier(self, finding: dict[str, Any]) -> bool:
        first = self.first
        return first is None or (
            first["log"] == finding["log"] and finding["index"] < first["index"]
        )

    def code(self) -> int:
        """Give the exit code: any fail, else any undecided, else clean."""
        worst = max(map(_RANK.__getitem__, self.results.values()), default=2)
        return {3: TAMPERED, 2: INCOMPLETE}.get(worst, CLEAN)

    def as_json(self) -> dict[str, Any]:
        """Give everything as one object."""
        return {
            "input": self.name,
            "verifier": VERSION,
            "exit_code": self.code(),
            "verdict": _VERDICTS[self.code()],
            "logs": self.logs,
            "checks": [
                {"id": check, "title": title, "result": self.results.get(check, "not applicable")}
                for check, title in CHECKS.items()
            ],
            "first_failing_event": self.first,
            "findings": self.findings,
            "findings_not_listed": self.unlisted,
        }

    def as_text(self) -> str:
        """Give everything as lines."""
        lines = [
            "%s: %d entries, root %s" % (log["origin"], log["size"], log["root"])
            for log in self.logs
        ]
        for check, title in CHECKS.items():
            if check in self.results:
                lines.append("%s  %-9s  %s" % (check, self.results[check], title))
                lines.extend("       " + _told(f) for f in self.findings if f["check"] == check)
        if self.unlisted:
            lines.append("%d more findings are not listed" % self.unlisted)
        if self.first is not None:
            lines.append("first failing event: " + _told(self.first))
        return "\n".join([*lines, "%s: %s" % (self.name, _VERDICTS[self.code()])])


_VERDICTS = {
    CLEAN: "clean",
    TAMPERED: "TAMPERED: the evidence contradicts itself, the key or an anchor",
    INCOMPLETE: "incomplete: nothing contradicts, but not all could be decided",
}


def _told(finding: dict[str, Any]) -> str:
    where = ["%s %s" % (k, finding[k]) for k in ("index", "stream", "seq", "id") if k in finding]
    return "%s: %s%s" % (
        finding["result"],
        finding["what"],
        " (%s)" % ", ".join(where) if where else "",
    )


# ---------------------------------------------------------------------- where bytes come from


def _digest_of(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while True:
        part = file.read(1 << 20)
        if not part:
            return digest.hexdigest()
        digest.update(part)


class Folder:
    """Files below a folder."""

    def __init__(self, root: Path) -> None:
        """Read below this folder only."""
        self.root = root

    def read(self, path: str) -> bytes | None:
        """Give a file, or nothing where there is none."""
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def digest(self, path: str) -> str:
        """Give the SHA-256 of a file that is there, in hex."""
        with (self.root / path).open("rb") as file:
            return _digest_of(file)

    def names(self) -> list[str]:
        """Give all files, as paths below the folder."""
        files = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in files)


class Zip:
    """Files of a zip."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Read from an open archive."""
        self.archive = archive

    def read(self, path: str) -> bytes | None:
        """Give a file, or nothing where there is none; errors: Malformed, if it is damaged."""
        try:
            return self.archive.read(path)
        except KeyError:
            return None
        except (zipfile.BadZipFile, zipfile.zlib.error, EOFError) as why:  # type: ignore[attr-defined]
            raise Malformed("%s cannot be read: %s" % (path, why)) from None

    def digest(self, path: str) -> str:
        """Give the SHA-256 of a file that is there, in hex; errors: Malformed, if it is damaged."""
        try:
            with self.archive.open(path) as file:
                return _digest_of(file)
        except (zipfile.BadZipFile, zipfile.zlib.error, EOFError) as why:  # type: ignore[attr-defined]
            raise Malformed("%s cannot be read: %s" % (path, why)) from None

    def names(self) -> list[str]:
        """Give all files of the archive."""
        return sorted(name for name in self.archive.namelist() if not name.endswith("/"))


class Served:
    """A log under an address; an API key goes into the header, and never into an argument."""

    def __init__(self, address: str, key: str | None) -> None:
        """Read below this prefix."""
        self.address = address.rstrip("/")
        self.key = key

    def read(self, path: str) -> bytes | None:
        """Fetch a resource, or nothing where there is none; errors: Unusable."""
        request = urllib.request.Request(self.address + "/" + path)
        if self.key:  # for this server alone, not for where it may send us
            request.add_unredirected_header("Authorization", "Bearer " + self.key)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as refused:
            if refused.code in (404, 410):
                return None
            raise Unusable("%s answered %d" % (request.full_url, refused.code)) from None
        except OSError as why:
            raise Unusable("%s cannot be read: %s" % (request.full_url, why)) from None

    def names(self) -> list[str]:
        """Give what is known to be there without asking for tiles."""
        return ["checkpoint"]


class Below:
    """The part of a source below a prefix."""

    def __init__(self, source: Source, prefix: str) -> None:
        """Read below this prefix of another source."""
        self.source, self.prefix = source, prefix

    def read(self, path: str) -> bytes | None:
        """Give a file below the prefix."""
        data: bytes | None = self.source.read(self.prefix + path)
        return data

    def names(self) -> list[str]:
        """Give the files below the prefix."""
        cut = len(self.prefix)
        return [name[cut:] for name in self.source.names() if name.startswith(self.prefix)]


Source = Any  # Folder, Zip, Served or Below: `read(path)` and `names()`


# ------------------------------------------------------------------------------------ a log


class Stream(NamedTuple):
    """The last entry of a stream."""

    seq: int
    hash: bytes
    occurred_at: str


class Rotation(NamedTuple):
    """A change of the log's key, as the entry at a place tells it."""

    log: str
    at: int
    old: str
    new: str
    is_compromised: bool


class Facts:
    """What entries have told so far, over all log epochs of one deployment."""

    def __init__(self, *, is_state_wanted: bool = True) -> None:
        """Begin with nothing known; is_state_wanted: for `compare_state`, which needs all rows."""
        self.is_state_wanted = is_state_wanted
        self.streams: dict[str, Stream] = {}
        self.ids: dict[int, int] = {}
        self.hashes = bytearray()
        self.is_excerpt = False
        self.pending: list[tuple[int, str, str, Place]] = []
        self.rotations: list[Rotation] = []
        self.pruned: dict[str, int] = {}
        self.rows: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in STATE}
        self.unknown: dict[str, int] = {}
        self.derived: Derived | None = None

    def take(
        self, leaf: dict[str, Any], hash_: bytes, index: int, log: str, report: Report
    ) -> None:
        """Check one entry against those before it, and remember it."""
        stream, seq = leaf["stream"], leaf["seq"]
        before = self.streams.get(stream)
        if before is None:
            if seq != 1 and not self.is_excerpt:
                report.found(
                    "V10", "fail", "the stream begins at %d" % seq, _place(log, index, leaf)
                )
        elif seq != before.seq + 1:
            what = "%d follows %d" % (seq, before.seq)
            report.found("V10", "fail", what, _place(log, index, leaf))
        elif leaf["prev"] != before.hash.hex():
            what = "`prev` is not the hash of the entry before"
            report.found("V10", "fail", what, _place(log, index, leaf))
        if before is not None and leaf["occurred_at"] < before.occurred_at:
            what = "%s after %s" % (leaf["occurred_at"], before.occurred_at)
            report.found("V11", "fail", what, _place(log, index, leaf))
        self.streams[stream] = Stream(seq, hash_, leaf["occurred_at"])
        self._references(leaf, hash_, index, log, report)
        self._fold(leaf, index, log)

    def _references(
        self, leaf: dict[str, Any], hash_: bytes, index: int, log: str, report: Report
    ) -> None:
        number = int(leaf["id"].replace("-", ""), 16)
        data = leaf["data"]
        authority = data.get("authority")
        if type(authority) is dict and type(authority.get("event")) is str:
            sealed = authority.get("leaf_hash", "")
            self._refer(authority["event"], str(sealed), _place(log, index, leaf), report)
        for name in ("of", "event"):
            if type(data.get(name)) is str and leaf["type"] in (
                "admin.confirmed",
                "access.refused",
            ):
                self._refer(data[name], "", _place(log, index, leaf), report)
        if number in self.ids:
            report.found("V12", "fail", "the id was used before", _place(log, index, leaf))
        self.ids[number] = len(self.hashes) // 32
        self.hashes += hash_

    def _refer(self, id_: str, sealed: str, place: Place, report: Report) -> None:
        try:
            number = int(id_.replace("-", ""), 16)
        except ValueError:
            report.found("V12", "fail", "refers to %s, which is no id" % id_[:60], place)
            return
        at = self.ids.get(number)
        if at is None:
            self.pending.append((number, id_, sealed, place))
        elif sealed and self.hashes[at * 32 : at * 32 + 32].hex() != sealed:
            report.found("V12", "fail", "refers to %s by another hash" % id_, place)

    def settle(self, report: Report) -> None:
        """Judge references that led nowhere when they were read."""
        for number, id_, _, place in self.pending:
            if number in self.ids:
                report.found("V12", "fail", "rests on %s, which came later" % id_, place)
            elif self.is_excerpt:
                report.found("V12", "undecided", "rests on %s, which is not in here" % id_, place)
            else:
                report.found("V12", "fail", "rests on %s, which does not exist" % id_, place)

    def _fold(self, leaf: dict[str, Any], index: int, log: str) -> None:
        type_, data = leaf["type"], leaf["data"]
        if "run_state" in leaf and self.is_state_wanted:
            _of_run(self.rows, leaf)["state"] = leaf["run_state"]
        fold = _FOLDS.get(type_)
        if fold is not None and self.is_state_wanted:
            try:
                fold(self.rows, leaf)
            except _UNFIT:
                self.unknown[type_] = self.unknown.get(type_, 0) + 1
        if type_ == "log.key_rotated":
            names = (str(data.get("old_vkey")), str(data.get("new_vkey")))
            self.rotations.append(
                Rotation(log, index, *names, "compromised" in str(data.get("cause")))
            )
        elif type_ == "log.pruned" and type(data.get("min_index")) is int:
            given_up = str(data.get("origin", log))
            self.pruned[given_up] = max(self.pruned.get(given_up, 0), data["min_index"])
        if type_ not in MODELS:
            self.unknown[type_] = self.unknown.get(type_, 0) + 1


# What each type does to the state, as the database has to have it. A fact is written by its name
# in the rows that are handed in; `""` is the stream that told of it last.

STATE = ("run", "grant", "task", "incident", "ticket", "key", "definition", "schedule")
Rows = dict[str, dict[str, dict[str, Any]]]


def _of(rows: Rows, kind: str, name: str, leaf: dict[str, Any]) -> dict[str, Any]:
    row = rows[kind].get(name)
    if row is None:
        row = rows[kind][name] = {}
    row[""] = leaf["stream"]
    return row


def _of_run(rows: Rows, leaf: dict[str, Any]) -> dict[str, Any]:
    row = rows["run"].get(leaf["stream"])
    if row is None:
        row = rows["run"][leaf["stream"]] = {"": leaf["stream"], "state": "", "version": 0}
    return row


def _run_started(rows: Rows, leaf: dict[str, Any]) -> None:
    row, process = _of_run(rows, leaf), leaf["process"]
    row.update(process=process["name"], version=process["version"], subject=leaf["subject"])
    row.update(is_paused=False, is_acknowledged=False, is_expired=False)


def _version_changed(rows: Rows, leaf: dict[str, Any]) -> None:
    _of_run(rows, leaf).update(version=leaf["data"]["to"], process=leaf["process"]["name"])


def _mark(name: str, value: Any) -> Any:
    def mark(rows: Rows, leaf: dict[str, Any]) -> None:
        _of_run(rows, leaf)[name] = value

    return mark


def _grant(rows: Rows, leaf: dict[str, Any]) -> None:
    data, type_ = leaf["data"], leaf["type"]
    row = _of(rows, "grant", data["grant"], leaf)
    row["state"] = data["state"]
    if type_ in ("access.granted", "access.modified", "access.pending", "access.adopted"):
        row.update(person=leaf["subject"], entitlement=data["entitlement"])
        if "effective_at" in data:
            row.setdefault("valid_from", data["effective_at"])
    if type_ == "access.modified" and data["from"] in rows["grant"]:
        before = _of(rows, "grant", data["from"], leaf)
        before.update(state="revoked", valid_to=data["effective_at"])
    elif type_ == "access.revoked":
        row.setdefault("person", leaf["subject"])
        row.setdefault("valid_to", leaf["occurred_at"])


def _skipped(rows: Rows, leaf: dict[str, Any]) -> None:
    for grant in leaf["data"].get("grants") or ():  # what the step was to give
        _of(rows, "grant", grant, leaf).update(state="waived", person=leaf["subject"])


def _task(rows: Rows, leaf: dict[str, Any]) -> None:
    data, type_ = leaf["data"], leaf["type"]
    row = _of(rows, "task", data["task"], leaf)
    if type_ == "task.opened":
        row.update(
            state="open", decision=None, by=None, run=leaf["stream"], key=leaf["step"]["key"]
        )
    elif type_ == "task.decided":
        by = leaf["actor"].get("on_behalf_of") or leaf["actor"]["id"]
        row.update(state="decided", decision=data["decision"], by=by)
    else:
        row["state"] = "expired" if data["cause"] == "timer" else "withdrawn"


def _incident(rows: Rows, leaf: dict[str, Any]) -> None:
    row, type_ = _of(rows, "incident", leaf["data"]["incident"], leaf), leaf["type"]
    row["is_closed"] = type_ == "incident.closed"
    if type_ == "incident.opened":
        row["class"] = leaf["data"]["class"]


def _ticket(rows: Rows, leaf: dict[str, Any]) -> None:
    data = leaf["data"]
    name = "%s %s" % (data["incident"], data["tracker"])
    _of(rows, "ticket", name, leaf)["external_key"] = data["ticket"]


def _key(rows: Rows, leaf: dict[str, Any]) -> None:
    row = _of(rows, "key", leaf["data"]["key"], leaf)
    row["is_revoked"] = leaf["type"] == "admin.key_revoked"
    if leaf["type"] == "admin.key_created":
        row["expires_at"] = leaf["data"].get("expires_at")


def _definition(rows: Rows, leaf: dict[str, Any]) -> None:
    process = leaf["process"]
    row = _of(rows, "definition", "%s@%d" % (process["name"], process["version"]), leaf)
    row.update(sha256=process["definition_sha256"], source_sha256=leaf["data"]["source_sha256"])
    row["drawing_sha256"] = leaf["data"].get("drawing_sha256")


def _schedule(rows: Rows, leaf: dict[str, Any]) -> None:
    data, type_ = leaf["data"], leaf["type"]
    row = _of(rows, "schedule", data["schedule"], leaf)
    if type_ == "schedule.registered":
        row.update({name: data[name] for name in ("process", "cron", "zone", "missed")})
        row["is_retired"] = False
        row.setdefault("is_paused", False)
    elif type_ == "schedule.retired":
        row["is_retired"] = True
    else:
        row["is_paused"] = type_ == "schedule.paused"


_FOLDS = {
    "run.started": _run_started,
    "run.version_changed": _version_changed,
    "run.paused": _mark("is_paused", value=True),
    "run.resumed": _mark("is_paused", value=False),
    "run.acknowledged": _mark("is_acknowledged", value=True),
    "run.payload_expired": _mark("is_expired", value=True),
    "step.skipped": _skipped,
    "task.opened": _task,
    "task.decided": _task,
    "task.withdrawn": _task,
    "incident.opened": _incident,
    "incident.closed": _incident,
    "incident.ticketed": _ticket,
    "admin.key_created": _key,
    "admin.key_revoked": _key,
    "process.registered": _definition,
    "schedule.registered": _schedule,
    "schedule.retired": _schedule,
    "schedule.paused": _schedule,
    "schedule.resumed": _schedule,
    "access.requested": _grant,
    "access.approved": _grant,
    "access.refused": _grant,
    "access.excepted": _grant,
    "access.granted": _grant,
    "access.modified": _grant,
    "access.pending": _grant,
    "access.adopted": _grant,
    "access.revoked": _grant,
    "access.verified": _grant,
}


def _place(log: str, index: int, leaf: dict[str, Any]) -> Place:
    return Place(log, index, leaf["stream"], leaf["seq"], leaf["id"])


class Log:
    """One tree with one origin: its own checkpoints, anchors of it, tiles and entries."""

    def __init__(self, source: Source, name: str, report: Report) -> None:
        """Read the log's own checkpoints; what cannot be read as one is a finding."""
        self.source, self.report, self.name = source, report, name
        self.own: list[Checkpoint] = []
        self.anchors: list[Checkpoint] = []
        self.roots: dict[int, bytes] = {}
        self.kept: int | None = None
        self.is_opaque = False
        self.tree = Tree()
        self._absent: list[tuple[int, int]] = []
        self._names = [each for each in source.names() if "tile/" not in each]
        self._partials = self._partial_files()
        report.ran("V03")
        for path in self._names:
            if re.fullmatch(r"checkpoint(?:\.\d+|s/\d+)?", path):
                self._read_own(path)
        newest = max(self.own, key=lambda each: each.size, default=None)
        self.origin = newest.origin if newest else name
        self.size = newest.size if newest else 0

    def _read_own(self, path: str) -> None:
        try:
            raw = self.source.read(path)
            if raw is None:
                return
            checkpoint = read_checkpoint(raw, path)
        except Malformed as why:
            self.report.found("V03", "fail", "%s: %s" % (path, why), Place(self.name))
            return
        told = re.search(r"\d+$", path)
        if told is not None and int(told[0]) != checkpoint.size:
            what = "%s is of size %d" % (path, checkpoint.size)
            self.report.found("V03", "fail", what, Place(checkpoint.origin))
        self.own.append(checkpoint)

    def _partial_files(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for name in self.source.names():
            path, separator, width = name.rpartition(".p/")
            if separator and width.isdigit():
                found.setdefault(path, []).append(int(width))
        return found

    def first_entry(self) -> bytes | None:
        """Give the first entry, unchecked, or nothing."""
        bundle = self._resource("entries", 0, min(256, self.size) or 1)
        if bundle is None or len(bundle[0]) < 2:
            return None
        return bundle[0][2 : 2 + int.from_bytes(bundle[0][:2], "big")]

    def walk(self, facts: Facts, start: int) -> None:
        """Read all tiles and entries up to the newest checkpoint; entries from `start` on."""
        report = self.report
        if not self.own:
            return
        report.ran("V05", "V06", *(() if self.is_opaque else ("V04", "V10", "V11", "V12")))
        wanted = self._wanted()
        if 0 in wanted:
            self.roots[0] = self.tree.root([])
        for number in range((self.size + 255) // 256):
            base = number * 256
            width = min(256, self.size - base)
            hashes = self._hashes(number, width, facts, start)
            if hashes is None:
                what = "the tree ends at %d: neither entries nor hashes of what follows" % base
                report.found("V06", "undecided", what, Place(self.origin))
                break
            for size in wanted:
                if base < size <= base + width:
                    self.roots[size] = self.tree.root(hashes[: size - base])
            if width == 256:
                for level, place, tile in self.tree.add(hashes):
                    self._compare_tile(level, place, tile)
        else:
            for level, place, tile in self.tree.partial():
                self._compare_tile(level, place, tile)
        self._tell_absent(facts)

    def _wanted(self) -> list[int]:
        return sorted(
            {each.size for each in (*self.own, *self.anchors)} | {self.size, self.kept or 0}
        )

    def _hashes(self, number: int, width: int, facts: Facts, start: int) -> list[bytes] | None:
        """Give the leaf hashes of one tile after checking its entries against it."""
        base = number * 256
        tile = self._tile(0, number, width)
        entries = None if base + width <= start else self._entries(number, width)
        if entries is None:
            self._absent.append((base, base + width))
            facts.is_excerpt = True
            facts.streams.clear()  # what comes after a gap cannot be linked to what was before
            return tile
        hashes = [leaf_hash(entry) for entry in entries]
        if tile is None:
            what = "tile %s is not there" % tile_path("0", number, width)
            self.report.found("V05", "undecided", what, Place(self.origin, base))
        for offset, entry in enumerate(entries):
            if tile is not None and tile[offset] != hashes[offset]:
                what = "the entry does not hash to its place in the tile"
                self.report.found("V05", "fail", what, self._entry_place(base + offset, entry))
            if not self.is_opaque:
                self._take(base + offset, entry, hashes[offset], facts)
        return hashes

    def _take(self, index: int, entry: bytes, hash_: bytes, facts: Facts) -> None:
        try:
            leaf = read_entry(entry)
        except Malformed as why:
            self.report.found("V04", "fail", str(why), self._entry_place(index, entry))
            return
        facts.take(leaf, hash_, index, self.origin, self.report)
        if facts.derived is not None:
            try:
                facts.derived.take(leaf, index, hash_, entry)
            except _UNFIT:
                what = "no row can be made of the entry"
                self.report.found("V16", "fail", what, self._entry_place(index, entry))

    def _entry_place(self, index: int, entry: bytes) -> Place:
        """Name an entry as well as its bytes allow."""
        try:
            leaf = json.loads(entry)
            return Place(self.origin, index, str(leaf["stream"]), int(leaf["seq"]), str(leaf["id"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return Place(self.origin, index)

    def _tell_absent(self, facts: Facts) -> None:
        """Say which entries are not there; below the pruned minimum that is as announced."""
        for first, end in _joined(self._absent):
            if end <= facts.pruned.get(self.origin, 0):
                what = "entries %d to %d were pruned, as the log says; hashes only" % (
                    first,
                    end - 1,
                )
                self.report.found("V04", "warning", what, Place(self.origin))
            else:
                what = "entries %d to %d are not in here; hashes only" % (first, end - 1)
                self.report.found("V04", "undecided", what, Place(self.origin))

    def _resource(self, level: str, number: int, width: int) -> tuple[bytes, int] | None:
        """Read a tile or bundle at least this wide: the exact one, a wider one, the full one."""
        path = tile_path(level, number)
        others = sorted(each for each in self._partials.get(path, ()) if each > width)
        for each in (width, *others, 256):
            found = self.source.read(path if each == 256 else "%s.p/%d" % (path, each))
            if found is not None:
                return found, each
        return None

    def _tile(self, level: int, number: int, width: int) -> list[bytes] | None:
        found = self._resource(str(level), number, width)
        if found is None:
            return None
        data, wide = found
        if len(data) != wide * 32:
            what = "tile %s has %d bytes" % (tile_path(str(level), number, wide), len(data))
            self.report.found("V05", "fail", what, Place(self.origin, number * 256 ** (level + 1)))
            return None
        self._compare_partials(str(level), number, data, [32] * wide, wide)
        return [data[at : at + 32] for at in range(0, width * 32, 32)]

    def _entries(self, number: int, width: int) -> list[bytes] | None:
        found = self._resource("entries", number, width)
        if found is None:
            return None
        data, wide = found
        entries: list[bytes] = []
        at = 0
        while at + 2 <= len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if end > len(data):
                break
            entries.append(data[at + 2 : end])
            at = end
        if at != len(data) or len(entries) != wide:
            what = "the bundle %s is not made of its entries" % tile_path("entries", number, wide)
            self.report.found("V05", "fail", what, Place(self.origin, number * 256 + len(entries)))
        self._compare_partials("entries", number, data, [len(each) + 2 for each in entries], wide)
        return entries[:width] if len(entries) >= width else None

    def _compare_partials(
        self, level: str, number: int, data: bytes, lengths: list[int], wide: int
    ) -> None:
        """Compare the other partial files of a tile: each begins it, or begins with it."""
        for width in self._partials.get(tile_path(level, number), ()):
            if width == wide:
                continue
            path = tile_path(level, number, width)
            other = self.source.read(path) or b""
            expected = data[: sum(lengths[:width])]
            if other[: len(expected)] != expected or (width < wide and len(other) > len(expected)):
                what = "%s is no beginning of the tile" % path
                place = number if level == "entries" else number * 256 ** int(level)
                self.report.found("V05", "fail", what, Place(self.origin, place * 256))

    def _compare_tile(self, level: int, number: int, expected: list[bytes]) -> None:
        tile = self._tile(level, number, len(expected))
        path = tile_path(str(level), number, len(expected))
        if tile is None:
            self.report.found("V05", "undecided", "tile %s is not there" % path, Place(self.origin))
        elif tile != expected:
            self.report.found(
                "V05", "fail", "tile %s is not over the tiles below" % path, Place(self.origin)
            )


def _joined(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join ranges that touch."""
    open_: tuple[int, int] | None = None
    for first, end in ranges:
        if open_ is not None and open_[1] == first:
            open_ = (open_[0], end)
            continue
        if open_ is not None:
            yield open_
        open_ = (first, end)
    if open_ is not None:
        yield open_


# ------------------------------------------------------------------- signatures and anchors


class Trust:
    """Whose signature counts on which checkpoint: pinned keys, and those they handed over to."""

    def __init__(self, policy: Policy | None, rotations: Sequence[Rotation]) -> None:
        """Begin with the pinned keys; `policy` is nothing where nobody is believed."""
        self.policy = policy or Policy()
        self.is_blind = not self.policy.logs
        self.rotations = rotations
        self.inherited: list[tuple[Key, Rotation]] = []

    def keys_of(self, origin: str) -> list[Key]:
        """Give the keys that count for an origin; a pinned key counts in all log epochs."""
        keys = self.policy.keys_of(origin) or [
            _renamed(key, origin) for key in self.policy.logs if _is_sibling(key.name, origin)
        ]
        return keys + [key for key, _ in self.inherited if key.name == origin]

    def inherit(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Believe new keys that stand in a tree signed by a believed key, one after the other."""
        known = list(checkpoints)
        for rotation in self.rotations:
            try:
                key = read_key(rotation.new)
            except Malformed:
                continue
            if any(_covers(each, rotation) and self.signed_by(each) for each in known):
                self.inherited.append((key, rotation))

    def signed_by(self, checkpoint: Checkpoint) -> list[Key]:
        """Give the believed keys that signed; wrong lines count as none."""
        try:
            return signers(checkpoint.note, self.keys_of(checkpoint.origin))
        except Malformed:
            return []

    def is_outdated(self, checkpoint: Checkpoint, by: Sequence[Key]) -> bool:
        """Tell whether only a key signed that was given up as compromised before."""
        for rotation in self.rotations:
            if rotation.is_compromised and _covers(checkpoint, rotation):
                by = [key for key in by if rotation.old != _written(key)]
        return not by


def _covers(checkpoint: Checkpoint, rotation: Rotation) -> bool:
    return checkpoint.origin == rotation.log and checkpoint.size > rotation.at


def _is_sibling(name: str, origin: str) -> bool:
    """Tell whether two origins are log epochs of the same log: they differ in the last number."""
    (log, _, number), (other, _, epoch) = name.rpartition("/"), origin.rpartition("/")
    return log == other != "" and number.isdigit() and epoch.isdigit()


def _renamed(key: Key, origin: str) -> Key:
    material = bytes([key.kind]) + key.public
    return key._replace(
        name=origin, id=hashlib.sha256(origin.encode() + b"\n" + material).digest()[:4]
    )


def _written(key: Key) -> str:
    material = base64.b64encode(bytes([key.kind]) + key.public).decode()
    return "%s+%s+%s" % (key.name, key.id.hex(), material)


def judge(log: Log, trust: Trust, report: Report) -> None:
    """Judge checkpoints, anchors and cosignatures, after the walk (V03, V06 to V09)."""
    for checkpoint in log.own:
        if checkpoint.origin != log.origin:
            what = "%s is of the origin %s" % (checkpoint.where, checkpoint.origin)
            report.found("V03", "fail", what, Place(log.origin))
        _judge_signature("V03", checkpoint, trust, report)
        _judge_root("V06", checkpoint, log, report)
    if not log.own:
        report.found("V03", "undecided", "there is no checkpoint to trust", Place(log.origin))
    _judge_agreement([*log.own, *log.anchors], report)
    for anchor in log.anchors:
        report.ran("V08")
        _judge_anchor(anchor, log, trust, report)
    if trust.policy.quorum != b"none":
        _judge_quorum(log, trust, report)


def _judge_signature(check: str, checkpoint: Checkpoint, trust: Trust, report: Report) -> None:
    place = Place(checkpoint.origin)
    if trust.is_blind:
        what = "%s: no key is pinned, so nobody vouches for it" % checkpoint.where
        report.found(check, "undecided", what, place)
        return
    try:
        by = signers(checkpoint.note, trust.keys_of(checkpoint.origin))
    except Malformed as why:
        report.found(check, "fail", "%s: %s" % (checkpoint.where, why), place)
        return
    if not by:
        report.found(check, "fail", "%s: not signed by a pinned key" % checkpoint.where, place)
    elif trust.is_outdated(checkpoint, by):
        what = "%s: signed only by a key that was given up as compromised" % checkpoint.where
        report.found("V15", "fail", what, place)


def _judge_root(check: str, checkpoint: Checkpoint, log: Log, report: Report) -> None:
    root = log.roots.get(checkpoint.size)
    place = Place(log.origin)
    if log.kept is not None and checkpoint.size > log.kept:
        return
    if root is None:
        what = "%s: the tree cannot be recomputed up to %d" % (checkpoint.where, checkpoint.size)
        report.found(check, "undecided", what, place)
    elif root != checkpoint.root:
        good = [each.size for each in log.own if log.roots.get(each.size) == each.root]
        since = max((size for size in good if size < checkpoint.size), default=0)
        what = "%s: the entries give another root; what differs is one of %d to %d" % (
            checkpoint.where,
            since,
            checkpoint.size - 1,
        )
        report.found(check, "fail", what, place)


def _judge_agreement(checkpoints: Sequence[Checkpoint], report: Report) -> None:
    """One root for each size: of different sizes, the recomputed roots speak (V06, V08)."""
    report.ran("V07")
    roots: dict[tuple[str, int], Checkpoint] = {}
    for each in checkpoints:
        first = roots.setdefault((each.origin, each.size), each)
        if first.root != each.root:
            what = "%s and %s: two roots for size %d" % (first.where, each.where, each.size)
            report.found("V07", "fail", what, Place(each.origin))


def _judge_anchor(anchor: Checkpoint, log: Log, trust: Trust, report: Report) -> None:
    _judge_signature("V08", anchor, trust, report)
    if log.kept is not None and anchor.size > log.kept:
        return  # V15 says whether the next log epoch admits it
    if anchor.size > log.size or not log.own:
        what = "%s: %d entries were anchored, the log vouches for %d" % (
            anchor.where,
            anchor.size,
            log.size if log.own else 0,
        )
        report.found("V08", "fail", what, Place(log.origin))
        return
    _judge_root("V08", anchor, log, report)


def _judge_quorum(log: Log, trust: Trust, report: Report) -> None:
    report.ran("V09")
    best = None
    for each in (*log.own, *log.anchors):
        try:
            if trust.policy.is_satisfied(each.note):
                best = max(best or 0, each.size)
        except Malformed as why:
            report.found("V09", "fail", "%s: %s" % (each.where, why), Place(log.origin))
    if best is None:
        what = "no checkpoint was cosigned by enough witnesses"
        report.found("V09", "fail", what, Place(log.origin))
    elif best < log.size:
        what = "cosigned up to %d; the %d entries after that are signed only" % (
            best,
            log.size - best,
        )
        report.found("V09", "warning", what, Place(log.origin))


def judge_epochs(
    logs: Sequence[Log], openings: Sequence[dict[str, Any] | None], report: Report
) -> None:
    """Check that each log epoch names the one before it and admits what was lost (V15)."""
    report.ran("V15")
    for place, (log, opening) in enumerate(zip(logs, openings)):
        if opening is None:
            if place:
                what = "it does not begin with `log.epoch_opened`"
                report.found("V15", "fail", what, Place(log.origin, 0))
            continue
        said = opening["data"]
        if log.own and said["origin"] != log.origin:
            what = "it says that it is the log %s" % said["origin"]
            report.found("V15", "fail", what, _place(log.origin, 0, opening))
        if place:
            _judge_opening(logs[place - 1], said, _place(log.origin, 0, opening), report)
        elif "previous_origin" in said:
            what = "the log epoch before it, %s, is not in here" % said["previous_origin"]
            report.found("V15", "undecided", what, Place(log.origin))


def _judge_opening(before: Log, said: dict[str, Any], place: Place, report: Report) -> None:
    size, root = said.get("previous_size", 0), said.get("previous_root")
    if said.get("previous_origin") != before.origin:
        what = "it follows %s, which is another log" % said.get("previous_origin")
        report.found("V15", "fail", what, place)
    known = before.roots.get(size)
    if size <= (before.kept or 0) and known is not None and _spellings(known).isdisjoint({root}):
        report.found("V15", "fail", "it names another root of the log epoch before it", place)
    for anchor in before.anchors:
        if anchor.size <= (before.kept or 0):
            continue
        noted = hashlib.sha256(anchor.raw).hexdigest()
        admitted = anchor.size < size or (
            anchor.size == size and noted == said.get("previous_note_sha256")
        )
        result = "warning" if admitted else "fail"
        what = "%s: %d entries were anchored and %d kept; the rest is lost%s" % (
            anchor.where,
            anchor.size,
            before.kept or 0,
            "" if admitted else ", and nobody says so",
        )
        report.found("V08", result, what, Place(before.origin))


def _spellings(root: bytes) -> set[str]:
    return {root.hex(), base64.b64encode(root).decode()}


def read_opening(entry: bytes | None) -> dict[str, Any] | None:
    """Give the first entry of a log epoch if it says that it is one."""
    if entry is None:
        return None
    try:
        leaf = read_entry(entry)
    except Malformed:
        return None
    return leaf if leaf["type"] == "log.epoch_opened" else None


# ------------------------------------------------------------------ what is made of entries
# The tables of a package, told once more in the verifier's own words: each is a list of rows that
# one entry begins and later ones complete. Columns stand in their order in the file; `*` are the
# four facts about a person that a run's start carries, and each row ends with its entry's place.

_TABLES = {}
for _line_ in (
    """
population/runs row_id subject_ref run_id process process_version kind source requested_by
  requested_at effective_at * state completed_at systems_done first_access_at last_revoked_at
  sla_hours sla_met
access_grants row_id subject_ref * system entitlement level action grant requested_at requested_by
  request_source approved_at approver_ref approval_event authority_kind policy_id policy_sha256
  four_eyes_ok effective_at executed_at executed_by account_ref provider_request_id http_status
  rounds attempts verified_at result expires_at revoked_at due_at late_us sla_hours sla_met
  ticket_ref run_id process process_version step_key
approvals row_id task run_id process subject_ref requested_by approver_ref decision opened_at
  decided_at due_at channel auth_methods auth_age_s shown_digest excluded four_eyes_ok
exceptions row_id type run_id step_key subject_ref actor_ref second_ref reason_code occurred_at
  expires_at is_access
escalations row_id incident system class opened_at rounds ticketed_at ticket_ref tracker channel
  tickets runs healed_by healed_at minutes_open
admin_actions row_id type actor_ref second_ref object before after subject_ref reason_code
  occurred_at
api_keys row_id key scopes created_at created_by expires_at revoked_at
""".strip()
    .replace("\n  ", " ")
    .splitlines()
):
    _name_, *_columns_ = _line_.replace(
        "*", "employment_type department job_role manager_ref"
    ).split()
    _TABLES[_name_] = [*_columns_, "leaf_index", "leaf_hash"]
_POPULATIONS = {"joiner": "joiners", "mover": "movers", "leaver": "leavers", "request": "requests"}
for _name_ in _POPULATIONS.values():
    _TABLES["population/" + _name_] = _TABLES["population/runs"]
_SAMPLES = [name for name in _TABLES if name.startswith("population/")]
_SAMPLES += ["access_grants", "approvals"]
_OF_A_PERSON = ("population/runs", "access_grants", "approvals", "exceptions")
_GIVEN = {
    "access.pending": "prepare",
    "access.granted": "grant",
    "access.modified": "modify",
    "access.adopted": "adopt",
    "access.revoked": "revoke",
}
_RUNNING_NEWEL = re.compile(
    r"(?:admin|policy|setting|connector|data|log|process|schedule|subject)\."
).match
_NAMING = ("key", "name", "schedule", "endpoint", "target", "kind", "seed", "origin")
_HOUR = 3600 * 10**6
_DAY = 24 * _HOUR

_minutes: dict[str, int] = {}


def microseconds(moment: str) -> int:
    """Give a moment as a number of microseconds; differences are what it is good for."""
    start = _minutes.get(moment[:16])
    if start is None:
        day = date(int(moment[:4]), int(moment[5:7]), int(moment[8:10])).toordinal()
        start = ((day * 24 + int(moment[11:13])) * 60 + int(moment[14:16])) * 60 * 10**6
        if len(_minutes) > 100_000:
            _minutes.clear()
        _minutes[moment[:16]] = start
    return start + int(moment[17:19]) * 10**6 + int(moment[20:26])


def _whose(leaf: dict[str, Any]) -> str:
    actor = leaf["actor"]
    return str(actor.get("on_behalf_of") or actor["id"])


class Row:
    """A row of a table: as a dict with the table's columns, and a fifth of its size."""

    __slots__ = ("places", "values")

    def __init__(self, places: dict[str, int]) -> None:
        """Begin with nothing in any column."""
        self.places = places
        self.values: list[Any] = [None] * len(places)

    def __getitem__(self, name: str) -> Any:
        """Give what stands in a column; errors: KeyError."""
        return self.values[self.places[name]]

    def __setitem__(self, name: str, value: Any) -> None:
        """Write into a column; errors: KeyError."""
        self.values[self.places[name]] = value

    def get(self, name: str) -> Any:
        """Give what stands in a column, or nothing where the table has no such one."""
        place = self.places.get(name)
        return None if place is None else self.values[place]

    def update(self, values: dict[str, Any]) -> None:
        """Write into columns; what the table has no column for is left out."""
        for name, value in values.items():
            place = self.places.get(name)
            if place is not None:
                self.values[place] = value

    def as_dict(self) -> dict[str, Any]:
        """Give all columns with what stands in them."""
        return dict(zip(self.places, self.values))


_NOTHING = Row({})


_PLACES = {
    table: {name: place for place, name in enumerate(columns)} for table, columns in _TABLES.items()
}


class Derived:
    """Rows made of entries, for the period and the parameters that a manifest names."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        """Begin with the period of a manifest; errors: KeyError, TypeError."""
        self.since, self.until = manifest["period"]["from"], manifest["period"]["to"]
        self.sla = manifest["parameters"]["sla_hours"]
        if type(self.since) is not str or type(self.until) is not str or type(self.sla) is not int:
            raise TypeError
        self.is_whole = True
        self.at = (0, "")
        self.tables: dict[str, list[Row]] = {name: [] for name in _TABLES}
        self.journal, self.mined = hashlib.sha256(), Mined()
        self.decided: dict[str, dict[str, Any]] = {}
        self.sources: list[dict[str, Any]] = []
        self.draws: list[dict[str, Any]] = []
        self.holding: dict[str, dict[str, str]] = {}
        self.strictness: list[tuple[str, bool]] = []
        self.uncopied: list[list[Any]] = []
        self.forced: list[tuple[str, int]] = []
        self.grants: set[str] = set()
        self.last: dict[str, int] = {}
        self.starts = self.inside = self.gaps = 0
        self.quiet: tuple[int, str, str, str, str] | None = None
        self.latest = ("", "")
        self.runs: dict[str, Row] = {}
        self.tasks: dict[str, tuple[str, Any]] = {}
        self.of_grant: dict[str, list[Row]] = {}
        self.incidents: dict[str, Row] = {}
        self.held_up: dict[tuple[str, str], str] = {}
        self.rounds: dict[str, int] = {}
        self.keys: dict[str, Row] = {}

    def take(self, leaf: dict[str, Any], index: int, hash_: bytes, entry: bytes) -> None:
        """Make and complete rows by one entry."""
        kind, data, at, stream = leaf["type"], leaf["data"], leaf["occurred_at"], leaf["stream"]
        before = self.last.get(stream)
        if before is not None and leaf["seq"] != before + 1:
            self.gaps += 1
        self.last[stream] = leaf["seq"]
        if kind == "run.started":
            self.starts += 1
        elif kind == "step.skipped":
            self.grants.update(data.get("grants") or [])
        elif kind == "data.sample_drawn":
            self.draws.append(data)
        elif kind.startswith("access."):
            self.grants.add(data["grant"])
        is_inside = self.since <= at < self.until
        if is_inside:
            self.inside += 1
            self.journal.update(entry + b"\n")
            self.mined.take(leaf)
            self._listen(at, kind)
        if at >= self.until:
            return
        complete = _LATER.get(kind)
        if complete is not None:
            complete(self, leaf)
        for table, values in self._begun(leaf):
            row = Row(_PLACES[table])
            row.update(values)
            row["row_id"] = "%s/%d" % (stream, leaf["seq"])
            row["leaf_index"], row["leaf_hash"] = index, hash_.hex()
            self._keep(table, row)
            if is_inside:
                self.tables[table].append(row)
        note = _NOTED.get(kind)
        if note is not None:
            self.at = (index, hash_.hex())
            note(self, leaf)

    def finish(self) -> None:
        """Complete what only the whole tells."""
        for row in self.tables["access_grants"]:
            incident = self.held_up.get((row["run_id"], row["step_key"]), "")
            row["ticket_ref"] = self.incidents.get(incident, _NOTHING).get("ticket_ref")
        for row in self.tables["escalations"]:
            row["rounds"] = self.rounds.get(row["incident"], 0)
        for row in self.tables["population/runs"]:
            row["systems_done"] = sorted(row["systems_done"])
            if row["kind"] in _POPULATIONS:
                self.tables["population/" + _POPULATIONS[row["kind"]]].append(row)

    def _listen(self, at: str, kind: str) -> None:
        since, what = self.latest
        if since and at > since:
            lasted = microseconds(at) - microseconds(since)
            if self.quiet is None or lasted > self.quiet[0]:
                self.quiet = (lasted, since, at, what, kind)
        if at >= since:
            self.latest = (at, kind)

    def _begun(self, leaf: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        kind = leaf["type"]
        if kind == "run.started":
            yield "population/runs", self._run(leaf)
        elif kind in _GIVEN:
            yield "access_grants", self._access(leaf)
        elif kind == "task.decided":
            yield "approvals", self._approval(leaf)
        elif kind == "incident.opened":
            yield (
                "escalations",
                {
                    "incident": leaf["data"]["incident"],
                    "system": leaf["system"],
                    "class": leaf["data"]["class"],
                    "opened_at": leaf["occurred_at"],
                    "tickets": 0,
                },
            )
        elif kind == "admin.key_created":
            yield (
                "api_keys",
                {
                    "key": leaf["data"]["key"],
                    "scopes": leaf["data"]["scopes"],
                    "created_at": leaf["occurred_at"],
                    "created_by": _whose(leaf),
                    "expires_at": leaf["data"].get("expires_at"),
                },
            )
        authority = leaf["data"].get("authority") or {}
        is_by_hand = kind in ("step.skipped", "step.completed_by_hand")
        if (
            is_by_hand
            or kind == "access.excepted"
            or authority.get("kind") in ("break_glass", "exception")
        ):
            yield (
                "exceptions",
                {
                    **_said(leaf),
                    "run_id": _run_of(leaf),
                    "step_key": _step(leaf).get("key"),
                    "expires_at": leaf["data"].get("expires_at"),
                    "is_access": not is_by_hand or bool(leaf["data"].get("grants")),
                },
            )
        if _RUNNING_NEWEL(kind):
            yield (
                "admin_actions",
                {
                    **_said(leaf),
                    "object": _object(leaf),
                    "before": leaf["data"].get("before"),
                    "after": leaf["data"].get("after"),
                },
            )

    def _run(self, leaf: dict[str, Any]) -> dict[str, Any]:
        data = leaf["data"]
        about = data.get("attributes") or {}
        return {
            **{name: about.get(name) for name in ("employment_type", "department", "job_role")},
            "manager_ref": about.get("manager"),
            "subject_ref": leaf["subject"],
            "run_id": _run_of(leaf),
            **_process(leaf),
            "kind": data.get("kind"),
            "source": data["source"]["type"],
            "requested_by": data["requested_by"],
            "requested_at": leaf["occurred_at"],
            "effective_at": data.get("effective_at"),
            "state": "open",
            "systems_done": [],
            "sla_hours": self.sla if data.get("kind") == "leaver" else None,
        }

    def _access(self, leaf: dict[str, Any]) -> dict[str, Any]:
        data, run = leaf["data"], self.runs.get(leaf["stream"], _NOTHING)
        authority, http = data.get("authority") or {}, data.get("http") or {}
        approver = authority.get("approver")
        is_timed = leaf["type"] == "access.revoked" and run.get("kind") == "leaver"
        row = {name: data.get(name) for name in ("entitlement", "level", "grant", "account_ref")}
        row.update({name: data.get(name) for name in ("effective_at", "expires_at", "due_at")})
        for name in ("employment_type", "department", "job_role", "manager_ref"):
            row[name] = run.get(name)
        row.update(_process(leaf))
        row.update(
            subject_ref=leaf["subject"],
            system=leaf["system"],
            action=_GIVEN[leaf["type"]],
            requested_at=run.get("requested_at"),
            requested_by=run.get("requested_by"),
            request_source=run.get("source"),
            approved_at=self.decided.get(authority.get("event") or "", {}).get("at"),
            approver_ref=approver,
            approval_event=authority.get("event"),
            authority_kind=authority.get("kind"),
            policy_id=authority.get("policy_id"),
            policy_sha256=authority.get("policy_sha256"),
            four_eyes_ok=None if approver is None else _differ(approver, leaf, run),
            executed_at=leaf["occurred_at"],
            executed_by=leaf["actor"]["id"],
            provider_request_id=http.get("request_id"),
            http_status=http.get("status"),
            rounds=_step(leaf).get("round"),
            attempts=_step(leaf).get("attempt"),
            late_us=data.get("late_us"),
            sla_hours=self.sla if is_timed else None,
            sla_met=data["late_us"] <= self.sla * _HOUR if is_timed else None,
            run_id=_run_of(leaf),
            step_key=_step(leaf).get("key"),
        )
        return row

    def _approval(self, leaf: dict[str, Any]) -> dict[str, Any]:
        data, by, run = leaf["data"], _whose(leaf), self.runs.get(leaf["stream"], _NOTHING)
        opened_at, due_at = self.tasks.pop(data["task"], (None, None))
        return {
            "task": data["task"],
            "run_id": _run_of(leaf),
            "process": leaf["process"]["name"],
            "subject_ref": leaf["subject"],
            "requested_by": run.get("requested_by"),
            "approver_ref": by,
            "decision": data["decision"],
            "opened_at": opened_at,
            "decided_at": leaf["occurred_at"],
            "due_at": due_at,
            "channel": data["channel"],
            "auth_methods": data["auth"]["methods"],
            "auth_age_s": data["auth"]["age_s"],
            "shown_digest": data.get("shown_digest"),
            "excluded": data["excluded"],
            "four_eyes_ok": _differ(by, leaf, run),
        }

    def _keep(self, table: str, row: Row) -> None:
        if table == "population/runs":
            self.runs["run/" + row["run_id"]] = row
        elif table == "escalations":
            self.incidents[row["incident"]] = row
        elif table == "api_keys":
            self.keys[row["key"]] = row
        elif table == "access_grants":
            self.of_grant.setdefault(row["grant"], []).append(row)
            run = self.runs.get("run/" + row["run_id"])
            if run is not None:
                self._count_access(run, row)

    def _count_access(self, run: Row, row: Row) -> None:
        if row["system"] is not None and row["system"] not in run["systems_done"]:
            run["systems_done"].append(row["system"])
        if row["action"] != "revoke":
            run["first_access_at"] = run["first_access_at"] or row["executed_at"]
            return
        run["last_revoked_at"] = row["executed_at"]
        if run["kind"] == "leaver":
            run["sla_met"] = False if run["sla_met"] is False else row["sla_met"]


def _run_of(leaf: dict[str, Any]) -> str:
    stream: str = leaf["stream"]
    return stream.removeprefix("run/")


def _step(leaf: dict[str, Any]) -> dict[str, Any]:
    return leaf.get("step") or {}


def _process(leaf: dict[str, Any]) -> dict[str, Any]:
    its = leaf.get("process") or {}
    return {"process": its.get("name"), "process_version": its.get("version")}


def _differ(by: str, leaf: dict[str, Any], run: Row) -> bool:
    return by not in (run.get("requested_by"), leaf["subject"])


def _said(leaf: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": leaf["type"],
        "actor_ref": _whose(leaf),
        "second_ref": leaf["data"].get("second"),
        "subject_ref": leaf["subject"],
        "reason_code": (leaf.get("reason") or {}).get("code"),
        "occurred_at": leaf["occurred_at"],
    }


def _object(leaf: dict[str, Any]) -> Any:
    if leaf.get("process") is not None:
        return "%s@%d" % (leaf["process"]["name"], leaf["process"]["version"])
    for name in _NAMING:
        if name in leaf["data"]:
            return leaf["data"][name]
    return leaf["system"]


# What completes rows that are there already, by type.


def _ended(seen: Derived, leaf: dict[str, Any]) -> None:
    run = seen.runs.get(leaf["stream"])
    if run is not None:
        run["state"], run["completed_at"] = leaf["run_state"], leaf["occurred_at"]


def _task_opened(seen: Derived, leaf: dict[str, Any]) -> None:
    seen.tasks[leaf["data"]["task"]] = (leaf["occurred_at"], leaf["data"].get("due_at"))


def _read_back(seen: Derived, leaf: dict[str, Any]) -> None:
    rows = seen.of_grant.get(leaf["data"]["grant"])
    if rows:
        rows[-1]["verified_at"], rows[-1]["result"] = leaf["occurred_at"], leaf["data"]["result"]


def _access_ended(seen: Derived, leaf: dict[str, Any]) -> None:
    name = "grant" if leaf["type"] == "access.revoked" else "from"
    for row in seen.of_grant.get(leaf["data"][name], []):
        if row["action"] != "revoke" and row["revoked_at"] is None:
            row["revoked_at"] = leaf["occurred_at"]


def _ticketed(seen: Derived, leaf: dict[str, Any]) -> None:
    row, data = seen.incidents.get(leaf["data"]["incident"]), leaf["data"]
    if row is None:
        return
    row["tickets"] += 1
    if row["tickets"] == 1:
        row["ticketed_at"] = leaf["occurred_at"]
        row["ticket_ref"] = data["ticket"]
        row["tracker"], row["channel"] = data["tracker"], data["channel"]


def _healed(seen: Derived, leaf: dict[str, Any]) -> None:
    row, data, at = seen.incidents.get(leaf["data"]["incident"]), leaf["data"], leaf["occurred_at"]
    if row is not None:
        row["healed_at"], row["healed_by"], row["runs"] = at, data["healed_by"], data["runs"]
        lasted = microseconds(at) - microseconds(row["opened_at"])
        row["minutes_open"] = lasted // (60 * 10**6)


def _step_parked(seen: Derived, leaf: dict[str, Any]) -> None:
    incident = leaf["data"].get("incident")
    if incident:
        seen.held_up[_run_of(leaf), leaf["step"]["key"]] = incident
        if leaf["data"]["rounds"] > seen.rounds.get(incident, 0):
            seen.rounds[incident] = leaf["data"]["rounds"]


def _key_revoked(seen: Derived, leaf: dict[str, Any]) -> None:
    row = seen.keys.get(leaf["data"]["key"])
    if row is not None:
        row["revoked_at"] = leaf["occurred_at"]


_LATER = {
    "run.completed": _ended,
    "run.failed": _ended,
    "run.cancelled": _ended,
    "task.opened": _task_opened,
    "access.verified": _read_back,
    "access.revoked": _access_ended,
    "access.modified": _access_ended,
    "incident.ticketed": _ticketed,
    "incident.closed": _healed,
    "step.parked": _step_parked,
    "admin.key_revoked": _key_revoked,
}

# What is remembered to judge later entries by, after an entry's own rows are made.


def _note_decision(seen: Derived, leaf: dict[str, Any]) -> None:
    seen.decided[leaf["id"]] = {
        "index": seen.at[0],
        "subject": leaf["subject"],
        "decision": leaf["data"]["decision"],
        "at": leaf["occurred_at"],
    }


def _note_definition(seen: Derived, leaf: dict[str, Any]) -> None:
    seen.sources.append(
        {
            "process": leaf["process"]["name"],
            "version": leaf["process"]["version"],
            "source_sha256": leaf["data"]["source_sha256"],
            "drawing_sha256": leaf["data"].get("drawing_sha256"),
            "previous": leaf["data"].get("previous"),
            "author": leaf["data"]["author"],
            "registered_at": leaf["occurred_at"],
            "leaf_index": seen.at[0],
            "leaf_hash": seen.at[1],
            "": leaf["process"]["definition_sha256"],
        }
    )


def _note_holding(seen: Derived, leaf: dict[str, Any]) -> None:
    data = leaf["data"]
    if leaf["subject"] is None:
        return
    mine = seen.holding.setdefault(leaf["subject"], {})
    mine.pop(data.get("from"), None)
    mine.pop(data["grant"], None)
    if data["state"] in ("prepared", "active"):
        mine[data["grant"]] = leaf["occurred_at"]


def _note_setting(seen: Derived, leaf: dict[str, Any]) -> None:
    if leaf["data"]["name"] == "second_person":
        seen.strictness.append((leaf["occurred_at"], leaf["data"].get("after") == "strict"))


def _note_anchor(seen: Derived, leaf: dict[str, Any]) -> None:
    target = leaf["data"]["target"]
    if leaf["type"] == "log.anchor_failing":
        seen.uncopied.append([target, leaf["occurred_at"], None])
        return
    for each in seen.uncopied:
        if each[0] == target and each[2] is None:
            each[2] = leaf["occurred_at"]


def _note_pruning(seen: Derived, leaf: dict[str, Any]) -> None:
    if leaf["data"].get("forced"):
        seen.forced.append((leaf["occurred_at"], leaf["data"].get("days", 0)))


_NOTED = {
    "log.pruned": _note_pruning,
    "task.decided": _note_decision,
    "process.registered": _note_definition,
    "setting.changed": _note_setting,
    "log.anchor_failing": _note_anchor,
    "log.anchor_recovered": _note_anchor,
    **dict.fromkeys(_GIVEN, _note_holding),
}


# The entries of the period once more, for programs that mine processes: one document of OCEL 2.0 in
# JSON (https://www.ocel-standard.org). It is hashed as it would be written, and never held.

_quoted: Callable[[str], str] = json.encoder.encode_basestring
_OF_ENVELOPES = ("leaf_seq", "leaf_stream", "process", "reason", "run_state", "step")
_MINED_KINDS = {"i": "integer", "b": "boolean", "t": "time"}
_FORESEEN = ("log.tick",)  # known here, and written by no version yet

# The members of `data` that name an object: the kind of object, the beginning of its name, and
# what it is to the event. A ticket's name is another system's.
_NAMED = {
    "grant": ("grant", "grt_", "grant"),
    "from": ("grant", "grt_", "closed grant"),
    "continues": ("grant", "grt_", "continued grant"),
    "account_ref": ("account", "acc_", "account"),
    "task": ("task", "tsk_", "task"),
    "ticket": ("ticket", "", "ticket"),
    "incident": ("incident", "inc_", "incident"),
    "run": ("run", "run_", "run"),
    "first_run": ("run", "run_", "run"),
    "approver": ("person", "per_", "approver"),
    "requested_by": ("person", "per_", "requester"),
    "to": ("person", "per_", "receiver"),
    "second": ("person", "per_", "second person"),
}


class Mined:
    """The document as it grows: its hash, and the objects that come at its end."""

    def __init__(self) -> None:
        """Begin with the types that an event and an object can have."""
        kinds = sorted({kind for kind, _, _ in _NAMED.values()} | {"system"})
        events = [
            _encode({"attributes": _attributes_of(model), "name": name})
            for name, model in sorted(MODELS.items())
            if name not in _FORESEEN
        ]
        objects = [_encode({"attributes": [], "name": kind}) for kind in kinds]
        head = '{"eventTypes":[\n%s\n],"objectTypes":[\n%s\n],"events":[\n'
        self._hash = hashlib.sha256((head % (",\n".join(events), ",\n".join(objects))).encode())
        self._objects: dict[str, str] = {}
        self._before = b""

    def take(self, leaf: dict[str, Any]) -> None:
        """Write the event of an entry, and remember what it is about."""
        said, about = _mined(leaf)
        known = sorted(set(about))
        for name, kind, _ in known:
            self._objects.setdefault(name, kind)
        values = ['{"name":%s,"value":%s}' % (_quoted(n), _quoted(said[n])) for n in sorted(said)]
        related = ['{"objectId":%s,"qualifier":"%s"}' % (_quoted(n), what) for n, _, what in known]
        text = '{"attributes":[%s],"id":"%s","relationships":[%s],"time":"%s","type":"%s"}' % (
            ",".join(values),
            leaf["id"],
            ",".join(related),
            leaf["occurred_at"],
            leaf["type"],
        )
        self._hash.update(self._before + text.encode())
        self._before = b",\n"

    def digest(self) -> str:
        """End the document; answers with its SHA-256 in hex."""
        before = '\n],"objects":[\n'
        for name, kind in sorted(self._objects.items()):
            text = '{"attributes":[],"id":%s,"relationships":[],"type":%s}'
            self._hash.update((before + text % (_quoted(name), _quoted(kind))).encode())
            before = ",\n"
        self._hash.update(b"\n]}\n" if self._objects else (before + "\n]}\n").encode())
        return self._hash.hexdigest()


def _attributes_of(model: Model) -> list[dict[str, str]]:
    """Give what an event of a type can say: a text, where it is no number, flag or moment."""
    kinds = {name: _MINED_KINDS.get(kind, "string") for name, kind in model.kinds.items()}
    kinds.update(dict.fromkeys(_OF_ENVELOPES, "string"), leaf_seq="integer")
    return [{"name": name, "type": kinds[name]} for name in sorted(kinds)]


def _mined(leaf: dict[str, Any]) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Give what an event says, each single value as a text, and the objects that it is about."""
    said: dict[str, str] = {}
    about: list[tuple[str, str, str]] = []
    for name, value in leaf["data"].items():
        kind = type(value)
        if kind is str:
            said[name] = value
            if name in _NAMED:
                _name_object(value, name, about)
        elif kind is bool:
            said[name] = "true" if value else "false"
        elif kind is int:
            said[name] = str(value)
    authority = leaf["data"].get("authority")
    if authority and type(authority.get("approver")) is str and "approver" not in said:
        _name_object(authority["approver"], "approver", about)
    said["leaf_stream"], said["leaf_seq"] = leaf["stream"], str(leaf["seq"])
    if "process" in leaf:
        said["process"] = "%s@%d" % (leaf["process"]["name"], leaf["process"]["version"])
    if "step" in leaf:
        said["step"] = leaf["step"]["key"]
    if "run_state" in leaf:
        said["run_state"] = leaf["run_state"]
    if "reason" in leaf:
        said["reason"] = leaf["reason"]["code"]
    if leaf["stream"].startswith("run/"):
        about.append((_run_of(leaf), "run", "run"))
    for person, what in ((leaf["subject"], "subject"), (_whose(leaf), "actor")):
        if person is not None and person.startswith("per_"):
            about.append((person, "person", what))
    if leaf["system"] is not None:
        about.append(("sys_" + leaf["system"], "system", "system"))
    return said, about


def _name_object(value: str, member: str, about: list[tuple[str, str, str]]) -> None:
    kind, start, what = _NAMED[member]
    if value.startswith(start):
        about.append((value if start else "tkt_" + value, kind, what))


# Control tests, in the order of their numbers. Each answers with (row, why, how): `how` is "" where
# the rule was judged, "open" where nothing decides it, "unasked" where it was not asked for.

Verdict = tuple[str, str, str]


def _ct01(seen: Derived) -> Iterator[Verdict]:
    for row in _giving(seen):
        id_, kind = row["row_id"], row["authority_kind"]
        if kind == "policy":
            yield id_, "" if row["policy_id"] else "no policy is named", ""
            continue
        decision = seen.decided.get(row["approval_event"] or "")
        if decision is None:
            why = "there is no such decision before it"
            if kind != "approval":
                why = "nothing in the log decides it"
            yield id_, why, "open" if kind != "approval" or not seen.is_whole else ""
        elif decision["index"] > row["leaf_index"]:
            yield id_, "it was decided later", ""
        elif decision["decision"] == "reject":
            yield id_, "it was refused", ""
        elif decision["subject"] != row["subject_ref"]:
            yield id_, "the decision is about somebody else", ""
        else:
            yield id_, "", ""


def _ct02(seen: Derived) -> Iterator[Verdict]:
    for row in seen.tables["approvals"]:
        if row["decision"] == "approve":
            why = "who approved asked for it, or is whom it is about"
            yield row["row_id"], "" if row["four_eyes_ok"] else why, ""


def _ct03(seen: Derived) -> Iterator[Verdict]:
    known: dict[tuple[Any, Any], int] = {}
    for each in seen.sources:
        known.setdefault((each["process"], each[""]), each["leaf_index"])
    for row in _giving(seen):
        if row["authority_kind"] == "policy":
            since = known.get((row["policy_id"], row["policy_sha256"]))
            if since is not None and since <= row["leaf_index"]:
                yield row["row_id"], "", ""
            else:
                why = "no such definition was registered before it"
                yield row["row_id"], why, "" if seen.is_whole else "open"


def _ct04(seen: Derived) -> Iterator[Verdict]:
    for row in _rows(seen, "revoke"):
        if row["sla_met"] is not None:
            yield row["row_id"], "" if row["sla_met"] else "it ended too late", ""
    for run in seen.tables["population/leavers"]:
        if run["state"] == "completed":
            holding = seen.holding.get(run["subject_ref"] or "", {})
            kept = sorted(name for name, at in holding.items() if at < run["completed_at"])
            yield run["row_id"], "still holds " + ", ".join(kept) if kept else "", ""


def _ct05(seen: Derived) -> Iterator[Verdict]:
    late, until = "no read-back within 24 hours", microseconds(seen.until)
    for row in _rows(seen, "grant", "modify", "adopt", "revoke"):
        at, read = microseconds(row["executed_at"]), row["verified_at"]
        if read is None:
            yield row["row_id"], late, "open" if at + _DAY > until else ""
        elif microseconds(read) > at + _DAY:
            yield row["row_id"], late, ""
        elif row["result"] != ("absent" if row["action"] == "revoke" else "present"):
            yield row["row_id"], "it was read back as " + row["result"], ""
        else:
            yield row["row_id"], "", ""


def _ct07(seen: Derived) -> Iterator[Verdict]:
    for row in seen.tables["exceptions"]:
        if not row["type"].startswith("step."):
            continue
        id_, second = row["row_id"], row["second_ref"]
        before = [strict for at, strict in seen.strictness if at <= row["occurred_at"]]
        if row["reason_code"] is None:
            yield id_, "no reason was given", ""
        elif second is not None:
            yield id_, "the second person is the first" if second == row["actor_ref"] else "", ""
        elif before and before[-1]:
            yield id_, "there was no second person", ""
        else:
            yield id_, "", "unasked"


def _ct08(seen: Derived) -> Iterator[Verdict]:
    for row in seen.tables["admin_actions"]:
        if row["type"] == "process.registered":
            yield row["row_id"], "", "unasked"


def _ct09(seen: Derived) -> Iterator[Verdict]:
    for row in _giving(seen):
        if row["authority_kind"] != "break_glass":
            continue
        due, ended = row["expires_at"], row["revoked_at"]
        if due is None:
            yield row["row_id"], "nothing in the log decides it", "open"
        elif ended is not None:
            is_late = microseconds(ended) > microseconds(due)
            yield row["row_id"], "it ended too late" if is_late else "", ""
        elif microseconds(due) > microseconds(seen.until):
            yield row["row_id"], "nothing in the log decides it", "open"
        else:
            yield row["row_id"], "it has not ended", ""


def _ct11(seen: Derived) -> Iterator[Verdict]:
    for row in _giving(seen):
        if row["expires_at"] is None:
            continue
        due, ended = microseconds(row["expires_at"]) + seen.sla * _HOUR, row["revoked_at"]
        if ended is not None:
            yield row["row_id"], "it ended too late" if microseconds(ended) > due else "", ""
        elif due > microseconds(seen.until):
            yield row["row_id"], "its time is not over", "open"
        else:
            yield row["row_id"], "it has not ended", ""


def _ct13(seen: Derived) -> Iterator[Verdict]:
    for row in seen.tables["escalations"]:
        if not row["tickets"] and row["rounds"] < 3:
            continue
        why = ""
        if row["tickets"] != 1:
            why = "it has %d tickets" % row["tickets"]
        elif microseconds(row["ticketed_at"]) - microseconds(row["opened_at"]) > _HOUR:
            why = "its ticket came later than an hour"
        yield row["row_id"], why, ""


def _ct14(seen: Derived) -> Iterator[Verdict]:
    for target, since, until in seen.uncopied:
        end = until or seen.until
        if end >= seen.since and microseconds(end) - microseconds(since) > _HOUR:
            yield target, "took no copy from %s to %s" % (since, until or "the end"), ""


def _unwritten(_: Derived) -> Iterator[Verdict]:
    """Give nothing: no entry of a known type is about it."""
    return iter(())


_NOT_APPLICABLE = {
    "CT06": "newel records no scans for unknown accounts",
    "CT10": "newel has no roles of its own",
    "CT12": "newel records no reviews",
}


def _rows(seen: Derived, *actions: str) -> list[Row]:
    return [row for row in seen.tables["access_grants"] if row["action"] in actions]


def _giving(seen: Derived) -> list[Row]:
    return _rows(seen, "grant", "modify", "adopt")


_CONTROLS = (
    ("every grant rests on an earlier authority for this person", "CC6.2 A.5.18", _ct01),
    ("who approved neither asked nor is whom it is about", "CC6.1 A.5.3", _ct02),
    ("every grant by policy rests on a definition that was in force", "CC6.3 A.5.15", _ct03),
    ("leavers lost every access in time", "CC6.2 A.5.11 A.5.18", _ct04),
    ("every grant and every end of access was read back within a day", "CC6.2", _ct05),
    ("no account that nobody explains", "CC6.1", _unwritten),
    ("what was skipped or done by hand has a reason and a second person", "CC6.3", _ct07),
    ("every definition was approved by another than its author", "CC8.1 A.8.32", _ct08),
    ("access in an emergency ended in time and was reviewed", "CC6.1", _ct09),
    ("roles of administrators and auditors were given by two", "CC6.1 A.5.3", _unwritten),
    ("access for a time ended in time", "CC6.3", _ct11),
    ("every item of a review was decided", "CC6.2 A.5.18", _unwritten),
    ("a third failed round made one ticket within an hour", "CC7.3 CC7.4", _ct13),
    ("the log was sealed, and copied elsewhere at least hourly", "CC7.2 A.8.15", _ct14),
)


def control_tests(seen: Derived) -> list[dict[str, Any]]:
    """Run the control tests once more."""
    results = []
    for number, (title, refs, test) in enumerate(_CONTROLS, 1):
        judged = list(test(seen))
        told = [{"row_id": row, "why": why} for row, why, how in judged if why and not how]
        open_ = [{"row_id": row, "why": why} for row, why, how in judged if how == "open"]
        unasked = sum(how == "unasked" for _, _, how in judged)
        name, tested = "CT%02d" % number, len(judged) - len(open_) - unasked
        verdict = "passed" if tested else "not judged" if judged else "no cases"
        if told or open_:
            verdict = "failed" if told else "undecided"
        elif name in _NOT_APPLICABLE:
            verdict = "not applicable"
        results.append(
            {
                "id": name,
                "title": title,
                "refs": refs.split(),
                "population_n": len(judged),
                "tested_n": tested,
                "not_asked_n": unasked,
                "failures": told,
                "undecided": open_,
                "verdict": verdict,
            }
        )
    return results


def completeness(seen: Derived, said: dict[str, Any], size: int) -> dict[str, Any]:
    """Count once more; what only the database or a list of HR can tell is taken as it was said."""
    quiet = seen.quiet
    roster = said.get("roster")
    grants = said["grants"] and {"log": len(seen.grants), "table": said["grants"]["table"]}
    return {
        "entries": size,
        "events_in_period": seen.inside,
        "streams": len(seen.last),
        "gaps": seen.gaps,
        "runs": {"log": seen.starts, "table": said["runs"]["table"]},
        "grants": grants if seen.is_whole else None,
        "longest_silence": quiet
        and {"from": quiet[1], "to": quiet[2], "after": quiet[3], "before": quiet[4]},
        "roster": roster and _roster(seen, roster["lines"]),
    }


def _roster(seen: Derived, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare a list of HR with beginnings and ends; whom its lines mean is taken as said."""
    people = {
        kind: {row["subject_ref"] for row in seen.tables["population/" + name]}
        for kind, name in (("joiner", "joiners"), ("leaver", "leavers"))
    }
    matched, missing = 0, []
    for line in lines:
        for kind, day in (("joiner", line["start_date"]), ("leaver", line["end_date"])):
            if not seen.since[:10] <= day < seen.until[:10]:
                continue
            if line["subject_ref"] is not None and line["subject_ref"] in people[kind]:
                matched += 1
            else:
                missing.append({"row": line["row"], "kind": kind})
    listed = {line["subject_ref"] for line in lines}
    unlisted = [
        row["row_id"]
        for name in ("population/joiners", "population/leavers")
        for row in seen.tables[name]
        if row["subject_ref"] not in listed
    ]
    return {
        "lines": lines,
        "matched": matched,
        "missing_in_newel": missing,
        "missing_in_roster": sorted(unlisted),
    }


def first_page(results: list[dict[str, Any]], figures: dict[str, Any], seen: Derived) -> list[str]:
    """Say once more what the first page has to warn of."""
    lines = []
    if not seen.is_whole:
        lines.append("The log was begun anew: what was before is not in this package.")
    for at, days in seen.forced:
        what = "On %s events older than %d days were removed: somebody insisted on that."
        lines.append(what % (at[:10], days))
    for each in results:
        if each["failures"]:
            lines.append("%s: %d failed." % (each["id"], len(each["failures"])))
        if each["undecided"]:
            lines.append("%s: %d undecided." % (each["id"], len(each["undecided"])))
        if each["not_asked_n"]:
            why = "not judged, because no second person was asked for"
            lines.append("%s: %d %s." % (each["id"], each["not_asked_n"], why))
        if each["verdict"] == "not applicable":
            told = (each["id"], _NOT_APPLICABLE[each["id"]])
            lines.append("%s: not applicable, because %s." % told)
    for name in ("runs", "grants"):
        said = figures[name]
        if said is not None and said["log"] != said["table"]:
            what = "%s: %d in the log, %d in the database."
            lines.append(what % (name, said["log"], said["table"]))
    if figures["gaps"]:
        lines.append("%d gaps in streams." % figures["gaps"])
    return lines


# The files that rows become.


def _spelt(value: Any) -> str:
    if value is None:
        return ""
    if value is True or value is False:
        return str(value).lower()
    if type(value) is int:
        return str(value)
    text = " ".join(value) if type(value) is list else str(value)
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Write rows as RFC 4180 says, so that no cell is a formula."""
    file = io.StringIO()
    to = csv.writer(file, lineterminator="\r\n")
    to.writerow(columns)
    for row in rows:
        to.writerow([_spelt(value) for value in row])
        if file.tell() > 1 << 16:
            yield file.getvalue().encode()
            file.seek(0)
            file.truncate()
    yield file.getvalue().encode()


def _as_list(rows: Iterable[Row]) -> Iterator[bytes]:
    before = "[\n"
    for row in rows:
        yield (before + _encode(row.as_dict())).encode()
        before = ",\n"
    yield b"[\n]\n" if before == "[\n" else b"\n]\n"


def _as_table(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[bytes]:
    return as_csv(columns, (row.values for row in rows))


def _as_document(value: Any) -> list[bytes]:
    return [(_encode(value) + "\n").encode()]


def as_page(about: dict[str, Any]) -> list[bytes]:
    """Write what is said about one person as a page."""
    escaped = html.escape(about["subject_ref"])
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        '<head><meta charset="utf-8"><title>%s</title><style>%s</style></head>' % (escaped, _STYLE),
        "<body>",
        "<h1>%s</h1>" % escaped,
        "<p>From %s to before %s (UTC).</p>" % (about["period"]["from"], about["period"]["to"]),
    ]
    for table in _OF_A_PERSON:
        rows = about["tables"][table]
        lines.append("<h2>%s</h2>" % table)
        used = [name for name in _TABLES[table] if any(row[name] is not None for row in rows)]
        if not rows:
            lines.append("<p>Nothing.</p>")
            continue
        lines.append("<table>")
        lines.append("<tr>%s</tr>" % "".join("<th>%s</th>" % name for name in used))
        for row in rows:
            cells = ["<td>%s</td>" % html.escape(_spelt(row[name])) for name in used]
            lines.append("<tr>%s</tr>" % "".join(cells))
        lines.append("</table>")
    return [("\n".join([*lines, "</body>", "</html>"]) + "\n").encode()]


_STYLE = (
    "body{font:11pt sans-serif;margin:2em}table{border-collapse:collapse;margin-bottom:2em}"
    "th,td{border:1px solid #999;padding:2px 6px;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}th{background:#eee}@page{size:A4 landscape;margin:1cm}"
)


def derived_files(
    seen: Derived, sampling: dict[str, Any] | None, said: dict[str, Any], size: int
) -> Iterator[tuple[str, Parts]]:
    """Give every file that is made of entries, with its parts; errors: KeyError, TypeError."""
    for table, columns in _TABLES.items():
        rows = seen.tables[table]
        yield table + ".csv", partial(_as_table, columns, rows)
        yield table + ".json", partial(_as_list, rows)
    yield "control_tests.json", partial(_as_document, control_tests(seen))
    yield "completeness.json", partial(_as_document, completeness(seen, said, size))
    drawn: set[str] = set()
    for table in _SAMPLES if sampling else []:
        ids = [row["row_id"] for row in seen.tables[table]]
        chosen = _drawn(ids, sampling["seed"], sampling["n"]) if sampling else []
        drawn.update(id_ for id_, _ in chosen)
        name = "samples/%s.csv" % table.split("/")[-1]
        yield name, partial(as_csv, ("row_id", "place"), chosen)
    for about in _people(seen, drawn if sampling else None):
        yield "people/%s.json" % about["subject_ref"], partial(_as_document, about)
        yield "people/%s.html" % about["subject_ref"], partial(as_page, about)
    for each in seen.sources:
        folder = "process_definitions/%s@%d/" % (each["process"], each["version"])
        told = {name: value for name, value in each.items() if name}
        yield folder + "change.json", partial(_as_document, told)


def _people(seen: Derived, drawn: set[str] | None) -> Iterator[dict[str, Any]]:
    """Give what is said about each person: those of drawn rows, or all."""
    found: dict[str, dict[str, list[Row]]] = {}
    for table in _OF_A_PERSON:
        for row in seen.tables[table]:
            if row["subject_ref"] and (drawn is None or row["row_id"] in drawn):
                found.setdefault(row["subject_ref"], {each: [] for each in _OF_A_PERSON})
    for table in _OF_A_PERSON:
        for row in seen.tables[table]:
            if row["subject_ref"] in found:
                found[row["subject_ref"]][table].append(row)
    for subject, tables in sorted(found.items()):
        rows = {table: [row.as_dict() for row in tables[table]] for table in _OF_A_PERSON}
        period = {"from": seen.since, "to": seen.until}
        yield {"subject_ref": subject, "period": period, "tables": rows}


def _drawn(ids: list[str], seed: str, n: int) -> list[tuple[str, int]]:
    order = sorted(
        (hashlib.sha256(("%s\n%s" % (seed, id_)).encode()).hexdigest(), id_, place)
        for place, id_ in enumerate(ids)
    )
    return [(id_, place) for _, id_, place in order[:n]]


# ------------------------------------------------------------------------ what is handed in


def read_anchors(paths: Sequence[str], report: Report) -> list[Checkpoint]:
    """Read copies of checkpoints that somebody else kept: files, or folders of them."""
    found: list[Checkpoint] = []
    for path in map(Path, paths):
        if not path.exists():
            raise Unusable("%s is not there" % path)
        files = [path] if path.is_file() else sorted(path.glob("checkpoint*"))
        if not files:
            report.found("V08", "undecided", "%s holds no checkpoint" % path)
        for file in files:
            if file.is_file():
                _read_anchor(file.read_bytes(), str(file), found, report)
    return found


def _read_anchor(raw: bytes, where: str, found: list[Checkpoint], report: Report) -> None:
    try:
        found.append(read_checkpoint(raw, where))
    except Malformed as why:
        report.found("V08", "fail", "the anchor %s: %s" % (where, why))


def verify_logs(
    sources: Sequence[tuple[str, Source]],
    policy: Policy | None,
    anchors: Sequence[Checkpoint],
    report: Report,
    *,
    start: int = 0,
    is_opaque: bool = False,
    derived: Derived | None = None,
    is_state_wanted: bool = True,
) -> tuple[list[Log], Facts]:
    """Verify the log epochs of one log, in order."""
    logs = [Log(source, name, report) for name, source in sources]
    openings = [read_opening(log.first_entry()) for log in logs]
    for log, opening in zip(logs, openings[1:]):
        kept = opening["data"].get("kept_size") if opening else None
        if kept is not None:
            log.kept = min(kept, log.size)
            log.size = log.kept
    facts = Facts(is_state_wanted=is_state_wanted)
    facts.is_excerpt = start > 0 or bool(openings[0] and "previous_origin" in openings[0]["data"])
    facts.derived = derived
    if derived is not None:
        derived.is_whole = not facts.is_excerpt
    for log in logs:
        log.anchors = [each for each in anchors if each.origin == log.origin]
        if not log.own and len(logs) == 1 and anchors:
            log.origin, log.anchors = anchors[0].origin, list(anchors)
        log.is_opaque = is_opaque
        log.walk(facts, start)
    for origin in sorted({each.origin for each in anchors} - {log.origin for log in logs}):
        report.found("V08", "undecided", "the anchored log %s is not in here" % origin)
    facts.settle(report)
    for type_, count in sorted(facts.unknown.items()):
        report.found("V04", "undecided", "%d entries of the unknown type %s" % (count, type_))
    trust = Trust(policy, facts.rotations)
    trust.inherit([each for log in logs for each in (*log.own, *log.anchors)])
    for log in logs:
        judge(log, trust, report)
        root = base64.b64encode(log.roots.get(log.size, b"")).decode()
        report.logs.append(
            {
                "origin": log.origin,
                "size": log.size,
                "root": root,
                "checkpoints": len(log.own),
                "anchors": len(log.anchors),
            }
        )
    judge_epochs(logs, openings, report)
    return logs, facts


def read_proof(raw: bytes) -> tuple[int, bytes, Checkpoint, bytes]:
    """Read a proof: index, entry, checkpoint, and the root that it leads to; errors: Malformed."""
    try:
        head, separator, note = raw.partition(b"\n\n")
        lines = head.decode("ascii").split("\n")
        if not separator or len(lines) < 3 or lines[0] != "c2sp.org/tlog-proof@v1":
            raise Malformed("not a proof with the entry in it")
        if (
            not lines[1].startswith("extra ")
            or re.fullmatch("index (0|[1-9][0-9]*)", lines[2]) is None
        ):
            raise Malformed("a proof has the lines `extra` and `index`")
        entry, index = _base64(lines[1][6:]), int(lines[2][6:])
        checkpoint = read_checkpoint(note, "the checkpoint")
        hashes = list(map(_base64, lines[3:]))
        root = inclusion_root(index, checkpoint.size, leaf_hash(entry), hashes)
    except UnicodeDecodeError as why:
        raise Malformed(str(why)) from None
    return index, entry, checkpoint, root


def verify_proof(raw: bytes, policy: Policy | None, report: Report) -> None:
    """Verify one `.tlog-proof`, whose extra line is the entry itself."""
    report.ran("V03", "V04", "V06")
    try:
        index, entry, checkpoint, root = read_proof(raw)
    except Malformed as why:
        report.found("V06", "fail", str(why))
        return
    place = Place(checkpoint.origin, index)
    try:
        leaf = read_entry(entry)
        place = _place(checkpoint.origin, index, leaf)
        if leaf["type"] not in MODELS:
            report.found("V04", "undecided", "the type %s is not known" % leaf["type"], place)
    except Malformed as why:
        report.found("V04", "fail", str(why), place)
    if root != checkpoint.root:
        report.found("V06", "fail", "the entry is not in the tree of the checkpoint", place)
    trust = Trust(policy, ())
    _judge_signature("V03", checkpoint, trust, report)
    if trust.policy.quorum != b"none":
        report.ran("V09")
        try:
            if not trust.policy.is_satisfied(checkpoint.note):
                report.found("V09", "fail", "not cosigned by enough witnesses", place)
        except Malformed as why:
            report.found("V09", "fail", str(why), place)
    report.logs.append(
        {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": base64.b64encode(checkpoint.root).decode(),
            "index": index,
        }
    )


def verify_package(
    source: Source,
    policy: Policy | None,
    anchors: list[Checkpoint],
    report: Report,
    *,
    is_state_wanted: bool = True,
) -> Facts:
    """Verify an evidence package: its files, its signatures, its log, and what is made of it."""
    report.ran("V01", "V02")
    names = set(source.names())
    sums = _listed(source, report)
    unbound = {"SHA256SUMS", "receipt.json", "receipt.note", _RECEIPTS, "names.csv"}
    for name in sorted((names - unbound) ^ set(sums)):
        what = "%s is %s" % (name, "missing" if name in sums else "not listed in SHA256SUMS")
        report.found("V01", "fail", what)
    digests = {name: source.digest(name) for name in sorted(names & set(sums))}
    for name, digest in digests.items():
        if digest != sums[name]:
            report.found("V01", "fail", "%s is not what SHA256SUMS says" % name)
    manifest, listed = _manifest(source, sums, report)
    for name in sorted(names):
        if name.startswith("anchors/") and re.search(r"checkpoint|\.note$", name):
            _read_anchor(source.read(name) or b"", name, anchors, report)
    made = [each for each in listed if not each.startswith(("log/", "anchors/", "verify/"))]
    derived = _derived(manifest, report) if made else None
    logs, facts = verify_logs(
        [("log", Below(source, "log/"))],
        policy,
        anchors,
        report,
        derived=derived,
        is_state_wanted=is_state_wanted,
    )
    trust = Trust(policy, facts.rotations)
    trust.inherit(logs[0].own)
    _judge_package_note(source, "manifest", logs[0], trust, report)
    _judge_package_note(source, "receipt", logs[0], trust, report)
    _judge_receipts(source, report)
    _judge_plain(source, logs[0], trust, report)
    if derived is not None:
        try:
            _judge_derived(Packed(source, manifest, digests), made, logs[0], derived, report)
        except _UNFIT:
            report.found("V16", "fail", "the package does not have the form of one")
    return facts


_UNFIT = (AttributeError, IndexError, KeyError, TypeError, ValueError, Malformed)
"""What reading values raises that are not of the form that they have to be."""
_RECEIPTS = "anchors/receipts.json"


def _derived(manifest: dict[str, Any], report: Report) -> Derived | None:
    report.ran("V16", "V17", "V18")
    try:
        return Derived(manifest)
    except _UNFIT:
        report.found("V16", "fail", "manifest.json does not say what the tables are made for")
        return None


def _judge_receipts(source: Source, report: Report) -> None:
    """Judge what the signed receipt binds: manifest, what places outside said, names (V01)."""
    receipt = source.read("receipt.json")
    if receipt is None:
        return  # V02 says so
    for name, member in (
        ("manifest.json", "manifest_sha256"),
        (_RECEIPTS, "anchors_sha256"),
        ("names.csv", "names_sha256"),
    ):
        raw = source.read(name)
        try:
            bound = json.loads(receipt).get(member)
        except _UNFIT:
            bound = None
        if bound != (None if raw is None else hashlib.sha256(raw).hexdigest()):
            report.found("V01", "fail", "%s is not what the receipt says" % name)


def _judge_plain(source: Source, log: Log, trust: Trust, report: Report) -> None:
    """Judge the newest checkpoint as it is written for other tools (V03)."""
    text = source.read("log/plain/checkpoint.txt")
    newest = max(log.own, key=lambda each: each.size, default=None)
    if text is None or newest is None or trust.is_blind:
        return
    signature, pem = (
        source.read("log/plain/" + each) for each in ("checkpoint.sig", "log-key.pem")
    )
    keys = [key for key in trust.keys_of(log.origin) if as_pem(key) == pem]
    is_right = any((key.name, key.id, signature) in newest.note.signatures for key in keys)
    if text != newest.note.text.encode() or not is_right:
        what = "log/plain is not the newest checkpoint under a pinned key"
        report.found("V03", "fail", what, Place(log.origin))


def as_pem(key: Key) -> bytes:
    """Write a public key as OpenSSL reads it (RFC 8410)."""
    encoded = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + key.public)
    return b"-----BEGIN PUBLIC KEY-----\n" + encoded + b"\n-----END PUBLIC KEY-----\n"


class Packed(NamedTuple):
    """A package that is being judged: its files, its manifest, and what its files hash to."""

    source: Source
    manifest: dict[str, Any]
    digests: dict[str, str]


def _judge_derived(
    package: Packed, made: list[str], log: Log, seen: Derived, report: Report
) -> None:
    """Make every derived file again and compare the bytes (V16 to V18)."""
    seen.finish()
    source, manifest = package.source, package.manifest
    sampling, left = manifest["sampling"], set(made) - {"events.jsonl", "ocel2.json"}
    said = json.loads(source.read("completeness.json") or b"null")
    if not isinstance(said, dict):
        report.found("V18", "fail", "completeness.json is missing")
        said = {"runs": {"table": None}, "grants": {"table": None}}
    for name, parts in derived_files(seen, sampling, said, log.size):
        left.discard(name)
        _compare_file(name, package, parts, report)
    for name, digest in (
        ("events.jsonl", seen.journal.hexdigest()),
        ("ocel2.json", seen.mined.digest()),
    ):
        if package.digests.get(name) != digest:
            report.found("V16", "fail", "%s is not the entries of the period" % name)
    left -= _judge_sources(source, seen, report)
    left -= _judge_proofs(source, left, log, seen, sampling, report)
    figures = completeness(seen, said, log.size)
    for name in ("runs", "grants"):
        if figures[name] and figures[name]["log"] != figures[name]["table"]:
            what = "the log tells of %d %s, the database had %s"
            told = (figures[name]["log"], name, figures[name]["table"])
            report.found("V18", "fail", what % told)
    counts = {table: len(rows) for table, rows in seen.tables.items()}
    if manifest["rows"] != {**counts, "events": seen.inside}:
        report.found("V16", "fail", "manifest.json counts other rows")
    root = base64.b64encode(log.roots.get(log.size, b"")).decode()
    epochs = [{"origin": log.origin, "size": log.size, "root": root}]
    if (manifest["log_epochs"], manifest["parameters"]["as_of"]) != (epochs, log.size):
        report.found("V16", "fail", "manifest.json tells of another log")
    lines = first_page(control_tests(seen), figures, seen)
    pages = {name: (source.read(name) or b"").decode() for name in ("README.md", "README.html")}
    left -= set(pages)
    if manifest["warnings"] != lines or any(
        line not in text for line in lines for text in map(html.unescape, pages.values())
    ):
        report.found("V16", "fail", "the first page keeps something back")
    _judge_draw(sampling, seen, report)
    for name in sorted(left):
        report.found("V16", "undecided", "%s is of no kind that can be made again here" % name)


Parts = Callable[[], Iterable[bytes]]  # what a file is made of; called again to name a difference


def _compare_file(name: str, package: Packed, parts: Parts, report: Report) -> None:
    expected = hashlib.sha256()
    for part in parts():
        expected.update(part)
    if package.digests.get(name) == expected.hexdigest():
        return
    check = "V17" if name.startswith("samples/") or name == "control_tests.json" else "V16"
    check = "V18" if name == "completeness.json" else check
    found = package.source.read(name)
    if found is None:
        report.found(check, "fail", "%s is missing" % name)
        return
    lines = zip_longest(found.split(b"\n"), b"".join(parts()).split(b"\n"))
    number = next((number for number, (a, b) in enumerate(lines, 1) if a != b), 0)
    report.found(check, "fail", "%s: line %d is not what the entries say" % (name, number))


def _judge_sources(source: Source, seen: Derived, report: Report) -> set[str]:
    """Judge sources and drawings by the digests that were registered; gives their names."""
    names = set()
    for each in seen.sources:
        folder = "process_definitions/%s@%d/" % (each["process"], each["version"])
        for file, digest in (
            ("source.py", each["source_sha256"]),
            ("drawing.json", each["drawing_sha256"]),
        ):
            if digest is None:
                continue  # it could not be drawn
            raw = source.read(folder + file)
            names.add(folder + file)
            if raw is None:
                report.found("V16", "undecided", "%s is missing" % (folder + file))
            elif hashlib.sha256(raw).hexdigest() != digest:
                what = "%s is not the one that was registered" % (folder + file)
                report.found("V16", "fail", what)
    return names


def _judge_proofs(
    source: Source,
    names: Iterable[str],
    log: Log,
    seen: Derived,
    sampling: dict[str, Any] | None,
    report: Report,
) -> set[str]:
    """Judge the proofs of sampled rows: each leads to the newest root, none is missing."""
    wanted: set[int] = set()
    for table in _SAMPLES if sampling else []:
        rows = {row["row_id"]: row for row in seen.tables[table]}
        for id_, _ in _drawn(list(rows), sampling["seed"], sampling["n"]) if sampling else []:
            decision = seen.decided.get(rows[id_].get("approval_event") or "")
            wanted |= {rows[id_]["leaf_index"]} | ({decision["index"]} if decision else set())
    proofs = {name for name in names if name.startswith("proofs/")}
    proved = set()
    for name in sorted(proofs):
        index, entry, checkpoint, root = read_proof(source.read(name) or b"")
        if (root, checkpoint.root) != (log.roots.get(log.size), log.roots.get(log.size)):
            report.found("V16", "fail", "%s does not lead to the newest root" % name)
        elif name != "proofs/%s.tlog-proof" % json.loads(entry)["id"]:
            report.found("V16", "fail", "%s proves another event" % name)
        proved.add(index)
    if proved != wanted:
        report.found("V16", "fail", "the proofs are not those of the sampled rows")
    return proofs


def _judge_draw(sampling: dict[str, Any] | None, seen: Derived, report: Report) -> None:
    """Judge whether the log knew of the sample before, and tell of others for the period (V17)."""
    if not sampling:
        return
    period = [
        each for each in seen.draws if (each["since"], each["until"]) == (seen.since, seen.until)
    ]
    others = [
        each for each in period if (each["seed"], each["n"]) != (sampling["seed"], sampling["n"])
    ]
    if len(others) == len(period):
        result = "fail" if others else "undecided"
        report.found("V17", result, "the log does not say that this sample was drawn")
    if others:
        told = ", ".join("%d by %r" % (each["n"], each["seed"]) for each in others[:10])
        what = "%d other samples were drawn for the period: %s" % (len(others), told)
        report.found("V17", "warning", what)


def _listed(source: Source, report: Report) -> dict[str, str]:
    raw = source.read("SHA256SUMS")
    if raw is None:
        report.found("V01", "fail", "SHA256SUMS is missing")
        return {}
    sums = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        told = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if told is None or told[2] in sums:
            report.found("V01", "fail", "SHA256SUMS has a line that is not understood")
        else:
            sums[told[2]] = told[1]
    return sums


def _manifest(
    source: Source, sums: dict[str, str], report: Report
) -> tuple[dict[str, Any], list[str]]:
    """Compare the manifest's list of files with the sums; gives it and the paths it lists."""
    raw = source.read("manifest.json") or b""
    try:
        if not raw.endswith(b"\n"):
            raise Malformed("no newline at the end")
        manifest = read_json(raw[:-1], depth=12)
        files = {each["path"]: each["sha256"] for each in manifest["files"]}
    except (Malformed, KeyError, TypeError) as why:
        report.found("V01", "fail", "manifest.json: %s" % why)
        return {}, []
    own = {"manifest.json", "manifest.note"}
    expected = {name: digest for name, digest in sums.items() if name not in own}
    if files != expected:
        differing = min(set(files.items()) ^ set(expected.items()))[0]
        report.found("V01", "fail", "manifest.json and SHA256SUMS differ about %s" % differing)
    return manifest, sorted(files)


def _judge_package_note(source: Source, name: str, log: Log, trust: Trust, report: Report) -> None:
    """Judge the note over the manifest or the receipt: origin, digest, root, signature (V02)."""
    raw, signed = source.read(name + ".note"), source.read(name + ".json")
    if raw is None or signed is None:
        report.found("V02", "fail", "%s.json or its note is missing" % name)
        return
    try:
        note = read_note(raw)
        origin, digest, root = note.text.split("\n")[:3]
        by = signers(note, trust.keys_of(log.origin))
    except (Malformed, ValueError) as why:
        report.found("V02", "fail", "%s.note: %s" % (name, why))
        return
    if origin.rpartition("/")[0] != log.origin or digest != hashlib.sha256(signed).hexdigest():
        report.found("V02", "fail", "%s.note is about something else" % name)
    if root not in {base64.b64encode(each).decode() for each in log.roots.values()}:
        report.found("V02", "fail", "%s.note names a root that the log does not have" % name)
    if trust.is_blind:
        report.found("V02", "undecided", "%s.note: no key is pinned" % name)
    elif not by:
        report.found("V02", "fail", "%s.note is not signed by a pinned key" % name)


# ------------------------------------------------------------------- the state of a database


_PREFIXES = {"run": "run", "grant": "grt", "task": "tsk", "incident": "inc"}
_PEOPLE = ("subject", "person", "by")


def compare_state(lines: Iterable[str], facts: Facts, report: Report) -> None:
    """Compare rows that were read from the database with what the log leads to (V14).

    A line is an object: the kind of row with its name, and facts, such as `{"run", "state",
    "version", "seq", "head"}` or `{"grant", "state"}`; names may be written as in the log or as
    UUID. `{"kinds": […]}` says of which kinds all rows are there; else these are runs and grants.
    What is newer than the log is undecided.
    """
    report.ran("V14")
    if facts.is_excerpt:
        report.found("V14", "undecided", "an excerpt of a log does not lead to a state")
        return
    rows = [json.loads(line) for line in lines if line.strip()]
    seen: dict[str, set[str]] = {"run": set(), "grant": set()}
    for row in rows:
        seen.update({kind: set() for kind in row.get("kinds", ()) if kind in STATE})
    ahead: set[str] = set()
    for row in sorted(rows, key=lambda each: _kind(each) != "run"):  # runs say what is ahead
        kind = _kind(row)
        if kind:
            name = _name_of(kind, row[kind])
            seen.setdefault(kind, set()).add(name)
            _compare_row(kind, name, row, facts, ahead, report)
    for kind, names in seen.items():
        for name in sorted(facts.rows[kind].keys() - names):
            what = "%s is in the log and not in the state" % _called(kind, name)
            report.found("V14", "fail", what)
    if ahead:
        what = "%d runs have events that are not sealed yet" % len(ahead)
        report.found("V14", "undecided", what)


def _kind(row: dict[str, Any]) -> str:
    """Give the kind of a row: the first of these that it has the name of."""
    order = ("task", "ticket", "grant", "incident", "key", "definition", "schedule", "run")
    return next((kind for kind in order if kind in row and "kinds" not in row), "")


def _called(kind: str, name: str) -> str:
    return name if kind in ("run", "grant") else "%s %s" % (kind, name)


def _name_of(kind: str, name: str) -> str:
    if kind in _PREFIXES:
        name = reference(_PREFIXES[kind], name)
    elif kind == "ticket":
        incident, _, tracker = name.partition(" ")
        name = "%s %s" % (reference("inc", incident), tracker)
    return "run/" + name if kind == "run" else name


def _compare_row(
    kind: str, name: str, row: dict[str, Any], facts: Facts, ahead: set[str], report: Report
) -> None:
    """Compare one row; what its run's stream does not reach yet is not compared."""
    expected: dict[str, Any] = facts.rows[kind].get(name, {})
    if kind == "run":
        last = facts.streams.get(name)
        if last is None or row["seq"] > last.seq:
            ahead.add(name)
            return
        expected = {**expected, "seq": last.seq, "head": last.hash.hex()}
    elif expected.get("", "") in ahead or (not expected and ahead):
        return
    if not expected:
        what = "%s is %s, the log leads to nothing"
        report.found("V14", "fail", what % (_called(kind, name), row.get("state", "there")))
        return
    for fact, has in row.items():
        if fact in (kind, "", "kinds") or fact not in expected:
            continue
        value = reference("per", has) if fact in _PEOPLE and has is not None else has
        if fact == "run" and has is not None:
            value = "run/" + reference("run", has)
        if value != expected[fact]:
            what = "%s: %s is %s, the log leads to %s"
            told = (_called(kind, name), fact, value, expected[fact])
            report.found("V14", "fail", what % told)


def reference(prefix: str, name: str) -> str:
    """Write a UUID as the log does: a prefix and 26 digits of Crockford's base32."""
    if "-" not in name:
        return name
    number = int(name.replace("-", ""), 16)
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    return prefix + "_" + "".join(digits[number >> 5 * place & 31] for place in range(25, -1, -1))


# ----------------------------------------------------------------------------- command line


class _Parser(argparse.ArgumentParser):
    """The parser's own exit code would mean `incomplete`: a mistake in the arguments is 3."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise Unusable(message)


def _parser() -> _Parser:
    parser = _Parser(prog="newel_verify.py", description="Check an audit log of newel.")
    parser.add_argument("log", metavar="LOG", help="package, log (folder or address) or proof")
    parser.add_argument("--policy", metavar="FILE", help="tlog-policy file: whom you believe")
    parser.add_argument("--vkey", action="append", default=[], help="a pinned key; repeatable")
    parser.add_argument("--untrusted", action="store_true", help="believe nobody")
    parser.add_argument(
        "--anchors",
        action="append",
        default=[],
        metavar="PATH",
        help="copies of checkpoints kept elsewhere: file or folder; repeatable",
    )
    parser.add_argument(
        "--opaque",
        action="store_true",
        help="the log of another program: entries are bytes, the tree is checked",
    )
    parser.add_argument("--state", metavar="FILE", help="rows of the database, one object a line")
    parser.add_argument(
        "--from-size",
        type=int,
        default=0,
        metavar="N",
        help="entries before N were verified earlier; their hashes still count",
    )
    parser.add_argument("--key-file", metavar="FILE", help="API key for an address")
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--version", action="version", version="newel_verify " + VERSION)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify what the arguments name; answers with the exit code."""
    try:
        options = _parser().parse_args(arguments)
        report = verify(options)
    except (Unusable, OSError) as why:
        print("newel_verify.py could not run: %s" % why, file=sys.stderr)
        return COULD_NOT_RUN
    if options.json:
        print(json.dumps(report.as_json(), ensure_ascii=False, indent=1))
    else:
        print(report.as_text())
    return report.code()


def verify(options: argparse.Namespace) -> Report:
    """Verify one input; errors: Unusable, if it cannot be read at all."""
    policy = _policy(options)
    report = Report(options.log)
    anchors = read_anchors(options.anchors, report)
    path = Path(options.log)
    facts = None
    wanted = {"is_state_wanted": bool(options.state)}
    how = {"start": options.from_size, "is_opaque": options.opaque, **wanted}
    if re.match("https?://", options.log):
        key = Path(options.key_file).read_text().strip() if options.key_file else None
        address = re.sub("/checkpoint$", "", options.log)
        sources = [(address, Served(address, key))]
        _, facts = verify_logs(sources, policy, anchors, report, **how)
    elif path.is_dir() and not (path / "manifest.json").exists():
        _, facts = verify_logs(logs_in(path), policy, anchors, report, **how)
    elif path.is_dir():
        facts = verify_package(Folder(path), policy, anchors, report, **wanted)
    elif zipfile.is_zipfile(path):
        facts = _verify_zip(path, policy, anchors, report, **wanted)
    else:
        verify_proof(path.read_bytes(), policy, report)
    if options.state and facts is not None:
        with open(options.state, encoding="utf-8") as lines:
            compare_state(lines, facts, report)
    return report


def _verify_zip(
    path: Path,
    policy: Policy | None,
    anchors: list[Checkpoint],
    report: Report,
    *,
    is_state_wanted: bool,
) -> Facts:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names):
                report.found("V01", "fail", "a name stands twice in the archive")
            source = Zip(archive)
            return verify_package(source, policy, anchors, report, is_state_wanted=is_state_wanted)
    except (Malformed, zipfile.BadZipFile, RuntimeError, EOFError) as why:
        report.found("V01", "fail", "the archive is damaged: %s" % why)
    facts = Facts()
    facts.is_excerpt = True
    return facts


def logs_in(path: Path) -> list[tuple[str, Source]]:
    """Give the log in a folder, or the numbered log epochs in it."""
    numbered = sorted(
        (p for p in path.iterdir() if p.is_dir() and p.name.isdigit()),
        key=lambda each: int(each.name),
    )
    folders = [path] if (path / "tile").is_dir() or not numbered else numbered
    if not (folders[0] / "tile").is_dir() and not any(folders[0].glob("checkpoint*")):
        raise Unusable("%s holds neither a package nor a log" % path)
    return [(str(each), Folder(each)) for each in folders]


def _policy(options: argparse.Namespace) -> Policy | None:
    if options.untrusted:
        if options.policy or options.vkey:
            raise Unusable("--untrusted believes nobody: leave out --policy and --vkey")
        return None
    if not options.policy and not options.vkey:
        raise Unusable("name whom you believe: --policy FILE or --vkey KEY (or say --untrusted)")
    return believed(options.policy, options.vkey)


def believed(policy_file: str | Path | None, vkeys: Iterable[str]) -> Policy:
    """Give the policy of a file and more keys; errors: Unusable, OSError."""
    try:
        policy = read_policy(Path(policy_file).read_bytes()) if policy_file else Policy()
        policy.logs.extend(map(read_key, vkeys))
    except Malformed as why:
        raise Unusable(str(why)) from None
    return policy


if __name__ == "__main__":
    sys.exit(main())
