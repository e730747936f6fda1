"""Files that are there as a whole or not at all, on the disk itself when the call returns."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["write_once", "write_whole"]


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in its place, instead of whatever is there."""
    draft = _draft(path, data)
    draft.replace(path)
    _synced(path.parent)


def write_once(path: Path, data: bytes) -> None:
    """Put a file there unless there is one: of two who try, one wins."""
    draft = _draft(path, data)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _synced(path.parent)


def _draft(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _synced(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
