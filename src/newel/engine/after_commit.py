"""What waits for a Change to be durable: attempts that begin then, and errands about other runs."""

from __future__ import annotations

from uuid import UUID

from newel.domain.change import Change
from newel.engine.runner import Settled


class AfterCommit:
    """What each run has decided and not yet seen committed, in the order of its Changes."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, list[tuple[int, Settled]]] = {}

    def put(self, run: UUID, settled: Settled) -> None:
        """Keep what follows from a Change that was submitted."""
        if settled.change is not None and (settled.starting or settled.errands):
            self._waiting.setdefault(run, []).append((settled.change.to_seq, settled))

    def due(self, change: Change) -> list[Settled]:
        """Take out what follows from a Change that is durable now."""
        waiting = self._waiting.get(change.run)
        due: list[Settled] = []
        while waiting and waiting[0][0] <= change.to_seq:
            due.append(waiting.pop(0)[1])
        if waiting == []:
            del self._waiting[change.run]
        return due

    def forget(self, run: UUID) -> None:
        """Let go of a run that is loaded anew, or is another worker's."""
        self._waiting.pop(run, None)

    def clear(self) -> None:
        """Let go of all runs."""
        self._waiting.clear()
