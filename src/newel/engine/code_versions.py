"""The code a worker has: which processes, in which versions, and what waits for just these.

Workers of several versions live side by side during a deploy. A run that a newer version has
driven is left to workers of that one. When a version comes for the first time, it looks once at
every open run of its processes: what it cannot go on with is told at once and not on the day the
run wakes, and what it finds new before a run's place is done now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from newel.engine.loading import known_versions, with_former
from newel.flow.process import Process
from newel.store import versions
from newel.store.database import Connection

_SOON_S: Final = 0.05
_PATIENT_S: Final = 1.0
_AT_ONCE: Final = 200
_FIRST: Final = 1


class CodeVersions:
    """Processes by name, former names too, and the version number of each."""

    def __init__(
        self,
        processes: Mapping[str, Process[..., Any]],  # Any: each has its own result
        known: Mapping[str, int],
    ) -> None:
        """Take what a deployment has; known: numbers of versions, as they were registered."""
        self.processes = with_former(processes)
        self.numbers = known_versions(self.processes, known)
        self._has_older = any(number > _FIRST for number in self.numbers.values())
        self._misses = 0

    async def begin(self, connection: Connection, worker: int) -> None:
        """Tell the others what this worker knows, and try what other code could not go on with."""
        await versions.announce(connection, worker=worker, definitions=self.numbers)
        await versions.wake_blocked(connection, self.numbers)

    async def has_woken(self, connection: Connection) -> bool:
        """Whether runs are due now that other code could not go on with."""
        return bool(await versions.wake_blocked(connection, self.numbers))

    async def has_older(self, connection: Connection, room: int) -> bool:
        """Whether open runs are due now that this version has not seen; looks if there is room."""
        if room <= 0:
            return False
        if self._has_older:
            woken = await versions.look_over(connection, self.numbers, min(room, _AT_ONCE))
            self._has_older = bool(woken)
        return self._has_older

    def pause(self, claimed: Sequence[object]) -> float:
        """How long to wait after a claim: what is due and stays may be for other code."""
        if claimed:
            self._misses = 0
            return 0.0
        self._misses += 1
        return float(min(_SOON_S * 2 ** min(self._misses - 1, 9), _PATIENT_S))
