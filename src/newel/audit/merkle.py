"""The tree over the leaves: its root, in one pass and in logarithmic memory.

A `Frontier` holds the roots of the complete subtrees to the left, largest first: the binary digits
of the size say how many leaves each has. Appending merges equal neighbours as adding one carries.
Source: RFC 6962 §2.1; the compact range of https://github.com/transparency-dev/merkle.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from newel.audit.canonical import node_hash

__all__ = ["EMPTY_ROOT", "Frontier", "root_of"]

EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""


class Frontier:
    """The right edge of a growing tree."""

    __slots__ = ("_hashes", "_size")

    def __init__(self) -> None:
        self._hashes: list[bytes] = []
        self._size = 0

    @property
    def size(self) -> int:
        """Tell how many leaves the tree has."""
        return self._size

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
        if not self._hashes:
            return EMPTY_ROOT
        *left, root = self._hashes
        for subtree in reversed(left):
            root = node_hash(subtree, root)
        return root


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Give the root of a tree with these leaves, in order."""
    frontier = Frontier()
    for leaf_hash in leaf_hashes:
        frontier.append(leaf_hash)
    return frontier.root()
