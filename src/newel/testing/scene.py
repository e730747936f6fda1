"""Where runs of a test play: a deployment in memory, or one on a real PostgreSQL.

A `Scene` is what verbs, clock and reading of a `Run` are made of. It rests when nobody works, and
nothing is due or being ended; each verb waits for that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from newel.base.errors import NewelError
from newel.engine.engine import Engine
from newel.engine.vault import Vault
from newel.flow.process import Process
from newel.testing.memory.tables import Row

__all__ = ["CONSOLE", "NeverRests", "Scene"]

CONSOLE: Final = "https://newel.example.test"
"""Where people would open newel, were it more than a test."""

T = TypeVar("T")

_OPEN_INCIDENT: Final = frozenset({"healing", "healed"})


class NeverRests(NewelError):
    """The deployment goes on and on: something is tried for ever without a pause."""


class Scene(ABC):
    """One deployment that a test leads; its methods return when what they ask for is done."""

    engine: Engine
    vault: Vault

    @abstractmethod
    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out a request as somebody outside; answers with its result."""

    @abstractmethod
    def settle(self) -> None:
        """Wait until the deployment rests.

        Raises NeverRests when it does not, and what a worker has failed with.
        """

    @abstractmethod
    def deploy(self, processes: Sequence[Process[..., Any]]) -> None:  # Any: each has its own
        """Replace the code: the workers leave, and one with these processes begins."""

    @abstractmethod
    def now(self) -> datetime:
        """`newel.now()`."""

    @abstractmethod
    def rows(self, table: str) -> list[Row]:
        """The committed rows of a table."""

    @abstractmethod
    def of(self, table: str, group: object) -> list[Row]:
        """The rows of a table that belong to a run, or to a person."""

    @abstractmethod
    def _set(self, moment: datetime) -> None:
        """Let it be this moment, or later if it is."""

    # --- time -------------------------------------------------------------------------------

    def move_to(self, moment: datetime) -> None:
        """Let time pass: what becomes due on the way happens in order of its moment."""
        if moment.tzinfo is None:
            raise ValueError(f"{moment!r} has no time zone")
        self.settle()
        if moment < self.now():
            raise ValueError(f"time goes forwards only, not back to {moment}")
        while (due := self.next_due()) is not None and due <= moment:
            self._set(due)
            self.settle()
        if moment > self.now():
            self._set(moment)
        self.settle()

    def next_due(self) -> datetime | None:
        """The next moment at which something happens by itself."""
        moments = [row["wake_at"] for row in self.rows("run") if row["wake_at"] is not None]
        moments += [row["probe_at"] for row in self.rows("incident") if row["probe_at"] is not None]
        return min(moments, default=None)

    # --- reading ----------------------------------------------------------------------------

    def rests(self, runs: Iterable[Row], incidents: Iterable[Row], now: datetime) -> bool:
        """Whether nobody owns a run, none that this code knows is due, no incident is ending."""
        is_asked = False
        for row in runs:
            is_due = row["wake_at"] is not None and row["wake_at"] <= now
            if row["worker_id"] is not None or (is_due and row["process"] in self.engine.processes):
                return False
            # an incident is over, and only a person can say what becomes of its steps
            is_asked = is_asked or (row["process"], row["state"]) == ("newel.resume", "waiting")
        return is_asked or all(row["state"] not in _OPEN_INCIDENT for row in incidents)

    def told(self) -> str:
        """What there is, for the message of a failing test."""
        lines = [f"It is {self.now():%Y-%m-%d %H:%M:%S} UTC."]
        lines += [
            f"{run['process']} is {run['state']}, owned by {run['worker_id']}, due at "
            f"{run['wake_at']}, parked: {run['parked_reason']}."
            for run in self.rows("run")
        ]
        lines += [
            f"  {act['key']}: {act['kind']} {act['state']} {act['detail'] or ''}"
            for act in self.rows("open_act")
        ]
        return "\n".join(lines)
