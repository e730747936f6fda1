"""What people do with tasks: what deciding and filling in have in common, and filling in.

Both are judged under the run's row lock, so that a deadline, another person and an operator
race, exactly one wins, and the others are told who was first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import (
    AlreadyDecided,
    InvalidInput,
    NotAllowed,
    NotFound,
    NotWaiting,
    SelfApproval,
)
from newel.base.ids import reference
from newel.domain.values import Done, File
from newel.engine import by_hand, ownership
from newel.engine.commands.files import attach, checked
from newel.engine.operating import Command, Operating, named_person
from newel.engine.rehearsal import rehearsed
from newel.flow.act import WaitAct
from newel.flow.process import written
from newel.flow.waits import DONE
from newel.store.database import Row
from newel.store.queries import queries

_SQL: Final = queries("commands")
_SHORTEST_NOTE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is recorded of one answer: the outcome as JSON, and what the person said with it."""

    kind: Literal["approve", "reject", "submit"]
    outcome: bytes
    said: str
    evidence: str | None = None


async def fill(
    operating: Operating,
    task: UUID,
    value: object = None,
    *,
    actor: Actor,
    note: str = "",
    file: File | None = None,
) -> None:
    """Fill in a form, or say that what it asks for by hand is done; once.

    value: JSON data, validated by the schema that the process asks for now; None where there is
    none. note: kept with it. file: where evidence of that kind is asked for. Raises InvalidInput
    by field, and as `decide`.
    """
    file = None if file is None else checked(file)
    async with open_task(operating, task, actor) as (made, current, person):
        if current["kind"] != "form":
            raise NotWaiting(verb="fill", what=named(current), state="an approval: decide it")
        said = note.strip()
        if current["evidence"] == "note" and len(said) < _SHORTEST_NOTE:
            raise InvalidInput({"note": f"needs at least {_SHORTEST_NOTE} characters of evidence"})
        if (current["evidence"] == "file") != (file is not None):
            why = "is needed as evidence" if file is None else "is not asked for"
            raise InvalidInput({"file": why})
        if current["form"] is None:
            if value is not None:
                raise InvalidInput({"value": "is not asked for: this is done by hand"})
            done = Done(by=reference("per", person), note=said, at=made.at)
            outcome = DONE.dump(done)
        else:
            outcome = await checked_value(operating, made, current["key"], value)
        digest = None if file is None else await attach(made, task, file)
        answer = Answer(kind="submit", outcome=outcome, said=said, evidence=digest)
        answered(made, current, person, answer)


async def checked_value(operating: Operating, made: Command, key: str, value: object) -> bytes:
    """A form's value as JSON, validated by the schema at the place where the body waits."""
    run = await rehearsed(made.connection, made.run, operating.processes, operating.vault)
    act = run.acts.get(key)
    if not isinstance(act, WaitAct):
        raise NotWaiting(verb="fill", what=f"`{key}`", state="not what the current code asks for")
    codec = act.spec.result
    return codec.dump(codec.accept(written(value)))


@asynccontextmanager
async def open_task(
    operating: Operating, task: UUID, actor: Actor
) -> AsyncIterator[tuple[Command, Row, UUID]]:
    """Lock an open task's run; gives the task as it is now, and who answers.

    Raises NotFound, AlreadyDecided, SelfApproval, NotAllowed.
    """
    row = await operating.database.fetchrow(_SQL.task, task)
    if row is None:
        raise NotFound(kind="task", reference=reference("tsk", task))
    try:
        async with operating.on(row["run_id"], actor) as made:
            current = await made.connection.fetchrow(_SQL.task, task)
            assert current is not None, "tasks are never deleted"
            _check_open(current)
            _check_in_time(current, made.at)
            person = named_person(actor, f"decide {named(current)}")
            await _check_person(made, current, person)
            yield made, current, person
    except NotWaiting:
        ended = await operating.database.fetchrow(_SQL.task, task)
        _check_open(ended or row)
        raise


def named(task: Row) -> str:
    """The reference of a task."""
    return reference("tsk", task["id"])


def _check_open(task: Row) -> None:
    if task["state"] == "open":
        return
    by = task["decided_by_name"] or {"expired": "its deadline"}.get(task["state"], "the run's end")
    raise AlreadyDecided(task=named(task), by=by, at=task["decided_at"])


def _check_in_time(task: Row, at: datetime) -> None:
    """Refuse what nobody waits for any more; the deadline of a wait closes it itself."""
    if task["verb"] is not None and task["due_at"] <= at:
        raise AlreadyDecided(task=named(task), by="its deadline", at=task["due_at"])


async def _check_person(made: Command, task: Row, person: UUID) -> None:
    name, who = named(task), reference("per", person)
    if task["kind"] == "approval":
        started_by = await made.connection.fetch(_SQL.starters, made.run)
        if person == made.row["subject"]:
            raise SelfApproval(actor=who, task=name, because="is the person it is about")
        if any(row["requested_by"] == who for row in started_by):
            raise SelfApproval(actor=who, task=name, because="started the run")
    if person in task["excluded"]:
        raise SelfApproval(actor=who, task=name, because="is excluded from it")
    if task["assignee"] is not None and task["assignee"] != person:
        raise NotAllowed(actor=who, verb=f"decide {name}", needed="to be the person it asks")
    if task["four_eyes"] is not None and await made.connection.fetchval(
        _SQL.decided_in_group, made.run, task["four_eyes"], person
    ):
        raise SelfApproval(actor=who, task=name, because="has decided another of the same group")


def answered(made: Command, task: Row, person: UUID, answer: Answer) -> None:
    """Record an answer and close the task, and the wait of the run that stands behind it."""
    key: str = task["key"]
    payload = made.sealer.seal(answer.outcome)
    event_id = made.entries.new_id()
    sealed = None
    if answer.said:
        sealed = made.sealer.field(answer.said, event_id=event_id, pointer="/data/comment")
    made.record(
        facts.TaskDecided(
            task=named(task),
            decision=answer.kind,
            answer_digest=made.sealer.digest(payload),
            channel=made.actor.via or "api",
            auth=facts.HowSignedIn(methods=("named",), age_s=0),
            excluded=tuple(reference("per", each) for each in task["excluded"]),
            four_eyes=task["four_eyes"],
            evidence_digest=answer.evidence,
            comment=sealed,
        ),
        key=key,
        payload=payload,
        process=made.process,
        id_=event_id,
    )
    if (step := by_hand.step_of_task(key)) is not None:
        if answer.kind == "submit":
            by_hand.claim(made, step)
        else:
            ownership.decided(made, step, is_theirs=answer.kind == "approve")
    elif key in made.acts:  # what a second person is asked is no wait of the run
        made.close(made.acts[key], by="decision")
    decided = {"state": "decided", "decision": answer.kind, "decided_at": made.at}
    made.change.also("task", {**task_columns(made, task), **decided, "decided_by": str(person)})


def task_columns(made: Command, task: Row) -> dict[str, Any]:
    """The columns of a task that must be there where only its state changes."""
    return {
        **{name: task[name] for name in ("key", "kind", "title", "owner", "opened_at", "version")},
        "id": str(task["id"]),
        "run_id": str(made.run),
        "excluded": [str(each) for each in task["excluded"]],
    }
