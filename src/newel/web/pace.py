"""How fast one server lets in what asks for no key: a count of the last minute, in memory."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Final

__all__ = ["Pace"]

_MINUTE_S: Final = 60.0


class Pace:
    """Counts by name; most: so many are let in within a minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: dict[str, deque[float]] = {}

    def has_room(self, name: str = "") -> bool:
        """Count one more of a name, if there is room for it."""
        times = self._times.setdefault(name, deque())
        now = monotonic()
        while times and times[0] < now - _MINUTE_S:
            times.popleft()
        if len(times) >= self._most:
            return False
        times.append(now)
        return True
