"""Tiles: the tree cut into pieces of 256 hashes, which any web server can serve.

Level 0 holds leaf hashes, each level above the roots of full tiles below. Full tiles never change;
the tile at the right edge is partial and named by its width. Entries travel in bundles of the same
256, each entry behind its length in two bytes.
Source: https://c2sp.org/tlog-tiles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from newel.audit.merkle import Frontier, Span, Subtree, root_of, span_root, subtrees
from newel.base.errors import LogInconsistent

__all__ = [
    "WIDTH",
    "Growth",
    "Tile",
    "TileSource",
    "bundle",
    "entries_of",
    "entries_path",
    "frontier_from",
    "proof_from",
    "root_from",
    "tile_at",
    "tile_of",
    "tile_path",
    "tiles_below",
    "tiles_of",
    "widths",
]

WIDTH: Final = 256
"""Hashes of a full tile."""

_HEIGHT: Final = 8
_LEVELS: Final = 64
_HASH_BYTES: Final = 32
_PATH: Final = re.compile(
    r"(?P<level>entries|0|[1-9]\d?)/(?P<n>(?:x\d{3}/)*\d{3})(?:\.p/(?P<width>[1-9]\d{0,2}))?"
)


class Tile(NamedTuple):
    """The n-th tile of a level; width: 256, or less at the right edge."""

    level: int
    n: int
    width: int = WIDTH


TileSource = Callable[[Tile], bytes]
"""Gives the hashes of a tile, at least as many as its width says."""


def tile_path(tile: Tile) -> str:
    """Give the address of a tile below the log's prefix: `tile/0/x001/234.p/7`."""
    return f"tile/{tile.level}/{_numbered(tile)}"


def entries_path(tile: Tile) -> str:
    """Give the address of the bundle with the entries of a tile of level 0."""
    return f"tile/entries/{_numbered(tile)}"


def tile_at(path: str) -> tuple[Tile, bool]:
    """Read an address without its `tile/`: the tile, and whether its entries are meant.

    errors: LogInconsistent, if it is written in any other way than the one that is allowed.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise LogInconsistent(at=path, what="this is no address of a tile.")
    are_entries = found["level"] == "entries"
    level = 0 if are_entries else int(found["level"])
    width = int(found["width"] or WIDTH)
    n = int(found["n"].replace("/", "").replace("x", ""))
    tile = Tile(level, n, width)
    is_partial = found["width"] is not None
    if level >= _LEVELS or width > WIDTH or (is_partial and width == WIDTH):
        raise LogInconsistent(at=path, what="there is no such level or width.")
    if found["n"] != _spelt(n):
        raise LogInconsistent(at=path, what="a number is written in a longer way than it needs.")
    return tile, are_entries


def widths(size: int) -> list[Tile]:
    """Name the partial tiles at the right edge of a tree of this size, from level 0 up."""
    found: list[Tile] = []
    for level in range(_LEVELS):
        count = size >> (_HEIGHT * level)
        if count == 0:
            break
        if count % WIDTH:
            found.append(Tile(level, count // WIDTH, count % WIDTH))
    return found


def tiles_of(size: int, *, since: int = 0) -> Iterable[Tile]:
    """Name the full tiles that a tree of this size has and one of the size `since` had not."""
    for level in range(_LEVELS):
        height = _HEIGHT * (level + 1)
        if size >> height == 0:
            return
        for n in range(since >> height, size >> height):
            yield Tile(level, n)


def tile_of(subtree: Subtree, size: int) -> Tile:
    """Name the tile from which the root of a complete subtree of a tree of this size follows."""
    level, height = divmod(subtree.height, _HEIGHT)
    n = (subtree.n << height) // WIDTH
    count = (size >> (_HEIGHT * level)) - n * WIDTH
    return Tile(level, n, min(count, WIDTH))


def proof_from(spans: Sequence[Span], size: int, source: TileSource) -> list[bytes]:
    """Give the hashes of a planned proof, from the tiles of a tree of this size."""
    return [span_root(span, lambda each: _subtree_root(each, size, source)) for span in spans]


def tiles_below(size: int) -> list[Tile]:
    """Name the tiles from which root and right edge of a tree of this size follow."""
    return list(dict.fromkeys(tile_of(each, size) for each in subtrees(Span(0, size))))


def root_from(size: int, source: TileSource) -> bytes:
    """Give the root of a tree of this size from its tiles."""
    return span_root(Span(0, size), lambda each: _subtree_root(each, size, source))


def frontier_from(size: int, source: TileSource) -> Frontier:
    """Give the right edge of a tree of this size from its tiles."""
    parts = subtrees(Span(0, size))
    return Frontier(size, b"".join(_subtree_root(each, size, source) for each in parts))


class Growth:
    """A growing tree whose tiles are told as they become full; `full` holds them with their roots.

    The tile at the right edge of each level is a small tree of its own: its root, once it has 256
    hashes, is the next hash of the level above.
    """

    def __init__(self, frontier: Frontier) -> None:
        """Go on from a right edge, which is left as it is."""
        self.full: list[tuple[Tile, bytes]] = []
        self._size = frontier.size
        self._edges: list[Frontier] = []
        packed, end = frontier.packed(), len(frontier.packed())
        while frontier.size >> (_HEIGHT * len(self._edges)):
            size = (frontier.size >> (_HEIGHT * len(self._edges))) % WIDTH
            begin = end - _HASH_BYTES * size.bit_count()
            self._edges.append(Frontier(size, packed[begin:end]))
            end = begin

    def append(self, leaf_hash: bytes) -> None:
        """Add the hash of the next leaf."""
        self._size += 1
        level, added = 0, leaf_hash
        while True:
            if level == len(self._edges):
                self._edges.append(Frontier())
            edge = self._edges[level]
            edge.append(added)
            if edge.size < WIDTH:
                return
            added = edge.root()
            self.full.append((Tile(level, (self._size >> (_HEIGHT * (level + 1))) - 1), added))
            self._edges[level] = Frontier()
            level += 1

    def frontier(self) -> Frontier:
        """Give the right edge as it is now."""
        return Frontier(self._size, b"".join(each.packed() for each in reversed(self._edges)))


def bundle(entries: Iterable[bytes]) -> bytes:
    """Put entries in a row, each behind its length."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def entries_of(data: bytes) -> list[bytes]:
    """Take a bundle apart; errors: LogInconsistent, if it ends in the middle of an entry."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        entry = data[at + 2 : at + 2 + length]
        if at + 2 > len(data) or len(entry) < length:
            raise LogInconsistent(at=f"byte {at}", what="the bundle ends in an entry.")
        found.append(entry)
        at += 2 + length
    return found


def _subtree_root(subtree: Subtree, size: int, source: TileSource) -> bytes:
    tile = tile_of(subtree, size)
    data = source(tile)
    height = subtree.height % _HEIGHT
    first = (subtree.n << height) % WIDTH
    hashes = [
        data[at * _HASH_BYTES : (at + 1) * _HASH_BYTES]
        for at in range(first, first + (1 << height))
    ]
    if any(len(each) != _HASH_BYTES for each in hashes):
        raise LogInconsistent(at=tile_path(tile), what="the tile is too short.")
    return root_of(hashes)


def _numbered(tile: Tile) -> str:
    return _spelt(tile.n) + (f".p/{tile.width}" if tile.width < WIDTH else "")


def _spelt(n: int) -> str:
    """Write a number in groups of three digits, all but the last behind an x."""
    last = f"{n % 1000:03}"
    n //= 1000
    while n:
        last = f"x{n % 1000:03}/{last}"
        n //= 1000
    return last
