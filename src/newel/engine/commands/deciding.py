"""Deciding an approval of a run, or confirming what somebody has ordered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import NotFound, NotWaiting, ReasonMissing
from newel.base.ids import reference
from newel.domain.values import Decision
from newel.engine.commands.amend import amended
from newel.engine.commands.course import cancelled
from newel.engine.commands.proposing import Order
from newel.engine.commands.steps import completed, skipped
from newel.engine.commands.tasks import Answer, answered, named, open_task, task_columns
from newel.engine.operating import Command, Operating
from newel.flow.waits import DECISION
from newel.store.database import Row
from newel.store.queries import queries

__all__ = ["Proposal", "decide", "expire", "proposal_of"]

_SQL: Final = queries("commands")
_BATCH: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a second person is asked to confirm, and the reference of whoever ordered it."""

    verb: str
    key: str
    reason: str
    evidence: str
    by: str
    value: Any  # Any: JSON


async def decide(
    operating: Operating, task: UUID, *, approved: bool, actor: Actor, comment: str = ""
) -> None:
    """Decide an approval, once; the deadline and other deciders race under the run's row lock.

    A yes to what somebody has ordered carries it out in the same transaction. Raises NotFound,
    AlreadyDecided, NotWaiting (it is a form), SelfApproval (subject, starter and whoever ordered
    it never decide), NotAllowed (nobody but the person asked), ReasonMissing (a no needs one),
    and what the confirmed order is refused with.
    """
    if not approved and not comment.strip():
        raise ReasonMissing(verb="reject")
    async with open_task(operating, task, actor) as (made, current, person):
        if current["kind"] != "approval":
            raise NotWaiting(verb="decide", what=named(current), state="a form: fill it in")
        who = reference("per", person)
        decision = Decision(approved=approved, by=who, comment=comment.strip(), at=made.at)
        kind: Literal["approve", "reject"] = "approve" if approved else "reject"
        answer = Answer(kind=kind, outcome=DECISION.dump(decision), said=comment.strip())
        answered(made, current, person, answer)
        if approved and current["verb"] is not None:
            await _carry_out(operating, made, current, second=who)


async def _carry_out(operating: Operating, made: Command, task: Row, *, second: str) -> None:
    """Do what was ordered, in the name of whoever ordered it, with the name of who confirmed."""
    order, made.actor = Order.read(await _proposed(made, task))
    order = replace(order, second=second)
    match order.verb:
        case "skip":
            await skipped(operating, made, order)
        case "complete-by-hand":
            await completed(operating, made, order)
        case "cancel":
            await cancelled(operating, made, order)
        case "amend":
            await amended(operating, made, order)


async def _proposed(made: Command, task: Row) -> bytes:
    sealed = await made.connection.fetchval(_SQL.proposal, made.run, task["key"])
    return made.sealer.open(sealed)


async def proposal_of(operating: Operating, task: UUID) -> Proposal | None:
    """What a second person is asked to confirm; None for other work, and once it was emptied.

    Raises NotFound.
    """
    row = await operating.database.fetchrow(_SQL.task, task)
    if row is None:
        raise NotFound(kind="task", reference=reference("tsk", task))
    if row["verb"] is None:
        return None
    async with operating.database.transaction() as connection:
        sealer = await operating.sealer(connection, row["run_id"])
        sealed = await connection.fetchval(_SQL.proposal, row["run_id"], row["key"])
    if sealed is None:
        return None
    order, actor = Order.read(sealer.open(sealed))
    return Proposal(
        verb=order.verb,
        key=order.key,
        reason=order.reason,
        evidence=order.evidence,
        by=actor.person or actor.id,
        value=order.document if order.verb == "amend" else order.value,
    )


async def expire(operating: Operating, actor: Actor) -> int:
    """Withdraw what nobody can confirm any more; answers with how many there were."""
    rows: Sequence[Row] = await operating.database.fetch(_SQL.unconfirmed, _BATCH)
    for row in rows:
        has_ended = row["finished_at"] is not None
        async with operating.on(row["run_id"], actor, has_ended=has_ended) as made:
            task = await made.connection.fetchrow(_SQL.task, row["id"])
            if task is None or task["state"] != "open":
                continue
            is_due = task["due_at"] <= made.at
            fact = facts.TaskWithdrawn(task=named(task), cause="timer" if is_due else "run-ended")
            made.record(fact, key=task["key"])
            state = "expired" if is_due else "withdrawn"
            made.change.also("task", {**task_columns(made, task), "state": state})
    return len(rows)
