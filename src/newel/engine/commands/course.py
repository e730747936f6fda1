"""What operators do with a run as a whole: cancel, pause, resume, reschedule, acknowledge."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import InvalidInput, NotWaiting
from newel.base.ids import reference
from newel.engine.commands.proposing import Order, asks_for_cancel, propose
from newel.engine.operating import Command, Operating, check_reason
from newel.store import runs

ENDED_WITH_PARENT: Final = "the run that it belongs to was cancelled"


async def cancel(operating: Operating, run: UUID, *, actor: Actor, reason: str) -> UUID | None:
    """Ask for the run's end, and for that of all that live with it, in one transaction.

    Each owner honours it at the next durable act; a paused run goes on, to its end. Answers with
    the task in which a second person confirms it, where one has to.
    Raises ReasonMissing, NotFound, NotWaiting (it has ended), NotAllowed.
    """
    check_reason("cancel", reason)
    async with operating.on(run, actor) as made:
        return await cancelled(operating, made, Order(verb="cancel", reason=reason))


async def cancelled(operating: Operating, made: Command, order: Order) -> UUID | None:
    """Do what `cancel` says on a locked run, or propose it."""
    if made.row["cancelling"]:
        return None
    if order.second is None and await asks_for_cancel(operating, made):
        return await propose(operating, made, order)
    _ask_to_end(made, order.reason, second=order.second)
    await _ask_children_to_end(operating, made)
    return None


async def end_overdue(operating: Operating, run: UUID, *, actor: Actor) -> None:
    """Ask for the end of a run whose time is over, as `cancel` does.

    Raises NotFound, NotWaiting (it has ended).
    """
    async with operating.on(run, actor) as made:
        if not made.row["cancelling"]:
            made.change.also("overdue", {"id": str(run)})
            _ask_to_end(made, None)
            await _ask_children_to_end(operating, made)


def _ask_to_end(made: Command, reason: str | None, *, second: str | None = None) -> None:
    event_id = made.entries.new_id()
    made.record(
        facts.RunCancelRequested(compensate=True, second=second),
        reason=None if reason is None else made.reason("cancel", reason, event_id),
        id_=event_id,
    )
    made.change.cancelling = True
    if made.row["paused_at"] is not None:
        _unpause(made)


async def _ask_children_to_end(operating: Operating, made: Command) -> None:
    for child in await runs.children(made.connection, made.run):
        other = await operating.also_on(made, child)
        if other is not None and not other.row["cancelling"]:
            _ask_to_end(other, ENDED_WITH_PARENT)


async def pause(operating: Operating, run: UUID, *, actor: Actor, reason: str) -> None:
    """Begin nothing new until `resume`; what is in flight ends and is recorded, due dates count on.

    Raises ReasonMissing, NotFound, NotWaiting (it is paused, being cancelled, or has ended).
    """
    check_reason("pause", reason)
    async with operating.on(run, actor) as made:
        if made.row["paused_at"] is not None:
            raise NotWaiting(verb="pause", what=reference("run", run), state="paused already")
        if made.row["cancelling"]:
            raise NotWaiting(verb="pause", what=reference("run", run), state="being cancelled")
        event_id = made.entries.new_id()
        made.record(facts.RunPaused(), reason=made.reason("pause", reason, event_id), id_=event_id)
        by = actor.on_behalf_of or actor.id
        made.mark(paused_at=made.at, paused_by=by)


async def resume(operating: Operating, run: UUID, *, actor: Actor) -> None:
    """Let a paused run go on. Raises NotFound, NotWaiting (it is not paused)."""
    async with operating.on(run, actor) as made:
        if made.row["paused_at"] is None:
            raise NotWaiting(verb="resume", what=reference("run", run), state="not paused")
        _unpause(made)


def _unpause(made: Command) -> None:
    made.record(facts.RunResumed())
    made.mark(paused_at=None, paused_by=None)


async def reschedule(
    operating: Operating, run: UUID, key: str, *, at: datetime, actor: Actor, reason: str
) -> None:
    """Give an open timer, or the deadline of another wait, a new moment; a past one is due at once.

    It holds until the process itself asks for another moment than it did.
    Raises ReasonMissing, InvalidInput (no time zone), NotFound, NotWaiting (nothing to move).
    """
    check_reason("reschedule", reason)
    if at.tzinfo is None:
        raise InvalidInput({"at": "has no time zone: it would mean another moment elsewhere"})
    async with operating.on(run, actor) as made:
        act = made.act(key, verb="reschedule")
        if act.kind == "step" or act.due_at is None:
            raise NotWaiting(verb="reschedule", what=f"`{key}`", state="not waiting for a moment")
        event_id = made.entries.new_id()
        waits = (facts.MovedWait(key=key, from_=act.due_at, to=at),)
        made.record(
            facts.RunRescheduled(waits=waits, effective_at=at),
            key=key,
            reason=made.reason("reschedule", reason, event_id),
            id_=event_id,
        )
        act.due_at = at
        made.change.also("open_act", act.row(made.run))
        if act.task_id is not None:
            made.change.also("task_moved", {"id": str(act.task_id), "due_at": at})


async def acknowledge(operating: Operating, run: UUID, *, actor: Actor, reason: str = "") -> None:
    """Say that a failed run was seen; it needs nobody's attention any more.

    Raises NotFound, NotWaiting (it is open, has not failed, or was acknowledged before).
    """
    async with operating.on(run, actor, has_ended=True) as made:
        if made.row["state"] != "failed":
            raise NotWaiting(
                verb="acknowledge", what=reference("run", run), state=made.row["state"]
            )
        if made.row["acknowledged_at"] is not None:
            raise NotWaiting(
                verb="acknowledge", what=reference("run", run), state="acknowledged already"
            )
        event_id = made.entries.new_id()
        said = made.reason("acknowledge", reason, event_id) if reason.strip() else None
        made.record(facts.RunAcknowledged(), reason=said, id_=event_id)
        made.mark(acknowledged_at=made.at)
