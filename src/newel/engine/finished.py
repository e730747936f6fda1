"""How one attempt of a step ended, as whoever made it tells the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from newel.domain.values import Call, Effect
from newel.store.riding import Ride


@dataclass(slots=True, kw_only=True)
class Finished:
    """How one attempt ended. text, value: the result as JSON and as the body sees it.

    error: a StepError, or an answer that the step declared. unclear: `verify` could not tell.
    adopted: the result was found by `verify`, not made by this attempt. absent: `verify` has found
    that a lost call had no effect, and its branch is leaving, so it was not made again. not_yet: it
    is for a person to do, and newel has looked and not seen it. would: as `Observed` has it.
    ride: the transaction of a transactional step, waiting for its outcome.
    """

    key: str
    attempt: int
    began_at: datetime
    duration: timedelta
    text: bytes = b"null"
    value: object = None
    error: Exception | None = None
    unclear: bool = False
    adopted: bool = False
    absent: bool = False
    redone: bool = False
    not_yet: bool = False
    would: str | None = None
    effect: Effect | None = None
    calls: list[Call] = field(default_factory=list)
    ride: Ride | None = None

    def leave(self) -> None:
        """Undo the transaction, if there is one and it is not over."""
        if self.ride is not None:
            self.ride.abandon()
