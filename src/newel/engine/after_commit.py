"""What waits for a Change to be durable: attempts that begin then, and errands about other runs."""

from __future__ import annotations

from uuid import UUID

from newel.domain.change import Change
from newel.engine.runner import Settled


class AfterCommit:
    """What each run has decided and not yet seen committed, in the order of its Changes."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, list[Settled]] = {}

    def put(self, run: UUID, settled: Settled) -> None:
        """Keep what follows from a Change that was submitted."""
        if settled.change is not None and (settled.starting or settled.errands):
            self._waiting.setdefault(run, []).append(settled)

    def due(self, change: Change) -> list[Settled]:
        """Take out what follows from a Change that is durable now, and from no other.

        A run that was read twice may have decided the same twice: only one of both is written.
        """
        waiting = self._waiting.get(change.run)
        if waiting is None:
            return []
        due = [settled for settled in waiting if settled.change is change]
        left = [settled for settled in waiting if settled.change is not change]
        if left:
            self._waiting[change.run] = left
        else:
            del self._waiting[change.run]
        return due

    def forget(self, run: UUID) -> None:
        """Let go of a run that is loaded anew, or is another worker's."""
        self._waiting.pop(run, None)

    def clear(self) -> None:
        """Let go of all runs."""
        self._waiting.clear()
