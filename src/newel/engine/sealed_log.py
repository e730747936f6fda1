"""The sealed log as files: checkpoints, tiles and bundles of entries, in the layout of tlog-tiles.

Nothing of this is stored; each file is made of rows when it is asked for, so that a verifier, a
mirror, an export and a web server read the same log, at one moment each.
Source: https://c2sp.org/tlog-tiles.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, cast

from newel.audit.canonical import leaf_hash
from newel.audit.merkle import Frontier, Span, consistency_spans, inclusion_spans, subtrees
from newel.audit.note import Note, Signature
from newel.audit.tiles import (
    WIDTH,
    Tile,
    bundle,
    entries_path,
    frontier_from,
    proof_from,
    tile_at,
    tile_of,
    tile_path,
    tiles_below,
    tiles_of,
    widths,
)
from newel.base.errors import CheckpointInvalid, LogInconsistent
from newel.engine.archive import Archive
from newel.store import audit_log
from newel.store.database import Connection, Row

__all__ = ["CHECKPOINT", "SealedLog", "edge_of", "sealed_logs"]

CHECKPOINT: Final = "checkpoint"
_TILES: Final = "tile/"


class SealedLog:
    """One log epoch, as one transaction sees it; size: of the newest checkpoint."""

    def __init__(
        self,
        connection: Connection,
        log_epoch: int,
        origin: str,
        notes: dict[int, bytes],
        archive: Archive | None = None,
    ) -> None:
        """Take the signed heads by size; `sealed_logs` reads them."""
        self.log_epoch = log_epoch
        self.origin = origin
        self.size = max(notes, default=0)
        self._connection = connection
        self._notes = notes
        self._archive = archive

    async def at(self, size: int) -> SealedLog | None:
        """Give the log as it was at a checkpoint; None if there is none of that size."""
        if size not in self._notes:
            return None
        earlier = {each: note for each, note in self._notes.items() if each <= size}
        return SealedLog(self._connection, self.log_epoch, self.origin, earlier, self._archive)

    def checkpoints(self) -> list[str]:
        """Name the files of all checkpoints; the newest stands there twice."""
        named = [f"{CHECKPOINT}.{size}" for size in sorted(self._notes)]
        return [CHECKPOINT, *named] if named else []

    async def paths(self) -> AsyncIterator[str]:
        """Name all files of the log, as it is at the newest checkpoint."""
        for path in self.checkpoints():
            yield path
        for tile in (*tiles_of(self.size), *widths(self.size)):
            yield tile_path(tile)
            if tile.level == 0:
                yield entries_path(tile)

    async def read(self, path: str) -> bytes | None:
        """Give a file; None where there is none, or where an event of a bundle is gone."""
        name, _, size = path.partition(".")
        if name == CHECKPOINT and (not size or size.isdecimal()):
            return self._notes.get(int(size or self.size))
        try:
            tile, are_entries = tile_at(path.removeprefix(_TILES))
        except LogInconsistent:
            return None
        if not path.startswith(_TILES) or not self._has(tile):
            return None
        if not are_entries:
            return await audit_log.tile(self._connection, self.log_epoch, tile)
        rows = await self.rows(tile)
        if any(row["entry"] is None for row in rows):
            return None
        return bundle(row["entry"] for row in rows)

    async def consistency(self, old: int) -> list[bytes]:
        """Give the proof that the newest head has grown out of an older one of this size.

        Raises LogInconsistent if the older one is larger.
        """
        return await self._proof(consistency_spans(old, self.size))

    async def inclusion(self, index: int) -> list[bytes]:
        """Give the proof that a leaf is in the log at the newest head; errors: LogInconsistent."""
        return await self._proof(inclusion_spans(index, self.size))

    async def entry(self, index: int) -> bytes:
        """Give an entry; raises LogInconsistent where its event is gone."""
        rows = await audit_log.entries(self._connection, self.log_epoch, index, index + 1)
        entry = self._whole(rows[0])["entry"] if rows else None
        if entry is None:
            raise LogInconsistent(at=f"index {index}", what="the event is gone from the journal.")
        found: bytes = entry
        return found

    def archived(self, index: int, hashed: bytes) -> bytes | None:
        """Give an entry that was pruned, if the archive has one of this hash."""
        entry = None if self._archive is None else self._archive.entry(self.log_epoch, index)
        return entry if entry is not None and leaf_hash(entry) == hashed else None

    def _whole(self, row: Row) -> Row:
        """Give a leaf with the entry that was pruned; its columns are None then."""
        if row["entry"] is not None:
            return row
        entry = self.archived(row["leaf_index"], row["leaf_hash"])
        return cast("Row", {**row, "entry": entry})

    async def _proof(self, spans: list[Span]) -> list[bytes]:
        needed = {tile_of(each, self.size) for span in spans for each in subtrees(span)}
        tiles = {
            each: await audit_log.tile(self._connection, self.log_epoch, each) for each in needed
        }
        return proof_from(spans, self.size, tiles.__getitem__)

    async def rows(self, tile: Tile) -> list[Row]:
        """Give the leaves of a tile of level 0, each with its event."""
        first = tile.n * WIDTH
        rows = await audit_log.entries(self._connection, self.log_epoch, first, first + tile.width)
        return [self._whole(row) for row in rows]

    def _has(self, tile: Tile) -> bool:
        """Whether the tree has a tile: a full one, or any beginning of it."""
        return tile.n * WIDTH + tile.width <= self.size >> (8 * tile.level)


async def sealed_logs(connection: Connection, archive: Archive | None = None) -> list[SealedLog]:
    """Give all log epochs in order, as the transaction sees them.

    archive: where entries lie that were pruned; without one they are gone.
    """
    found: list[SealedLog] = []
    for row in await audit_log.log_epochs(connection):
        rows = await audit_log.notes(connection, row["log_epoch"])
        notes = {each["size"]: each["note"].encode() for each in rows}
        for seen in await audit_log.cosigned(connection, row["log_epoch"]):
            notes[seen["size"]] = _cosigned(notes[seen["size"]], seen["receipt"])
        found.append(SealedLog(connection, row["log_epoch"], row["origin"], notes, archive))
    return found


def _cosigned(note: bytes, lines: bytes) -> bytes:
    """Put what a witness has signed under a note; what cannot be read is left out."""
    try:
        known = [Signature.parsed(line) for line in lines.decode().splitlines()]
        return str(Note.parsed(note).signed_by(*known)).encode()
    except (CheckpointInvalid, UnicodeDecodeError):
        return note


async def edge_of(connection: Connection, log_epoch: int, size: int) -> Frontier:
    """Make the right edge of a tree of this size from its tiles; errors: LogInconsistent."""
    tiles = {each: await audit_log.tile(connection, log_epoch, each) for each in tiles_below(size)}
    return frontier_from(size, tiles.__getitem__)
