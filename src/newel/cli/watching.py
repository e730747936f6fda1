"""Telling whoever builds a process that its source has changed and a restart is due.

Processes are not swapped while runs are driven: a run must see one version of the code from
one claim to the next. So a change is told, and the person decides when to start again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from newel.cli.output import say

__all__ = ["changed", "changes_told", "sources"]

_LOOK_S: Final = 1.0
_NEVER_SOURCE: Final = frozenset({".newel", ".venv", "__pycache__", ".git", "node_modules"})


def sources(project: Path) -> dict[Path, int]:
    """Give the project's Python files with the moment each was written, in nanoseconds."""
    found: dict[Path, int] = {}
    for path in project.rglob("*.py"):
        if not _NEVER_SOURCE.intersection(path.relative_to(project).parts):
            with contextlib.suppress(FileNotFoundError):
                found[path] = path.stat().st_mtime_ns
    return found


def changed(before: dict[Path, int], after: dict[Path, int]) -> list[Path]:
    """Name the files that were written, added or deleted, in order. Pure."""
    return sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )


@contextlib.asynccontextmanager
async def changes_told(project: Path) -> AsyncIterator[None]:
    """Tell of changed sources while the block runs."""
    telling = asyncio.create_task(_told(project))
    try:
        yield
    finally:
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling


async def _told(project: Path) -> None:
    before = await asyncio.to_thread(sources, project)
    while True:
        await asyncio.sleep(_LOOK_S)
        after = await asyncio.to_thread(sources, project)
        for path in changed(before, after):
            say(f"{path.relative_to(project)} has changed: Ctrl-C and start again to use it.")
        before = after
