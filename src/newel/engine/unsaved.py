"""Outcomes of attempts that are not in the database yet: whoever reads a run anew starts there."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from newel.domain.change import Change
from newel.engine.finished import Finished

__all__ = ["Unsaved"]


class Unsaved:
    """What the attempts of a worker have come to, by run, until it is durable."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._of: dict[UUID, list[Finished]] = {}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._of)

    def add(self, run: UUID, more: Iterable[Finished]) -> None:
        """Note outcomes of a run."""
        for done in more:
            self._of.setdefault(run, []).append(done)

    def take(self, run: UUID) -> list[Finished]:
        """Give the outcomes of a run, which are forgotten here."""
        return self._of.pop(run, [])

    def saved(self, change: Change) -> None:
        """A Change is durable: what it has recorded is unsaved no more."""
        known = self._of.get(change.run)
        if known:
            closed = {(event.key, event.attempt) for event in change.events}
            left = [done for done in known if (done.key, done.attempt) not in closed]
            self._of.pop(change.run)
            self.add(change.run, left)
