"""What people do with tasks: deciding."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import (
    AlreadyDecided,
    NotAllowed,
    NotFound,
    NotWaiting,
    ReasonMissing,
    SelfApproval,
)
from newel.base.ids import parse_reference, reference
from newel.domain.values import Decision
from newel.engine.operating import Command, Operating
from newel.flow.waits import DECISION
from newel.store.database import Row
from newel.store.queries import queries

_SQL: Final = queries("commands")


async def decide(
    operating: Operating, task: UUID, *, approved: bool, actor: Actor, comment: str = ""
) -> None:
    """Decide an approval, once; the deadline and other deciders race under the run's row lock.

    Raises NotFound, AlreadyDecided, SelfApproval (subject and starter never decide), NotAllowed
    (nobody but the person asked), ReasonMissing (a no needs one).
    """
    row = await operating.database.fetchrow(_SQL.task, task)
    if row is None:
        raise NotFound(kind="task", reference=reference("tsk", task))
    if not approved and not comment.strip():
        raise ReasonMissing(verb="reject")
    try:
        async with operating.on(row["run_id"], actor) as made:
            current = await made.connection.fetchrow(_SQL.task, task)
            assert current is not None, "tasks are never deleted"
            _check_open(current)
            decider = _decider(current, actor)
            await _check_decider(made, current, decider)
            _decided(made, current, decider, approved=approved, comment=comment.strip())
    except NotWaiting:
        ended = await operating.database.fetchrow(_SQL.task, task)
        _check_open(ended or row)
        raise


def _check_open(task: Row) -> None:
    if task["state"] == "open":
        return
    name = reference("tsk", task["id"])
    by = task["decided_by_name"] or {"expired": "its deadline"}.get(task["state"], "the run's end")
    raise AlreadyDecided(task=name, by=by, at=task["decided_at"])


def _decider(task: Row, actor: Actor) -> UUID:
    named = actor.on_behalf_of or (actor.id if actor.type == "person" else None)
    if named is None:
        raise NotAllowed(
            actor=actor.id, verb=f"decide {reference('tsk', task['id'])}", needed="to name a person"
        )
    return parse_reference(named)[1]


async def _check_decider(made: Command, task: Row, decider: UUID) -> None:
    name = reference("tsk", task["id"])
    who = reference("per", decider)
    started_by = await made.connection.fetchval(_SQL.starter, made.run)
    if decider == made.row["subject"]:
        raise SelfApproval(actor=who, task=name, because="is the person it is about")
    if started_by == who:
        raise SelfApproval(actor=who, task=name, because="started the run")
    if decider in task["excluded"]:
        raise SelfApproval(actor=who, task=name, because="is excluded from it")
    if task["assignee"] is not None and task["assignee"] != decider:
        raise NotAllowed(actor=who, verb=f"decide {name}", needed="to be the person it asks")
    if task["four_eyes"] is not None and await made.connection.fetchval(
        _SQL.decided_in_group, made.run, task["four_eyes"], decider
    ):
        raise SelfApproval(actor=who, task=name, because="has decided another of the same group")


def _decided(made: Command, task: Row, decider: UUID, *, approved: bool, comment: str) -> None:
    who = reference("per", decider)
    key: str = task["key"]
    decision = Decision(approved=approved, by=who, comment=comment, at=made.at)
    payload = made.sealer.seal(DECISION.dump(decision))
    digest = made.sealer.digest(payload)
    event_id = made.entries.new_id()
    sealed = None
    if comment:
        sealed = made.sealer.field(comment, event_id=event_id, pointer="/data/comment")
    made.record(
        facts.TaskDecided(
            task=reference("tsk", task["id"]),
            decision="approve" if approved else "reject",
            answer_digest=digest,
            channel=made.actor.via or "api",
            auth=facts.HowSignedIn(methods=("named",), age_s=0),
            excluded=tuple(reference("per", person) for person in task["excluded"]),
            four_eyes=task["four_eyes"],
            comment=sealed,
        ),
        key=key,
        payload=payload,
        process=made.process,
        id_=event_id,
    )
    made.record(facts.WaitClosed(by="decision"), key=key)
    made.change.closed.append(key)
    made.change.also(
        "task",
        {
            **{name: task[name] for name in _TASK_COLUMNS},
            "id": str(task["id"]),
            "run_id": str(made.run),
            "excluded": [str(person) for person in task["excluded"]],
            "state": "decided",
            "decision": "approve" if approved else "reject",
            "decided_by": str(decider),
            "decided_at": made.at,
        },
    )


_TASK_COLUMNS: Final = ("key", "kind", "title", "owner", "opened_at", "version")
