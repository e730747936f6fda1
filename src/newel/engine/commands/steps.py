"""What operators do with a step that is stuck: retry, skip, complete by hand."""

from __future__ import annotations

from typing import Any, Final, Literal
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import InvalidInput, NotFound, NotSkippable, NotWaiting
from newel.base.ids import reference
from newel.domain.acts import OpenAct
from newel.domain.values import Done
from newel.engine import drifting, granting
from newel.engine.commands.proposing import Order, asks_for_step, propose
from newel.engine.commands.tasks import checked_value, task_columns
from newel.engine.operating import Command, Operating, check_reason
from newel.engine.rehearsal import Rehearsal, rehearsed
from newel.flow.act import StepAct
from newel.flow.process import written
from newel.flow.reading import is_unused_at, result_of
from newel.flow.waits import DONE
from newel.store.queries import queries

_SQL: Final = queries("commands")
UNDO: Final = "undo"


async def retry(
    operating: Operating,
    run: UUID,
    key: str | None = None,
    *,
    actor: Actor,
    by: Literal["person", "probe"] = "person",
    is_let_go: bool = False,
) -> None:
    """Try a step again, in a fresh series of rounds; all parked ones without a key.

    is_let_go: whether it waits for an incident no more, as one that is over long since.
    On a run that parked by itself (bug, blocked, drifted) it means: replay with today's code. A
    finished step whose input has changed is run again only if it is named.
    Raises NotFound, NotWaiting.
    """
    async with operating.on(run, actor) as made:
        if key is None and made.row["parked_reason"] == "overdue":
            made.change.also("unlimited", {"id": str(run)})  # it goes on, and takes its time
            made.record(facts.RunUnparked(by="release"))
            return
        keys = [key] if key is not None else _parked(made)
        if not keys:
            _replay_parked(made)
        for each in keys:
            if each not in made.acts and await drifting.asked_again(made, each):
                continue
            act = made.act(each, verb="retry")
            if act.kind != "step":
                raise NotWaiting(verb="retry", what=f"`{each}`", state="a wait, not a step")
            if is_let_go:
                act.incident_id = None
            made.retry(act, by=by)


def _parked(made: Command) -> list[str]:
    """Steps that wait for a person; a finished one is done again only if it is asked by name."""
    return sorted(
        key
        for key, act in made.acts.items()
        if act.state == "parked" and act.reason != drifting.DRIFTED
    )


def _replay_parked(made: Command) -> None:
    if made.row["state"] != "parked":
        raise NotWaiting(verb="retry", what=reference("run", made.run), state=made.row["state"])
    made.record(facts.RunUnparked(by="retry"))


async def skip(
    operating: Operating, run: UUID, key: str, *, actor: Actor, reason: str
) -> UUID | None:
    """Let the body go on without a step: it gets None.

    Judged where the body calls the step now: another call of the same step may be used.
    Answers with the task in which a second person confirms it, where one has to. Raises
    NotSkippable where the body needs a value, ReasonMissing, NotFound, NotWaiting, NotAllowed.
    """
    check_reason("skip", reason)
    async with operating.on(run, actor) as made:
        return await skipped(operating, made, Order(verb="skip", key=key, reason=reason))


async def skipped(operating: Operating, made: Command, order: Order) -> UUID | None:
    """Do what `skip` says on a locked run, or propose it."""
    key = order.key
    act = _step(made, key, verb="skip")
    call = _call(await _replayed(operating, made), key)
    _check_skippable(call, key)
    if order.second is None and asks_for_step(operating, made, call):
        return await propose(operating, made, order)
    if act.task_id is not None:
        await _withdraw_task(made, act)
    event_id = made.entries.new_id()
    waived = None if call is None else await granting.skipped(made, act, call)
    made.record(
        facts.StepSkipped(second=order.second, input_fp=drifting.input_at(act), grants=waived),
        key=key,
        system=act.system,
        reason=made.reason("skip", order.reason, event_id),
        id_=event_id,
    )
    made.change.closed.append(key)
    return None


def _check_skippable(call: StepAct[Any] | None, key: str) -> None:
    if call is None:
        raise NotSkippable(key=key, needs="its place in the current code is not known")
    is_promise = UNDO in key.split("/")
    if not (is_promise or call.step.result.admits_none or is_unused_at(call.place)):
        raise NotSkippable(key=key, needs="its value is used, or may be")


async def _replayed(operating: Operating, made: Command) -> Rehearsal:
    return await rehearsed(made.connection, made.run, operating.processes, operating.vault)


