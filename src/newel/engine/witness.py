"""A witness: somebody else's small program that sees every checkpoint and cosigns what only grows.

It needs no database, only a folder and a key. For each log it remembers the last head that it has
cosigned; a head that has not grown out of that one is refused, for ever. So nobody can show one
log to the auditor and another to the company.
Source: https://c2sp.org/tlog-witness, https://c2sp.org/tlog-cosignature.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from newel.audit.checkpoint import Checkpoint, number
from newel.audit.merkle import check_consistency
from newel.audit.note import Note, SigningKey, base64_decoded, verified
from newel.audit.trust import Policy
from newel.base.errors import CheckpointInvalid, LogInconsistent
from newel.engine.whole_files import write_whole

__all__ = ["Answer", "Witness"]

_MOST_LINES: Final = 63
_SIZE: Final = "text/x.tlog.size"
_TEXT: Final = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """What a caller gets: status of HTTP, body, and its type."""

    status: int
    body: str = ""
    kind: str = _TEXT


class _Request(NamedTuple):
    old: int
    proof: list[bytes]
    note: Note
    checkpoint: Checkpoint


class Witness:
    """Cosigns heads of the logs that a policy names."""

    def __init__(
        self,
        key: SigningKey,
        policy: Policy,
        folder: Path,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take the key, whom to witness, and where to remember; now: seconds since 1970."""
        self._key = key
        self._policy = policy
        self._folder = folder
        self._now = now

    def add(self, body: bytes) -> Answer:
        """Check a head against the last one of its log, remember it, and cosign it."""
        try:
            asked = _read(body)
        except CheckpointInvalid as wrong:
            return Answer(400, f"{wrong.what}\n")
        origin = asked.checkpoint.origin
        keys = self._policy.keys_of(origin)
        if not keys:
            return Answer(404)
        try:
            is_signed = bool(verified(asked.note, keys))
        except CheckpointInvalid:
            is_signed = False
        if not is_signed:
            return Answer(403)
        if asked.old > asked.checkpoint.size:
            return Answer(400, "the old size is larger than the new one\n")
        with self._alone(origin) as file:
            return self._added(asked, file)

    def newest(self, origin_hash: str) -> str | None:
        """Give the last head that was cosigned of a log; origin_hash: SHA-256 of its name, hex."""
        known = {hashlib.sha256(key.name.encode()).hexdigest() for key in self._policy.logs}
        file = self._folder / f"checkpoint.{origin_hash}"
        return file.read_text(encoding="utf-8") if origin_hash in known and file.exists() else None

    def _added(self, asked: _Request, file: Path) -> Answer:
        last = Note.parsed(file.read_bytes()) if file.exists() else None
        known = None if last is None else Checkpoint.parsed(last.text)
        size = 0 if known is None else known.size
        if asked.old != size:
            return Answer(409, f"{size}\n", _SIZE)
        if not _has_grown(known, asked):
            return Answer(422)
        cosigned = self._key.cosigned(asked.note.text, int(self._now()))
        write_whole(file, str(asked.note.signed_by(cosigned)).encode())
        return Answer(200, cosigned.line())

    @contextmanager
    def _alone(self, origin: str) -> Iterator[Path]:
        """Let one request of a log be checked and remembered at a time, in all processes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(origin.encode()).hexdigest()
        with (self._folder / f"lock.{name}").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._folder / f"checkpoint.{name}"


def _has_grown(known: Checkpoint | None, asked: _Request) -> bool:
    new = asked.checkpoint
    if known is None or known.size == 0:
        return not asked.proof
    try:
        check_consistency(
            old=known.size,
            new=new.size,
            old_root=known.root,
            new_root=new.root,
            proof=asked.proof,
        )
    except LogInconsistent:
        return False
    return True


def _read(body: bytes) -> _Request:
    """Read a request; errors: CheckpointInvalid."""
    head, gap, note = body.partition(b"\n\n")
    first, *lines = head.decode("ascii", "replace").split("\n")
    old = number(first.removeprefix("old ")) if first.startswith("old ") else None
    proof = [base64_decoded(line) for line in lines]
    known = [each for each in proof if each is not None]
    if not gap or old is None or len(known) < len(proof) or len(proof) > _MOST_LINES:
        raise CheckpointInvalid(origin="a request", what="it is no old size, proof and note")
    read = Note.parsed(note)
    return _Request(old, known, read, Checkpoint.parsed(read.text))
