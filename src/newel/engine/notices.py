"""Notices: whoever waits for a worker to have done something is told, and need not sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Notices:
    """Tells everybody who waits that something may have changed."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._next: asyncio.Event = asyncio.Event()

    def tell(self) -> None:
        """Wake all who wait."""
        told, self._next = self._next, asyncio.Event()
        told.set()

    async def following(self) -> None:
        """Wait for the next notice."""
        await self._next.wait()

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a condition holds; it is looked at again after each notice."""
        while True:
            following = self._next
            if await holds():
                return
            await following.wait()
