"""The archive of the log: entries that need not be in the database any more, in a folder.

It has the layout of an export, so the verifier, a tile client or any web server reads it without
newel. What newel itself asks for is one entry at a time, by its place; whoever asks compares its
hash with the leaf that stayed, so nothing that is read here has to be believed.
Source: https://c2sp.org/tlog-tiles; our own audit document §14.
"""

from __future__ import annotations

from pathlib import Path

from newel.audit.tiles import WIDTH, Tile, entries_of, entries_path
from newel.base.errors import LogInconsistent

__all__ = ["Archive"]


class Archive:
    """The entries in one folder; folder: with a folder in it for each log epoch."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, which need not be there yet."""
        self.folder = folder
        self._read: tuple[Path, list[bytes]] | None = None

    def entry(self, log_epoch: int, index: int) -> bytes | None:
        """Give the entry at a place; None where there is none. One bundle is kept in memory.

        Only full bundles are looked at: nothing else is ever pruned.
        """
        number, at = divmod(index, WIDTH)
        path = self.folder / str(log_epoch) / entries_path(Tile(0, number))
        if self._read is None or self._read[0] != path:
            self._read = (path, _entries(path))
        found = self._read[1]
        return found[at] if at < len(found) else None


def _entries(path: Path) -> list[bytes]:
    """Read a bundle; none of its entries where it is not there, or no bundle."""
    try:
        return entries_of(path.read_bytes())
    except (OSError, LogInconsistent):
        return []
