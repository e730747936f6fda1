"""Checkpoints: the signed head of the log, and proofs that carry one with them.

A checkpoint says that the log of this origin has so many leaves and this root. A proof is the place
of one leaf, the hashes that lead from it to that root, and the checkpoint: everything that is
needed to check one fact without the log, except the fact and a key that is trusted.
Source: https://c2sp.org/tlog-checkpoint, https://c2sp.org/tlog-proof.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from newel.audit.merkle import EMPTY_ROOT, check_inclusion
from newel.audit.note import Note, VerifierKey, base64_decoded, verified
from newel.base.errors import CheckpointInvalid

__all__ = ["Checkpoint", "Proof", "opened"]

_PROOF: Final = "c2sp.org/tlog-proof@v1"
_DECIMAL: Final = re.compile(r"0|[1-9]\d{0,18}", re.ASCII)
_LARGEST: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: whose, how many leaves, which root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Write what is signed."""
        root = base64.b64encode(self.root).decode()
        return "\n".join([self.origin, str(self.size), root, *self.extensions, ""])

    @classmethod
    def parsed(cls, text: str) -> Checkpoint:
        """Read the text of a note; errors: CheckpointInvalid."""
        origin, *rest = text.removesuffix("\n").split("\n")
        if not text.endswith("\n") or len(rest) < 2 or not all((origin, *rest)):
            raise CheckpointInvalid(origin=origin, what="three lines are needed, none empty.")
        size, root = number(rest[0]), base64_decoded(rest[1])
        if size is None:
            raise CheckpointInvalid(origin=origin, what="the size is no number as it has to be.")
        if root is None or len(root) != len(EMPTY_ROOT):
            raise CheckpointInvalid(origin=origin, what="the root is no hash.")
        if size == 0 and root != EMPTY_ROOT:
            raise CheckpointInvalid(origin=origin, what="nothing has another root than nothing.")
        return cls(origin, size, root, tuple(rest[2:]))


def opened(note: Note, keys: Iterable[VerifierKey]) -> Checkpoint:
    """Read a note that one of the keys of its own origin has signed.

    errors: CheckpointInvalid, if none has, if one has not who is said to, or if it is none.
    """
    checkpoint = Checkpoint.parsed(note.text)
    own = [key for key in keys if key.name == checkpoint.origin]
    if not verified(note, own):
        raise CheckpointInvalid(
            origin=checkpoint.origin, what="none of the keys that are trusted for it has signed it."
        )
    return checkpoint


@dataclass(frozen=True, slots=True)
class Proof:
    """That one leaf is in a log; extra: bytes that nothing vouches for, here the entry itself."""

    index: int
    hashes: tuple[bytes, ...]
    note: Note
    extra: bytes | None = None

    def __str__(self) -> str:
        lines = [_PROOF]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines.extend(base64.b64encode(each).decode() for each in self.hashes)
        return "\n".join([*lines, "", str(self.note)])

    @classmethod
    def parsed(cls, text: str) -> Proof:
        """Read a proof; errors: CheckpointInvalid."""
        head, gap, note = text.partition("\n\n")
        first, *lines = head.split("\n")
        if not gap or first != _PROOF:
            raise CheckpointInvalid(origin="a proof", what=f"it does not begin with {_PROOF}.")
        extra: bytes | None = None
        if lines and lines[0].startswith("extra "):
            extra = base64_decoded(lines.pop(0).removeprefix("extra "))
            if extra is None:
                raise CheckpointInvalid(origin="a proof", what="its extra line is no base64.")
        index = number(lines[0].removeprefix("index ")) if lines else None
        if index is None or not lines[0].startswith("index "):
            raise CheckpointInvalid(origin="a proof", what="it does not say which leaf is meant.")
        hashes = [base64_decoded(line) for line in lines[1:]]
        if not all(each is not None and len(each) == len(EMPTY_ROOT) for each in hashes):
            raise CheckpointInvalid(origin="a proof", what="a line of it is no hash.")
        known = tuple(each for each in hashes if each is not None)
        return cls(index, known, Note.parsed(note), extra)

    def check(self, leaf: bytes, keys: Iterable[VerifierKey]) -> Checkpoint:
        """Refuse what does not bind this leaf hash to a checkpoint by one of the keys.

        errors: CheckpointInvalid, LogInconsistent.
        """
        checkpoint = opened(self.note, keys)
        check_inclusion(
            index=self.index,
            size=checkpoint.size,
            leaf=leaf,
            proof=self.hashes,
            root=checkpoint.root,
        )
        return checkpoint


def number(text: str) -> int | None:
    """Read a number as C2SP writes it: no sign, no leading nought, below 2^63; None otherwise."""
    if _DECIMAL.fullmatch(text) is None or int(text) > _LARGEST:
        return None
    return int(text)
