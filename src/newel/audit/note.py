"""Signed notes: a text, and under it lines that say who signed it.

A key has a name, an id of four bytes and a kind of signature; kinds are a table, so that another
one is one entry. Signatures by unknown keys are ignored, as the format demands; one by a known key
that does not verify refuses the note.

A verifier key whose point is written in another than the one way, or is of low order, is refused
when it is read: libraries disagree about signatures under such keys.
Source: https://c2sp.org/signed-note, https://c2sp.org/tlog-cosignature; RFC 8032 §5.1.3.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from newel.base.errors import CheckpointInvalid

__all__ = [
    "COSIGNATURE",
    "ED25519",
    "Note",
    "Signature",
    "SigningKey",
    "VerifierKey",
    "base64_decoded",
    "cosigned_at",
    "verified",
]

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04

_DASH: Final = "— "
_MOST_SIGNATURES: Final = 100
_KEY_BYTES: Final = 32
_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_TIME_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note; data: what follows the id of the key."""

    name: str
    key_id: bytes
    data: bytes

    def line(self) -> str:
        """Write the line, with its end."""
        data = base64.b64encode(self.key_id + self.data).decode()
        return f"{_DASH}{self.name} {data}\n"

    @classmethod
    def parsed(cls, line: str) -> Signature:
        """Read a line without its end; errors: CheckpointInvalid."""
        name, _, data = line.removeprefix(_DASH).partition(" ")
        raw = base64_decoded(data)
        if not line.startswith(_DASH) or not _is_name(name) or raw is None or len(raw) < 5:
            raise _refused("a line under it is no signature.")
        return cls(name, raw[:4], raw[4:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text, ending in a line end, and what was signed under it."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(each.line() for each in self.signatures)}"

    @classmethod
    def parsed(cls, note: str | bytes) -> Note:
        """Read a note; errors: CheckpointInvalid."""
        try:
            whole = note if isinstance(note, str) else note.decode()
        except UnicodeDecodeError:
            raise _refused("it is not written in UTF-8.") from None
        if any(each < " " and each != "\n" for each in whole):
            raise _refused("it holds control characters.")
        text, gap, lines = whole.rpartition("\n\n")
        if not gap or not lines.endswith("\n"):
            raise _refused("nothing is signed under it.")
        found = lines.removesuffix("\n").split("\n")
        if len(found) > _MOST_SIGNATURES:
            raise _refused(f"it has more than {_MOST_SIGNATURES} signatures.")
        return cls(f"{text}\n", tuple(Signature.parsed(line) for line in found))

    def signed_by(self, *signatures: Signature) -> Note:
        """Give the note with more signatures; one that is there already is not added again."""
        return Note(self.text, tuple(dict.fromkeys((*self.signatures, *signatures))))


@dataclass(frozen=True)
class VerifierKey:
    """A public key that a note may be signed with; algorithm: the kind of signature."""

    name: str
    algorithm: int
    public: bytes

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise _refused("the name of a key is empty or holds a space or a plus.")
        if self.algorithm in _KINDS and not _is_safe_point(self.public):
            raise _refused(f"the key of {self.name} is no point of the curve that may be used.")

    @cached_property
    def key_id(self) -> bytes:
        """Give the four bytes that name the key beside its name."""
        return key_id(self.name, self.algorithm, self.public)

    @classmethod
    def parsed(cls, vkey: str) -> VerifierKey:
        """Read `<name>+<id>+<key>`; errors: CheckpointInvalid."""
        name, _, rest = vkey.partition("+")
        stated, _, data = rest.partition("+")
        raw = base64_decoded(data)
        if raw is None or len(raw) < 2:
            raise _refused("this is no verifier key.")
        if raw[0] not in _KINDS:
            raise _refused(f"signatures of the kind {raw[0]:#04x} cannot be checked here.")
        key = cls(name, raw[0], raw[1:])
        if stated != key.key_id.hex():
            raise _refused(f"the id in the verifier key of {name} is not its own.")
        return key

    def __str__(self) -> str:
        data = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{data}"

    def made(self, signature: Signature) -> bool:
        """Tell whether a signature says that it is by this key, true or not."""
        return signature.name == self.name and signature.key_id == self.key_id

    def is_valid(self, signature: Signature, text: str) -> bool:
        """Tell whether a signature is by this key and over this text."""
        return self.made(signature) and _KINDS[self.algorithm](self.public, text, signature.data)


class SigningKey:
    """A private key: its name and 32 bytes, which are never shown."""

    __slots__ = ("_private", "_public", "name")

    def __init__(self, name: str, seed: bytes) -> None:
        self.name = name
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"SigningKey({self.name!r}, ***)"

    def verifier(self, algorithm: int = ED25519) -> VerifierKey:
        """Give the public half; algorithm: for notes of one's own, or for cosignatures."""
        return VerifierKey(self.name, algorithm, self._public)

    def signed(self, text: str) -> Signature:
        """Sign a text that ends in a line end."""
        data = self._private.sign(text.encode())
        return Signature(self.name, self.verifier().key_id, data)

    def cosigned(self, text: str, at: int) -> Signature:
        """Sign that a checkpoint was seen and is consistent; at: seconds since 1970."""
        data = self._private.sign(_cosignature_text(text, at))
        stamped = at.to_bytes(_TIME_BYTES, "big") + data
        return Signature(self.name, self.verifier(COSIGNATURE).key_id, stamped)


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """Give the four bytes that name a key beside its name."""
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def verified(note: Note, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
    """Name the known keys that signed a note; maybe none.

    errors: CheckpointInvalid, if one signature says to be by a known key and is not.
    """
    known = list(keys)
    found: list[VerifierKey] = []
    for signature in note.signatures:
        for key in known:
            if not key.made(signature):
                continue
            if not key.is_valid(signature, note.text):
                raise CheckpointInvalid(
                    origin=note.text.partition("\n")[0],
                    what=f"the signature by {key.name} is not over this text.",
                )
            if key not in found:
                found.append(key)
    return found


def cosigned_at(signature: Signature) -> int:
    """Give the moment that a cosignature states, in seconds since 1970."""
    return int.from_bytes(signature.data[:_TIME_BYTES], "big")


def base64_decoded(text: str) -> bytes | None:
    """Read standard base64 as it has to be written; None if it is anything else."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def _verify_plain(public: bytes, text: str, data: bytes) -> bool:
    return _verify(public, text.encode(), data)


def _verify_cosignature(public: bytes, text: str, data: bytes) -> bool:
    at = int.from_bytes(data[:_TIME_BYTES], "big")
    if at >= 1 << 63:
        return False
    return _verify(public, _cosignature_text(text, at), data[_TIME_BYTES:])


def _cosignature_text(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _verify(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


_KINDS: Final[dict[int, Callable[[bytes, str, bytes], bool]]] = {
    ED25519: _verify_plain,
    COSIGNATURE: _verify_cosignature,
}


def _is_name(name: str) -> bool:
    return bool(name) and not any(each.isspace() or each == "+" for each in name)


def _is_safe_point(public: bytes) -> bool:
    """Tell whether 32 bytes are a point of the curve, written in the one way, of high order.

    A point of low order becomes the neutral one when it is doubled three times; in doubling, the
    coordinates follow from y² and x² alone.
    """
    if len(public) != _KEY_BYTES:
        return False
    y = int.from_bytes(public, "little") & ((1 << 255) - 1)
    if y >= _P:
        return False
    yy = y * y % _P
    xx = (yy - 1) * pow(_D * yy + 1, -1, _P) % _P
    if xx == 0 or pow(xx, (_P - 1) // 2, _P) != 1:
        return False  # (0, ±1) is of low order; what has no root is no point
    for _ in range(3):
        product = _D * xx * yy % _P
        doubled_y = (yy + xx) * pow(1 - product, -1, _P) % _P
        doubled_xx = 4 * xx * yy * pow((1 + product) ** 2, -1, _P) % _P
        xx, yy = doubled_xx, doubled_y * doubled_y % _P
        if xx == 0:
            return False
    return True


def _refused(what: str) -> CheckpointInvalid:
    return CheckpointInvalid(origin="a note", what=what)
