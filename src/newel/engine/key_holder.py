"""What the signer of the log keeps outside the database: the key, whom to believe, the last head.

Whoever owns the database owns none of it. The last signed head is remembered before it is told to
the database, so that a tree that was changed or rolled back is noticed by the signer itself, which
then signs nothing more. The policy names the key for `newel audit verify`; it is written once, when
the log begins.

    folder/key            32 bytes in base64, mode 0600, unless a setting refers to another place
    folder/key.next       the key that is about to take its place
    folder/key.old        the key before it, which signs along until a copy elsewhere has both
    folder/policy         whom this deployment believes (tlog-policy)
    folder/checkpoint.1   the last head of log epoch 1
Source: our own audit document §6, §7.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from newel.audit.note import Note, SigningKey
from newel.audit.trust import policy_text
from newel.base.errors import StoreError
from newel.base.secrets import SecretRef
from newel.engine.archive import Archive
from newel.engine.copies import Anchor
from newel.engine.whole_files import write_once, write_whole

__all__ = ["KeyHolder"]

_SEED_BYTES: Final = 32


class KeyHolder:
    """Key, policy and memory of one log, in a folder of this machine."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "localhost",
        key: SecretRef | None = None,
        before: SecretRef | None = None,
        anchors: Sequence[Anchor] = (),
        archive: Path | None = None,
    ) -> None:
        """Take the folder; key, before: where the keys lie, if not there. Nothing is read yet.

        host: what the log is named after, with the id of the deployment, when it begins. anchors:
        where copies of what was signed go. archive: the folder with entries that were pruned;
        default: beside this one.
        """
        self.anchors = anchors
        self.archive = Archive(archive or folder.parent / "archive")
        self.folder = folder
        self.host = host
        self._references = [each for each in (key, before) if each is not None]

    @property
    def policy(self) -> Path:
        """Where it stands whom this deployment believes."""
        return self.folder / "policy"

    def signing_key(self, origin: str, *, new: bool = False) -> SigningKey | None:
        """Give the key under the name of a log; None if it is not here.

        new: make one where there is none. Raises StoreError if it is no key, AuthFailed if a
        reference leads nowhere. May block for as long as a reference does.
        """
        if new and not self._references:
            _made(self._current)
        return next(iter(self.signing_keys(origin)), None)

    def signing_keys(self, origin: str) -> list[SigningKey]:
        """Give all keys that are here under the name of a log; errors as `signing_key`.

        Which of them is the log's says the log: there are several while one takes another's place.
        """
        seeds = [_seed(each.resolve().reveal(), str(each)) for each in self._references]
        if not seeds:
            files = [path for path in (self._current, self._next, self._old) if path.exists()]
            seeds = [_seed(path.read_text(encoding="ascii").strip(), str(path)) for path in files]
        return [SigningKey(origin, seed) for seed in seeds]

    def make_next(self) -> None:
        """Make the key that is to take the place of this one, unless it is there already."""
        if not self._references:
            _made(self._next)

    def next_key(self, origin: str) -> SigningKey | None:
        """Give the key that was made to take the place of this one, and has not; errors as above.

        Whether it has signed for itself says the log: only then it may be promoted.
        """
        if self._references or not self._next.exists():
            return None
        return SigningKey(origin, _seed(self._next.read_text("ascii").strip(), str(self._next)))

    def promote_next(self) -> None:
        """Let the next key take its place; after a crash in the middle, a second call ends it."""
        if self._next.exists():
            if not self._old.exists():
                self._current.rename(self._old)
            self._next.rename(self._current)

    def destroy_old(self) -> None:
        """Destroy the key before this one."""
        self._old.unlink(missing_ok=True)

    @property
    def has_old(self) -> bool:
        """Whether the key before this one still signs along."""
        return self._old.exists()

    @property
    def _current(self) -> Path:
        return self.folder / "key"

    @property
    def _next(self) -> Path:
        return self.folder / "key.next"

    @property
    def _old(self) -> Path:
        return self.folder / "key.old"

    def trust(self, key: SigningKey) -> None:
        """Believe the key from now on, for want of a policy; one that is there stays."""
        if not self.policy.exists():
            write_whole(self.policy, policy_text([key.verifier()]).encode())

    def remembered(self, log_epoch: int) -> Note | None:
        """Give the last head that was signed here; None if none was.

        Raises CheckpointInvalid if the file is no note.
        """
        path = self.memory(log_epoch)
        return Note.parsed(path.read_bytes()) if path.exists() else None

    def remember(self, log_epoch: int, note: Note) -> None:
        """Keep a signed head; when this returns, it outlives a loss of power."""
        write_whole(self.memory(log_epoch), str(note).encode())

    def memory(self, log_epoch: int) -> Path:
        """Name the file with the last head of a log epoch."""
        return self.folder / f"checkpoint.{log_epoch}"


def _made(path: Path) -> None:
    if not path.exists():
        write_once(path, base64.b64encode(os.urandom(_SEED_BYTES)) + b"\n")


def _seed(text: str, where: str) -> bytes:
    try:
        seed = base64.b64decode(text, validate=True)
    except binascii.Error:
        seed = b""
    if len(seed) != _SEED_BYTES:
        raise StoreError(f"{where} is no key of a log: it must hold {_SEED_BYTES} bytes in base64.")
    return seed
