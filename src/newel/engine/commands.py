"""The operator's verbs: one function each, used by API, console and CLI alike.

Actor always; a reason where the course of the run changes. Every verb is one Change under the
run's row lock: whoever comes second is told so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import (
    AlreadyDecided,
    NotAllowed,
    NotFound,
    NotSkippable,
    NotWaiting,
    ReasonMissing,
    SelfApproval,
)
from newel.base.ids import parse_reference, reference
from newel.domain.acts import OpenAct
from newel.domain.retry import begun
from newel.domain.values import Decision
from newel.engine.operating import Command, Tell, command
from newel.engine.vault import Vault
from newel.flow.process import Process
from newel.flow.reading import result_is_unused, result_of
from newel.flow.waits import DECISION
from newel.store.database import Database, Row
from newel.store.queries import queries

_SQL: Final = queries("commands")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operating:
    """What verbs need: the database, the keys, the definitions, and a maker of event ids."""

    database: Database
    vault: Vault
    processes: Mapping[str, Process[..., Any]]  # Any: each has its own result
    new_event_id: Callable[[], str]
    tell: Tell

    def on(self, run: UUID, actor: Actor) -> Any:  # Any: the context manager of `command`
        """Lock a run for a verb of `actor`."""
        return command(self.database, self.vault, run, actor, self.new_event_id, self.tell)


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


async def retry(
    operating: Operating,
    run: UUID,
    key: str | None = None,
    *,
    actor: Actor,
    by: Literal["person", "probe"] = "person",
) -> None:
    """Try a step again, in a fresh series of rounds; all parked ones without a key.

    On a run that parked by itself (bug, blocked, drifted) it means: replay with today's code.
    Raises NotFound, NotWaiting.
    """
    async with operating.on(run, actor) as made:
        keys = [key] if key is not None else _parked(made)
        if not keys:
            _replay_parked(made)
        for each in keys:
            act = made.act(each, verb="retry")
            if act.kind != "step":
                raise NotWaiting(verb="retry", what=f"`{each}`", state="a wait, not a step")
            _again(made, act, by=by)


def _parked(made: Command) -> list[str]:
    return sorted(key for key, act in made.acts.items() if act.state == "parked")


def _replay_parked(made: Command) -> None:
    if made.row["state"] != "parked":
        raise NotWaiting(verb="retry", what=reference("run", made.run), state=made.row["state"])
    made.record(facts.RunUnparked(by="retry"))


def _again(made: Command, act: OpenAct, *, by: Literal["person", "probe"]) -> None:
    if by == "probe" and act.trouble.early is None:
        early = "parked" if act.state == "parked" else "retrying"
        act.trouble = replace(act.trouble, early=early, held_at=act.next_at)
    elif by == "person":
        fresh = begun(made.at, series=act.series + 1)
        act.trouble = replace(
            act.trouble, progress=fresh, failed_rounds=0, crashes=0, unclear=0, early=None
        )
    act.state, act.next_at = "retrying", made.at
    act.reason = act.owner = None
    made.record(facts.StepRetried(by=by), key=act.key, system=act.system)
    made.change.also("open_act", act.row(made.run))


async def skip(operating: Operating, run: UUID, key: str, *, actor: Actor, reason: str) -> None:
    """Let the body go on without a step: it gets None.

    Raises NotSkippable where the body needs a value, ReasonMissing, NotFound, NotWaiting.
    """
    _check_reason("skip", reason)
    async with operating.on(run, actor) as made:
        act = _step(made, key, verb="skip")
        process = operating.processes.get(made.row["process"])
        if process is None or not result_is_unused(process, key):
            raise NotSkippable(key=key, needs="its value is used, or may be")
        event_id = made.entries.new_id()
        made.record(
            facts.StepSkipped(),
            key=key,
            system=act.system,
            reason=made.reason("skip", reason, event_id),
            id_=event_id,
        )
        made.change.closed.append(key)


async def complete_by_hand(
    operating: Operating,
    run: UUID,
    key: str,
    value: object,
    *,
    evidence: str,
    actor: Actor,
    reason: str,
) -> None:
    """Give the result of a step that a person has done; validated against the step's type.

    value: JSON data. Raises InvalidInput by field, ReasonMissing (also for evidence), NotFound,
    NotWaiting.
    """
    _check_reason("complete-by-hand", reason)
    _check_reason("complete-by-hand", evidence)
    async with operating.on(run, actor) as made:
        act = _step(made, key, verb="complete")
        process = operating.processes.get(made.row["process"])
        codec = None if process is None else result_of(process, key)
        if codec is None:
            raise NotFound(kind="step of the current code", reference=key)
        text = codec.dump(codec.accept(orjson.dumps(value)))
        payload = made.sealer.seal(text)
        proof = made.sealer.seal(evidence.encode())
        event_id = made.entries.new_id()
        made.record(
            facts.StepCompletedByHand(
                outcome_digest=made.sealer.digest(payload),
                evidence_digest=made.sealer.digest(proof),
            ),
            key=key,
            system=act.system,
            payload=payload,
            reason=made.reason("complete-by-hand", f"{reason}\n{evidence}", event_id),
            id_=event_id,
        )
        made.change.closed.append(key)


async def cancel(operating: Operating, run: UUID, *, actor: Actor, reason: str) -> None:
    """Ask for the run's end: its owner honours it at the next durable act.

    Raises ReasonMissing, NotFound, NotWaiting (it has ended).
    """
    _check_reason("cancel", reason)
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


def _step(made: Command, key: str, *, verb: str) -> OpenAct:
    act = made.act(key, verb=verb)
    if act.kind != "step":
        raise NotWaiting(verb=verb, what=f"`{key}`", state="a wait, not a step")
    return act


def _check_reason(verb: str, reason: str) -> None:
    if not reason.strip():
        raise ReasonMissing(verb=verb)
