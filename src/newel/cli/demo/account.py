"""The account of a demo: what the last line says, counted where it happened.

Calls, tickets and doubled effects come from the simulators' own books, the systems from the
ledger, active time from the run's journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from newel.cli.demo.outside import Books
from newel.store.database import Row

__all__ = ["account", "active_s", "systems_of"]

_ACTIVE: Final = "active"
_BEGINS: Final = "step.started"


def account(
    *, state: str, systems: dict[str, str], books: Books, killed: bool, active: float, wall: float
) -> dict[str, Any]:  # Any: JSON
    """Put the last line together; its keys are fixed."""
    return {
        "state": state,
        "systems": systems,
        "tickets": books.tickets,
        "calls": books.calls,
        "effects_doubled": books.doubled,
        "worker_killed": killed,
        "active_s": round(active, 3),
        "wall_s": round(wall, 3),
    }


def systems_of(grants: Iterable[Row]) -> dict[str, str]:
    """Say how each system stands: active if all that was granted in it is. Pure."""
    found: dict[str, str] = {}
    for grant in grants:
        if found.get(grant["system"], _ACTIVE) == _ACTIVE:
            found[grant["system"]] = grant["state"]
    return found


def active_s(events: Sequence[Row]) -> float:
    """Add up the seconds in which a run had an attempt under way, overlaps counted once. Pure.

    events: of one run, in order. The clock is never moved during an attempt, so differences of
    moments inside one are real time.
    """
    open_since: dict[str, datetime] = {}
    began: datetime | None = None
    total = 0.0
    for event in events:
        if event["type"] == _BEGINS:
            began = began if open_since else event["occurred_at"]
            open_since[event["key"]] = event["occurred_at"]
        elif open_since.pop(event["key"], None) is not None and not open_since:
            assert began is not None, "an attempt that ends has begun"
            total += (event["occurred_at"] - began).total_seconds()
    return total
