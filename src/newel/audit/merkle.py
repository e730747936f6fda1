"""The tree over the leaves: its root in one pass, and short proofs about it.

A `Frontier` holds the roots of the complete subtrees to the left, largest first: the binary digits
of the size say how many leaves each has. Appending merges equal neighbours as adding one carries.

A proof is a list of hashes, each the root over a span of leaves. Which spans these are follows from
the sizes alone, so a proof is planned first (`inclusion_spans`, `consistency_spans`) and its hashes
are looked up after, from whatever holds complete subtrees: `tiles` names the places.
Source: RFC 6962 §2.1; checking as in RFC 9162 §2.1.3.2 and §2.1.4.2; the compact range of
https://github.com/transparency-dev/merkle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from newel.audit.canonical import node_hash
from newel.base.errors import LogInconsistent

__all__ = [
    "EMPTY_ROOT",
    "Frontier",
    "Span",
    "Subtree",
    "check_consistency",
    "check_inclusion",
    "consistency_spans",
    "inclusion_spans",
    "root_of",
    "span_root",
    "subtrees",
]

EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""

_HASH_BYTES = 32


class Subtree(NamedTuple):
    """The complete subtree over the leaves from `n << height`, `1 << height` of them."""

    height: int
    n: int


class Span(NamedTuple):
    """The leaves from `start` to before `end`."""

    start: int
    end: int


class Frontier:
    """The right edge of a growing tree."""

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: bytes = b"") -> None:
        """Begin with nothing, or go on from what `packed` gave; errors: LogInconsistent."""
        if len(hashes) != _HASH_BYTES * size.bit_count():
            what = f"a frontier of {size} leaves has {len(hashes)} bytes."
            raise LogInconsistent(at=f"size {size}", what=what)
        self._hashes = [hashes[at : at + _HASH_BYTES] for at in range(0, len(hashes), _HASH_BYTES)]
        self._size = size

    @property
    def size(self) -> int:
        """Tell how many leaves the tree has."""
        return self._size

    def packed(self) -> bytes:
        """Give the hashes of the complete subtrees in a row, the largest subtree first."""
        return b"".join(self._hashes)

    def append(self, leaf_hash: bytes) -> None:
        """Add the hash of the next leaf."""
        merging = self._size
        while merging & 1:
            leaf_hash = node_hash(self._hashes.pop(), leaf_hash)
            merging >>= 1
        self._hashes.append(leaf_hash)
        self._size += 1

    def root(self) -> bytes:
        """Give the root of the tree as it is now."""
        return _folded(self._hashes) if self._hashes else EMPTY_ROOT


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Give the root of a tree with these leaves, in order."""
    frontier = Frontier()
    for leaf_hash in leaf_hashes:
        frontier.append(leaf_hash)
    return frontier.root()


def subtrees(span: Span) -> list[Subtree]:
    """Name the complete subtrees that a span consists of, from left to right.

    span: begins where a subtree of at least its size begins, as the spans of proofs do.
    """
    found: list[Subtree] = []
    at = span.start
    while at < span.end:
        height = (span.end - at).bit_length() - 1
        found.append(Subtree(height, at >> height))
        at += 1 << height
    return found


def span_root(span: Span, subtree_root: Callable[[Subtree], bytes]) -> bytes:
    """Give the root over a span, from the roots of its complete subtrees."""
    roots = [subtree_root(subtree) for subtree in subtrees(span)]
    return _folded(roots) if roots else EMPTY_ROOT


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Plan the proof that a leaf is in a tree: from the leaf's sibling up to the root's child.

    errors: LogInconsistent, if there is no such leaf. Source: RFC 6962 §2.1.1.
    """
    if not 0 <= index < size:
        raise LogInconsistent(at=f"index {index}", what=f"a tree of {size} has no such leaf.")
    found: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append(Span(middle, end))
            end = middle
        else:
            found.append(Span(start, middle))
            start = middle
    return found[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """Plan the proof that a tree has grown out of an older one; empty if they are as large.

    errors: LogInconsistent, if the old one is larger. Source: RFC 6962 §2.1.2.
    """
    if not 0 <= old <= new:
        raise LogInconsistent(at=f"size {old}", what=f"it is no part of a tree of {new}.")
    if old in {0, new}:
        return []
    found: list[Span] = []
    start, end, is_known = 0, new, True
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            found.append(Span(middle, end))
            end = middle
        else:
            found.append(Span(start, middle))
            start, is_known = middle, False
    # The old root itself need not be sent where the old tree is one complete subtree.
    return [] if end == start else [*([] if is_known else [Span(start, end)]), *found[::-1]]


def check_inclusion(
    *, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Refuse a proof that does not lead from the leaf to the root; errors: LogInconsistent."""
    at = f"index {index}"
    if not 0 <= index < size:
        raise LogInconsistent(at=at, what=f"a tree of {size} has no such leaf.")
    _check_sizes(leaf, root, *proof, at=at)
    if len(proof) != len(inclusion_spans(index, size)):
        raise LogInconsistent(at=at, what="the proof has the wrong length.")
    found, place, last = leaf, index, size - 1
    for sibling in proof:
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    if found != root:
        raise LogInconsistent(at=at, what="the proof leads to another root.")


def check_consistency(
    *, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Refuse a proof that does not show both trees to be one that grew; errors: LogInconsistent.

    old: at least 1: everything has grown out of nothing, which proves nothing.
    """
    at = f"size {old}"
    if not 0 < old <= new:
        raise LogInconsistent(at=at, what=f"no proof leads from {old} leaves to {new}.")
    if len(proof) != len(consistency_spans(old, new)):
        raise LogInconsistent(at=at, what="the proof has the wrong length.")
    if old == new:
        if old_root != new_root:
            raise LogInconsistent(at=at, what="two trees of one size have two roots.")
        return
    _check_sizes(old_root, new_root, *proof, at=at)
    hashes = list(proof) if old & (old - 1) else [old_root, *proof]
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if place & 1 or place == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        place, last = place >> 1, last >> 1
    if before != old_root or after != new_root:
        raise LogInconsistent(at=at, what="the proof leads to other roots.")


def _split(size: int) -> int:
    """Say how many leaves the left side has: the largest power of two below the size."""
    return 1 << ((size - 1).bit_length() - 1)


def _folded(roots: Sequence[bytes]) -> bytes:
    *left, root = roots
    for subtree in reversed(left):
        root = node_hash(subtree, root)
    return root


def _check_sizes(*hashes: bytes, at: str) -> None:
    if any(len(each) != _HASH_BYTES for each in hashes):
        raise LogInconsistent(at=at, what="a hash does not have 32 bytes.")
