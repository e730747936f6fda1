"""What operators do with a run as a whole: cancel."""

from __future__ import annotations

from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.engine.operating import Operating, check_reason


async def cancel(operating: Operating, run: UUID, *, actor: Actor, reason: str) -> None:
    """Ask for the run's end: its owner honours it at the next durable act.

    Raises ReasonMissing, NotFound, NotWaiting (it has ended).
    """
    check_reason("cancel", reason)
    async with operating.on(run, actor) as made:
        if made.row["cancelling"]:
            return
        event_id = made.entries.new_id()
        made.record(
            facts.RunCancelRequested(compensate=True),
            reason=made.reason("cancel", reason, event_id),
            id_=event_id,
        )
        made.change.cancelling = True
