"""What ends a worker's rest before it looks for work by itself: a poke, or a moment it knows of."""

from __future__ import annotations

import asyncio
import contextlib

from newel.engine.pace import monotonic

__all__ = ["Alarm"]


class Alarm:
    """One worker's: set by anybody on its loop, waited for by its loop of looking alone."""

    def __init__(self) -> None:
        self._poked = asyncio.Event()
        self._due: float | None = None

    def poke(self) -> None:
        """End the rest now, or the next one before it begins."""
        self._poked.set()

    def ring_at(self, moment: float) -> None:
        """End a rest at this moment, in seconds of `monotonic`, unless one ends earlier anyway."""
        if self._due is None or moment < self._due:
            self._due = moment
            self._poked.set()

    async def rest(self, pause: float) -> None:
        """Wait for a poke, the earliest moment that was noted, or this many seconds.

        A moment rings once: a look that fails must not be made again and again without a pause.
        One that is still to come when a poke ends the rest is kept for the next.
        """
        due = self._due
        if due is not None:
            pause = min(pause, max(due - monotonic(), 0.0))
        # Not wait_for: in Python 3.11 it swallows a cancellation that comes with the poke.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._poked.wait()
        self._poked.clear()
        if due is not None and self._due == due and monotonic() >= due:
            self._due = None
