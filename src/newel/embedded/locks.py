"""File locks: the kernel's own answer to who is there, true after any kind of death.

A lock of `flock` belongs to an open file, not to a process. It passes to children that inherit
the file and is dropped by the kernel when the last of them has closed it, however they ended.
That makes it a better witness than a process number, which may name a stranger by now.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from newel.embedded.errors import EmbeddedServerError

__all__ = ["is_taken", "locked", "opened"]


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[Path]:
    """Hold the directory's lock; yields the directory, made if it was missing, as real path."""
    try:
        lock = _lock(directory)
    except PermissionError as refused:
        message = f"{directory} belongs to another user: {refused}. Use another directory."
        raise EmbeddedServerError(message) from refused
    try:
        yield directory.resolve()
    finally:
        os.close(lock)


def opened(path: Path) -> int:
    """Open a lock file, made if missing; programs started later do not inherit it by themselves."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def is_taken(path: Path) -> bool:
    """Say whether anyone holds the lock of a file, without keeping it.

    Called with the directory's lock held, so that two who look do not see each other.
    """
    descriptor = opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(directory: Path) -> int:
    """Take the lock; whoever waited while the directory was deleted begins again."""
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        lock = opened(directory / "lock")
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), (directory / "lock").stat()):
                return lock
        os.close(lock)