def _call(run: Rehearsal, key: str) -> StepAct[Any] | None:
    """The call that the body rests at, by the current code; None if it does not come there."""
    act = run.acts.get(key)
    return act if isinstance(act, StepAct) else None


async def complete_by_hand(
    operating: Operating,
    run: UUID,
    key: str,
    value: object,
    *,
    evidence: str,
    actor: Actor,
    reason: str,
    is_looked_at: bool = False,
) -> UUID | None:
    """Give the result of a step, or of a form, that a person has done in its place.

    value: JSON data, validated against the type at the very place where the body waits for it;
    None for work that a form asks to be done by hand. is_looked_at: newel asked for it itself and
    makes sure of it, so that no second person has to. Answers with the task in which one confirms
    it, where one has to. Raises InvalidInput by field, ReasonMissing (also for evidence),
    NotFound, NotWaiting, NotAllowed.
    """
    check_reason("complete-by-hand", reason)
    check_reason("complete-by-hand", evidence)
    order = Order(verb="complete-by-hand", key=key, value=value, evidence=evidence, reason=reason)
    async with operating.on(run, actor) as made:
        return await completed(operating, made, order, is_looked_at=is_looked_at)


async def completed(
    operating: Operating, made: Command, order: Order, *, is_looked_at: bool = False
) -> UUID | None:
    """Do what `complete_by_hand` says on a locked run, or propose it."""
    key, act = order.key, made.act(order.key, verb="complete")
    if act.kind == "form":
        text = await _form_value(operating, made, act, order.value, order.evidence)
        await _withdraw_task(made, act)
        _complete(made, act, order, text)
        return None
    if act.kind != "step":
        raise NotWaiting(verb="complete", what=f"`{key}`", state="a wait, not a step")
    replayed = await _replayed(operating, made)
    call = _call(replayed, key)
    text = _step_value(operating, made, call, key, order.value)
    is_free = is_looked_at or order.second is not None
    if not is_free and asks_for_step(operating, made, call):
        return await propose(operating, made, order)
    if act.task_id is not None:
        await _withdraw_task(made, act)
    seq = _complete(made, act, order, text)
    if call is not None:
        given = call.step.result.load(text, key=key)
        await granting.by_hand(made, act, call, given, replayed, seq=seq)
    return None


def _complete(made: Command, act: OpenAct, order: Order, text: bytes) -> int:
    payload = made.sealer.seal(text)
    proof = made.sealer.seal(order.evidence.encode())
    event_id = made.entries.new_id()
    seq = made.record(
        facts.StepCompletedByHand(
            second=order.second,
            outcome_digest=made.sealer.digest(payload),
            evidence_digest=made.sealer.digest(proof),
            input_fp=drifting.input_at(act),
        ),
        key=act.key,
        system=act.system,
        payload=payload,
        reason=made.reason("complete-by-hand", f"{order.reason}\n{order.evidence}", event_id),
        id_=event_id,
    )
    made.change.closed.append(act.key)
    return seq


def _step_value(
    operating: Operating, made: Command, call: StepAct[Any] | None, key: str, value: object
) -> bytes:
    process = operating.processes.get(made.row["process"])
    codec = None if process is None else result_of(process, key)
    if call is not None:
        codec = call.step.result
    if codec is None:
        raise NotFound(kind="step of the current code", reference=key)
    return codec.dump(codec.accept(written(value)))


async def _form_value(
    operating: Operating, made: Command, act: OpenAct, value: object, evidence: str
) -> bytes:
    task = await made.connection.fetchrow(_SQL.task, act.task_id)
    assert task is not None, "a form has a task"
    if task["form"] is not None:
        return await checked_value(operating, made, act.key, value)
    if value is not None:
        raise InvalidInput({"value": "is not asked for: this is done by hand"})
    by = made.actor.on_behalf_of or made.actor.id
    return DONE.dump(Done(by=by, note=evidence.strip(), at=made.at))


async def _withdraw_task(made: Command, act: OpenAct) -> None:
    task = await made.connection.fetchrow(_SQL.task, act.task_id)
    assert task is not None, "tasks are never deleted"
    fact = facts.TaskWithdrawn(task=reference("tsk", task["id"]), cause="by-hand")
    made.record(fact, key=task["key"])
    made.change.also("task", {**task_columns(made, task), "state": "withdrawn"})


def _step(made: Command, key: str, *, verb: str) -> OpenAct:
    act = made.act(key, verb=verb)
    if act.kind != "step":
        raise NotWaiting(verb=verb, what=f"`{key}`", state="a wait, not a step")
    return act
