"""A run that has taken longer than its process allows: parked, cancelled, or failed.

The limit is a moment of the run's row and wakes it like any other. What happens then is said
once (`is_overdue`), with its audit event, in one Change. A parked run opens and goes on with
nothing, while attempts in flight still end and are recorded; the others end as if an operator
had cancelled them, keeping their promises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from newel.base.ids import reference
from newel.engine.children import Errand

if TYPE_CHECKING:
    from datetime import datetime

    from newel.engine.runner import Runner

__all__ = ["REASON", "ends_failed", "holds", "is_to_end", "look", "said", "until"]

REASON = "overdue"


def until(run: Runner) -> datetime | None:
    """Give the moment at which the run is overdue, as long as that has not been said."""
    loaded = run.loaded
    return None if loaded.is_overdue or loaded.cancelling else loaded.limit_at


def look(run: Runner) -> None:
    """Do what the process asks for, if the run's time is over; at the begin of every drive."""
    loaded, limits = run.loaded, run.process.limits
    limit = until(run)
    if limit is not None and limit <= run.as_of:
        if limits.overdue != "park":  # asked for in one transaction with the end of its children
            run.errands.append(Errand())
            run.blocked = (REASON, said(run))
            return
        run.change.also("overdue", {"id": str(run.id)})
        loaded.is_overdue = run.is_judged_anew = True
    if loaded.is_overdue and not loaded.cancelling:
        run.blocked = (REASON, said(run))


def holds(run: Runner) -> bool:
    """Whether nothing of the run is opened and nothing goes on, until a person says so."""
    return run.blocked is not None and run.blocked[0] == REASON


def is_to_end(run: Runner) -> bool:
    """Whether the end of the run is being asked for, because its time is over."""
    return holds(run) and not run.loaded.is_overdue


def said(run: Runner) -> str:
    """Say what has happened, in a sentence."""
    limit = run.loaded.limit_at
    by = "" if limit is None else f" by {limit:%d %b %Y}"
    return f"{reference('run', run.id)} should have ended{by}: it has taken longer than allowed."


def ends_failed(run: Runner) -> bool:
    """Whether a run that was stopped at its limit has failed, and was not cancelled."""
    return run.loaded.is_overdue and run.process.limits.overdue == "fail"
