"""What is left of the rate budgets of a system, as the shared gate has it.

A bucket fills by itself, so what is left now follows from what was left when somebody last took
from it. A budget of which nobody has taken yet is full.
Source: connectors document, §6.2; console document, §6.11.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from newel.connectors.gate import Bucket
from newel.engine.gates import Limited
from newel.engine.incidents import Probed
from newel.store import systems as rows
from newel.store.database import Database, Row
from newel.web.console import systems_copy
from newel.web.console.views.model import View

__all__ = ["BudgetView", "budgets_of", "fullest"]

_NEARLY_USED: Final = 80


class BudgetView(View):
    """One budget: how many requests it allows, and how much of what may go at once is used.

    part: of a bucket that exists for each channel or issue, the one of which most is used.
    full_at: when all of it is there again; None if it is. blocked_until: the system has asked for
    nothing before then.
    """

    name: str
    part: str
    allows: str
    most: int
    left: int
    used_percent: int
    full_at: datetime | None
    blocked_until: datetime | None
    tone: str


async def budgets_of(
    database: Database, connectors: Sequence[Probed]
) -> dict[str, tuple[BudgetView, ...]]:
    """Read the budgets of some systems, by the name of the system."""
    limited = [each for each in connectors if isinstance(each, Limited)]
    credentials = [each.credential for each in limited]
    levels = await rows.levels(database, credentials) if limited else []
    found: dict[str, tuple[BudgetView, ...]] = {}
    for each, credential in zip(limited, credentials, strict=True):
        own = [row for row in levels if row["credential"] == credential]
        found[each.name] = tuple(_budget(bucket, own) for bucket in each.buckets)
    return found


def fullest(budgets: Sequence[BudgetView]) -> BudgetView | None:
    """Give the budget of which most is used; None if there are none."""
    return max(budgets, key=lambda each: each.used_percent, default=None)


def _budget(bucket: Bucket, levels: Sequence[Row]) -> BudgetView:
    own = [row for row in levels if row["bucket"].partition(":")[0] == bucket.name]
    part, level, full_at, blocked = "", bucket.capacity, None, None
    if own:
        row = min(own, key=lambda each: _level(bucket, each))
        now: datetime = row["as_of"]
        part, level = row["bucket"].partition(":")[2], _level(bucket, row)
        if (missing := bucket.capacity - level) >= 1:
            full_at = now + timedelta(seconds=missing / bucket.rate)
        blocked = row["blocked_until"] if (row["blocked_until"] or now) > now else None
    used = min(max(round(100 * (1 - level / bucket.capacity)), 0), 100)
    return BudgetView(
        name=bucket.name,
        part=part,
        allows=systems_copy.budget_text(bucket.rate),
        most=round(bucket.capacity),
        left=max(int(level), 0),
        used_percent=used,
        full_at=full_at,
        blocked_until=blocked,
        tone="park" if blocked else "retry" if used >= _NEARLY_USED else "done",
    )


def _level(bucket: Bucket, row: Row) -> float:
    """What is there now: what was left, and what has dripped in since."""
    passed: float = (row["as_of"] - row["filled_at"]).total_seconds()
    tokens: float = row["tokens"]
    return min(bucket.capacity, tokens + max(passed, 0.0) * bucket.rate)
