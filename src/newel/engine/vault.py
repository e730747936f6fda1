"""Keys of people, unwrapped for a few minutes, and the sealing of payloads with them.

A person's key lies in the database wrapped under a key-encryption key that never does. Whoever
destroys the wrapped key erases the person: payloads and sealed fields stay where they are, and
nobody can read them. The key-encryption key itself changes from time to time (`rewrapping`): while
another takes its place, both are here, and what does not open with one is tried with the other.
"""

from __future__ import annotations

import contextlib
import hmac
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from newel.audit import personal
from newel.base.clock import Clock, SystemClock
from newel.base.errors import LogInconsistent, StoreError
from newel.base.ids import Ids, reference
from newel.engine.whole_files import write_once

Entropy = Callable[[int], bytes]
_Opened = TypeVar("_Opened")

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

    def of_run(self, run: UUID) -> Sealer:
        """Give the sealer of another run about the same person."""
        return Sealer(self._find, run, self.entropy)

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
        self,
        kek: bytes,
        *before: bytes,
        again: Callable[[], Sequence[bytes]] | None = None,
        entropy: Entropy = os.urandom,
        clock: Clock | None = None,
    ) -> None:
        """Take the key-encryption key, 32 bytes, and those whose place it takes, newest first.

        again: how to read them anew; another process may give them another. entropy, clock: chance,
        and the time in ids; tests give their own.
        """
        self.entropy = entropy
        self._clock = clock
        self._again = again
        self._monotonic = (clock or SystemClock()).monotonic
        self._keys: dict[str, personal.PersonKey] = {}
        self._since = self._monotonic()
        self._take([kek, *before])
        self._marks = _marks(before[-1] if before else kek)

    @classmethod
    def at(cls, path: Path) -> Vault:
        """Read the key-encryption key from a file, made with mode 0600 if there is none.

        The one before it lies beside it, `….old`, until it is destroyed.
        """
        if not path.exists():
            write_once(path, os.urandom(_KEY_BYTES))
        kek, *before = _files(path)
        return cls(kek, *before, again=partial(_files, path))

    @property
    def kek_ids(self) -> tuple[str, ...]:
        """The names of the key-encryption keys that are here, the one in force first."""
        return tuple(self._keks)

    @property
    def kek_id(self) -> str:
        """The name of the key-encryption key in force: a digest that tells nothing of it."""
        return self.kek_ids[0]

    def marks(self) -> bytes:
        """Give the secret of `mark_of`, to be kept where another key-encryption key takes over."""
        return self._marks

    def keep_marks(self, secret: bytes) -> None:
        """Take the secret of `mark_of` that was kept."""
        self._marks = secret

    def renew(self) -> None:
        """Read the key-encryption keys anew; what is unwrapped is forgotten."""
        self.forget()
        if self._again is not None:
            self._take(self._again())

    def _take(self, keks: Sequence[bytes]) -> None:
        self._keks = {_kek_id(each): AESGCM(each) for each in keks}

    def ids(self) -> Ids:
        """Give a maker of ids, for one owner."""
        return Ids(self._clock, self.entropy)

    def new_key(self, person: UUID) -> tuple[bytes, personal.PersonKey]:
        """Make a first key for a person; answers with it wrapped, and ready for use."""
        kid = f"{reference('per', person)}/1"
        key = personal.PersonKey(kid, personal.new_key(self.entropy))
        return self.wrapped(key), key

    def wrapped(self, key: personal.PersonKey, kek_id: str | None = None) -> bytes:
        """Wrap a person's key under the key-encryption key in force, or the one that is named."""
        self._fresh()
        return personal.wrap(self._keks[kek_id or self.kek_id], key, self.entropy)

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
        key = self._keys[kid] = self._tried(lambda kek: personal.unwrap(kek, kid, wrapped))
        return key

    def _tried(self, opens: Callable[[AESGCM], _Opened]) -> _Opened:
        """Open with whichever key-encryption key does; they may have changed since they were read.

        Raises LogInconsistent if none does.
        """
        try:
            return _opened_by(self._keks.values(), opens)
        except LogInconsistent:
            if self._again is None:
                raise
        self.renew()
        return _opened_by(self._keks.values(), opens)

    def forget(self) -> None:
        """Forget the keys that were unwrapped: of people who were erased, too."""
        self._keys.clear()
        self._since = self._monotonic()

    def _known(self, kid: str) -> personal.PersonKey | None:
        self._fresh()
        return self._keys.get(kid)

    def _fresh(self) -> None:
        """See to it that what is known was read a few minutes ago at most."""
        if self._monotonic() - self._since > _KEPT_S:
            self.renew()

    def mark_of(self, address: str) -> bytes:
        """Digest a work address under a secret: whoever has only the digest cannot guess it."""
        return hmac.digest(self._marks, address.strip().lower().encode(), "sha256")

    def sealed(self, text: bytes, owner: UUID) -> bytes:
        """Seal what is about nobody in particular, for the row that it belongs to."""
        self._fresh()
        nonce = self.entropy(_NONCE_BYTES)
        return nonce + self._keks[self.kek_id].encrypt(nonce, text, owner.bytes)

    def opened(self, sealed: bytes, owner: UUID) -> bytes:
        """Open what was sealed for a row; raises LogInconsistent if it is another's."""
        return self._tried(lambda kek: _opened(kek, sealed, owner))

    def is_current(self, sealed: bytes, owner: UUID) -> bool:
        """Say whether what was sealed for a row opens with the key-encryption key in force."""
        try:
            _opened(self._keks[self.kek_id], sealed, owner)
        except LogInconsistent:
            return False
        return True

    def check(self, person: UUID, n: int, wrapped: bytes) -> None:
        """Raise StoreError unless a key that should be wrapped under this one opens with it."""
        try:
            self.key(f"{reference('per', person)}/{n}", wrapped)
        except LogInconsistent as error:
            raise StoreError(
                f"The key-encryption key `{self.kek_id}` is not the one that people's keys of this "
                "database are wrapped with. Nothing was started: bring back the right key."
            ) from error


def _opened_by(keks: Iterable[AESGCM], opens: Callable[[AESGCM], _Opened]) -> _Opened:
    """Open with the first key-encryption key that does; raises LogInconsistent if none does."""
    *first, last = keks
    for kek in first:
        with contextlib.suppress(LogInconsistent):
            return opens(kek)
    return opens(last)


def _opened(kek: AESGCM, sealed: bytes, owner: UUID) -> bytes:
    try:
        return kek.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.bytes)
    except (InvalidTag, ValueError) as cause:
        raise LogInconsistent(at=str(owner), what="it cannot be opened") from cause


def _files(path: Path) -> list[bytes]:
    """Read the key-encryption keys that lie at a place, the one in force first."""
    found = [each for each in (path, old_key(path)) if each.exists()]
    keks = [each.read_bytes() for each in found]
    if not keks or any(len(each) != _KEY_BYTES for each in keks):
        raise StoreError(f"{path} is no key-encryption key: it must hold {_KEY_BYTES} bytes.")
    return keks


def old_key(path: Path) -> Path:
    """Name the file of the key-encryption key before the one in a file."""
    return path.with_name(f"{path.name}.old")


def _kek_id(kek: bytes) -> str:
    return hmac.digest(kek, b"newel key-encryption key", "sha256")[:6].hex()


def _marks(kek: bytes) -> bytes:
    return hmac.digest(kek, b"newel given address", "sha256")
