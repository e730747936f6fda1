"""Personal data under one key per person, so that destroying the key erases the person.

Two things are sealed. A *field* of a leaf (a name shown to an approver, a reason in free text) is
replaced by `{"enc","kid","iv","ct"}`; it is bound to its event and its place, so it cannot be moved
to another. A *payload* (inputs, results, what is known of an attempt) stands beside the leaf, which
holds the digest of the stored bytes; they are never written again, so the digest can be checked for
as long as the payload exists, and the chain after it is gone.

    payload  =  0x01  length of kid (1 byte)  kid  nonce (12)  ciphertext and tag    sealed
             |  0x00  salt (16)  plaintext                                           about nobody

The salt keeps the digest of a short value from being guessed. A person's keys are random and lie in
the database wrapped under a key-encryption key that never does; key and wrap are AES-256-GCM with
random 96-bit nonces, far below the 2^32 uses per key at which those become doubtful.

Nothing here draws chance, reads a clock or talks to a database.
Source: our own audit document §3.2, §3.4, §15; NIST SP 800-38D §8 (nonces).
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from newel.audit.canonical import Json, leaf_bytes
from newel.base.errors import LogInconsistent

__all__ = [
    "PersonKey",
    "digest",
    "new_key",
    "open_field",
    "open_payload",
    "payload_kid",
    "plain_payload",
    "seal_field",
    "seal_payload",
    "unwrap",
    "wrap",
]

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SALT_BYTES: Final = 16
_PLAIN: Final = 0
_SEALED: Final = 1

Entropy = Callable[[int], bytes]
"""Gives as many random bytes as asked for."""


@dataclass(frozen=True, slots=True)
class PersonKey:
    """The n-th key of a person, ready for use; making it ready costs more than using it.

    kid: `per_…/1`. Kept in memory for five minutes at most (whoever holds it sees to that).
    """

    kid: str
    secret: bytes = field(repr=False)
    cipher: AESGCM = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cipher", AESGCM(self.secret))


def new_key(entropy: Entropy) -> bytes:
    """Draw a key: for a person, or to wrap those of persons."""
    return entropy(_KEY_BYTES)


def wrap(kek: AESGCM, key: PersonKey, entropy: Entropy) -> bytes:
    """Wrap a person's key under the key-encryption key, bound to its name; nonce first."""
    nonce = entropy(_NONCE_BYTES)
    return nonce + kek.encrypt(nonce, key.secret, key.kid.encode())


def unwrap(kek: AESGCM, kid: str, wrapped: bytes) -> PersonKey:
    """Unwrap a person's key; errors: LogInconsistent, if it is another's or another key's."""
    try:
        secret = kek.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], kid.encode())
    except (InvalidTag, ValueError) as cause:
        raise LogInconsistent(at=kid, what="the person's key cannot be unwrapped") from cause
    return PersonKey(kid, secret)


def seal_payload(key: PersonKey, plaintext: bytes, *, aad: bytes, entropy: Entropy) -> bytes:
    """Seal a payload about a person; aad: what it belongs to, needed again to open it."""
    nonce = entropy(_NONCE_BYTES)
    kid = key.kid.encode()
    return b"".join(
        (bytes((_SEALED, len(kid))), kid, nonce, key.cipher.encrypt(nonce, plaintext, aad))
    )


def plain_payload(plaintext: bytes, *, entropy: Entropy) -> bytes:
    """Wrap a payload about nobody, salted so that its digest tells nothing."""
    return b"\0" + entropy(_SALT_BYTES) + plaintext


def payload_kid(payload: bytes) -> str | None:
    """Name the key a payload is sealed under; None if it is about nobody.

    errors: LogInconsistent, if it is in neither form.
    """
    kind, kid_bytes = payload[:1], payload[1:2]
    if kind == b"\0" and len(payload) > _SALT_BYTES:
        return None
    end = 2 + (kid_bytes[0] if kid_bytes else 0)
    if kind != b"\1" or len(payload) < end + _NONCE_BYTES or not payload[2:end].isascii():
        raise LogInconsistent(at="", what="a payload is in no known form")
    return payload[2:end].decode()


def open_payload(payload: bytes, *, key: PersonKey | None, aad: bytes) -> bytes:
    """Give the plaintext of a payload; key: the one `payload_kid` names.

    errors: LogInconsistent, if it was changed, belongs elsewhere or the key is another.
    """
    kid = payload_kid(payload)
    if kid is None:
        return payload[1 + _SALT_BYTES :]
    if key is None or key.kid != kid:
        raise LogInconsistent(at=kid, what="a payload is opened with another key than its own")
    start = 2 + payload[1]
    nonce, sealed = payload[start : start + _NONCE_BYTES], payload[start + _NONCE_BYTES :]
    try:
        return key.cipher.decrypt(nonce, sealed, aad)
    except InvalidTag as cause:
        raise LogInconsistent(at=kid, what="a payload was changed or moved") from cause


def digest(payload: bytes) -> str:
    """Give the digest that stands in the leaf: SHA-256 of the stored bytes, in hex."""
    return sha256(payload).hexdigest()


def seal_field(
    key: PersonKey, value: object, *, event_id: str, pointer: str, entropy: Entropy
) -> dict[str, Any]:  # Any: JSON
    """Seal a personal field of a leaf at its place.

    value: text, or anything a leaf can hold. pointer: RFC 6901, from the top of the leaf
    (`/data/comment`). The plaintext is canonical JSON, so equal values are equal bytes.
    """
    nonce = entropy(_NONCE_BYTES)
    plaintext = leaf_bytes({"": value})[len(b'{"":') : -1]
    sealed = key.cipher.encrypt(nonce, plaintext, _place(event_id, pointer))
    return {"enc": "A256GCM", "kid": key.kid, "iv": _text(nonce), "ct": _text(sealed)}


def open_field(key: PersonKey, sealed: Json, *, event_id: str, pointer: str) -> object:
    """Open a personal field; errors: LogInconsistent, if it was changed or moved."""
    at = f"{event_id}{pointer}"
    if sealed.get("enc") != "A256GCM" or sealed.get("kid") != key.kid:
        raise LogInconsistent(at=at, what="a personal field is under another key")
    try:
        plaintext = key.cipher.decrypt(
            _bytes(sealed["iv"]), _bytes(sealed["ct"]), _place(event_id, pointer)
        )
    except (InvalidTag, KeyError, ValueError) as cause:
        raise LogInconsistent(at=at, what="a personal field was changed or moved") from cause
    opened: object = orjson.loads(plaintext)
    return opened


def _place(event_id: str, pointer: str) -> bytes:
    return f"{event_id}\n{pointer}".encode()


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
