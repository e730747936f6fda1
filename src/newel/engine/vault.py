"""Keys of people, unwrapped for a few minutes, and the sealing of payloads with them.

A person's key lies in the database wrapped under a key-encryption key that never does. Whoever
destroys the wrapped key erases the person: payloads and sealed fields stay where they are, and
nobody can read them.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from newel.audit import personal
from newel.base.clock import Clock, SystemClock
from newel.base.errors import LogInconsistent, StoreError
from newel.base.ids import Ids, reference

Entropy = Callable[[int], bytes]

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEPT_S: Final = 300.0
"""How long a key stays unwrapped in memory: so long a person who was erased may still be read."""


class Sealer:
    """Seals and opens the payloads of one run: under its subject's key, or salted.

    A key that cannot be unwrapped is noticed where it is needed, with LogInconsistent: a run can
    be parked without it, and go on when the right key-encryption key is back.
    """

    __slots__ = ("_aad", "_find", "entropy")

    def __init__(
        self,
        key: personal.PersonKey | Callable[[], personal.PersonKey] | None,
        run: UUID,
        entropy: Entropy = os.urandom,
    ) -> None:
        """Take the key of the run's subject, or how to find it; None for a run about nobody."""
        self._find = key
        self.entropy = entropy
        self._aad = run.bytes

    @property
    def _key(self) -> personal.PersonKey | None:
        if callable(self._find):
            self._find = self._find()
        return self._find

    def seal(self, text: bytes) -> bytes:
        """Make the envelope in which a value is stored."""
        if self._key is None:
            return personal.plain_payload(text, entropy=self.entropy)
        return personal.seal_payload(self._key, text, aad=self._aad, entropy=self.entropy)

    def open(self, envelope: bytes) -> bytes:
        """Give the plain bytes of an envelope."""
        return personal.open_payload(envelope, key=self._key, aad=self._aad)

    def field(self, value: str, *, event_id: str, pointer: str) -> dict[str, Any] | None:
        """Seal a personal field of a leaf; None where nobody has a key for it."""
        if self._key is None:
            return None
        return dict(
            personal.seal_field(
                self._key, value, event_id=event_id, pointer=pointer, entropy=self.entropy
            )
        )

    @staticmethod
    def digest(envelope: bytes) -> str:
        """What the leaf says of an envelope."""
        return personal.digest(envelope)


class Vault:
    """The key-encryption key, people's keys unwrapped with it, and where chance comes from."""

    def __init__(
        self, kek: bytes, kek_id: str, *, entropy: Entropy = os.urandom, clock: Clock | None = None
    ) -> None:
        """Take the key-encryption key: 32 bytes, and the name it goes by.

        entropy, clock: chance, and the time in ids; tests give their own.
        """
        self.entropy = entropy
        self._clock = clock
        self._kek = AESGCM(kek)
        self._marks = hmac.digest(kek, b"newel given address", "sha256")
        self.kek_id = kek_id
        self._keys: dict[str, personal.PersonKey] = {}
        self._monotonic = (clock or SystemClock()).monotonic
        self._since = self._monotonic()

    @classmethod
    def at(cls, path: Path) -> Vault:
        """Read the key-encryption key from a file, made with mode 0600 if there is none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "wb") as file:
                file.write(os.urandom(_KEY_BYTES))
        kek = path.read_bytes()
        if len(kek) != _KEY_BYTES:
            raise StoreError(f"{path} is no key-encryption key: it must hold {_KEY_BYTES} bytes.")
        return cls(kek, "file")

    def ids(self) -> Ids:
        """Give a maker of ids, for one owner."""
        return Ids(self._clock, self.entropy)

    def new_key(self, person: UUID) -> tuple[bytes, personal.PersonKey]:
        """Make a first key for a person; answers with it wrapped, and ready for use."""
        kid = f"{reference('per', person)}/1"
        key = personal.PersonKey(kid, personal.new_key(self.entropy))
        return personal.wrap(self._kek, key, self.entropy), key

    def sealer(
        self, run: UUID, person: UUID | None, n: int | None, wrapped: bytes | None
    ) -> Sealer:
        """Give the sealer of a run about `person`, whose n-th key is `wrapped`."""
        if person is None or n is None or wrapped is None:
            return Sealer(None, run, self.entropy)
        kid = f"{reference('per', person)}/{n}"
        known = self._known(kid)
        return Sealer(known or partial(self.key, kid, wrapped), run, self.entropy)

    def key(self, kid: str, wrapped: bytes) -> personal.PersonKey:
        """Unwrap the key of that name. Raises LogInconsistent under another key-encryption key."""
        if (known := self._known(kid)) is not None:
            return known
        if len(self._keys) > 10_000:
            self.forget()
        key = self._keys[kid] = personal.unwrap(self._kek, kid, wrapped)
        return key

    def forget(self) -> None:
        """Forget the keys that were unwrapped: of people who were erased, too."""
        self._keys.clear()
        self._since = self._monotonic()

    def _known(self, kid: str) -> personal.PersonKey | None:
        if self._monotonic() - self._since > _KEPT_S:
            self.forget()
        return self._keys.get(kid)

    def mark_of(self, address: str) -> bytes:
        """Digest a work address under the key: whoever has only the digest cannot guess it."""
        return hmac.digest(self._marks, address.strip().lower().encode(), "sha256")

    def sealed(self, text: bytes, owner: UUID) -> bytes:
        """Seal what is about nobody in particular, for the row that it belongs to."""
        nonce = self.entropy(_NONCE_BYTES)
        return nonce + self._kek.encrypt(nonce, text, owner.bytes)

    def opened(self, sealed: bytes, owner: UUID) -> bytes:
        """Open what was sealed for a row; raises LogInconsistent if it is another's."""
        try:
            return self._kek.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.bytes)
        except (InvalidTag, ValueError) as cause:
            raise LogInconsistent(at=str(owner), what="it cannot be opened") from cause

    def check(self, person: UUID, n: int, wrapped: bytes) -> None:
        """Raise StoreError unless a key that should be wrapped under this one opens with it."""
        try:
            self.key(f"{reference('per', person)}/{n}", wrapped)
        except LogInconsistent as error:
            raise StoreError(
                f"The key-encryption key `{self.kek_id}` is not the one that people's keys of this "
                "database are wrapped with. Nothing was started: bring back the right key."
            ) from error
