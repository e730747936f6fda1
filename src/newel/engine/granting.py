"""The ledger's rows of an outcome: written with the outcome that made, changed or ended a grant.

What is held is read before (`held`), as incidents are; what becomes of it is decided purely
(`newel.domain.grants`). The Change carries the state in which the grant was read, so that of two
runs that turn the same grant at once one is refused, reads it anew and decides again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import ProcessVersion
from newel.base.errors import NewelError
from newel.connectors.looking import AFTER_DOUBT
from newel.domain.acts import OpenAct
from newel.domain.change import Change
from newel.domain.grants import ENDED, Held
from newel.domain.values import Access, Account, Call, Effect
from newel.engine.allowing import allowed_by
from newel.engine.entries import Outcome, waive, write
from newel.engine.history import Approval
from newel.engine.operating import Command
from newel.engine.runner import Runner
from newel.flow.act import StepAct
from newel.flow.step import Step
from newel.people.facts import kind_of
from newel.store import ledger
from newel.store.database import Connection, Database

__all__ = [
    "TAKE_BACK",
    "Before",
    "by_hand",
    "call_facts",
    "effect_of",
    "held",
    "http_facts",
    "is_being_made",
    "record",
    "skipped",
]

Before = Mapping[str, Held | None]
"""What is held of all that an outcome turns, by entitlement; that of the step itself first."""

UNDO: Final = "undo"
TAKE_BACK: Final = "newel.take-back"
"""The process that asks about access which a cancelled run has left."""
_ACCESS_OF: Final[dict[str, Access]] = {
    "invited": "prepared", "active": "active", "suspended": "suspended", "absent": "revoked",
}  # fmt: skip


def http_facts(call: Call) -> facts.Http:
    """The call that decided, as an audit leaf may hold it: the path is a template."""
    return facts.Http(
        method=call.method,
        host=call.host,
        path=call.path,
        status=call.status,
        request_id=call.request_id,
    )


def call_facts(call: Call) -> dict[str, object]:
    """One HTTP call as it is kept with an attempt."""
    return {
        "method": call.method,
        "host": call.host,
        "path": call.path,
        "operation": call.operation,
        "status": call.status,
        "request_id": call.request_id,
        "duration_us": call.duration_us,
    }


def is_being_made(run: Runner, opened: OpenAct) -> bool:
    """Whether another branch of this run is about to make the same: that one goes first."""
    return opened.effect_key is not None and any(
        each.effect_key == opened.effect_key
        and each.state == "attempting"
        and each.key != opened.key
        for each in run.open.values()
    )


def effect_of(step: Step[..., Any], effect: Effect | None, value: object) -> Effect | None:
    """What a step did to access: as it reported it; a plain step did what it declares.

    An operation that reports nothing has changed nothing.
    """
    if effect is not None or step.options.facts:
        return effect
    return _declared(step, value, path="admin_api")


def _declared(step: Step[..., Any], value: object, *, path: str) -> Effect | None:
    """What a step that succeeded has done by its declaration, and by the account it gave."""
    options = step.options
    if options.grants is None and options.revokes is None:
        return None
    access: Access = "active" if options.grants is not None else "revoked"
    if not isinstance(value, Account):
        return Effect(changed=True, access=access, path=path)
    seen = _ACCESS_OF[value.state]
    fits = (seen in ENDED) == (access in ENDED)
    return Effect(
        changed=True,
        access=seen if fits else access,
        path=path,
        external_id=value.id,
        account=value.handle,
    )


async def held(
    database: Database, run: Runner, key: str, effect: Effect | None, value: object
) -> Before:
    """Read what the subject has of what an outcome gives or takes; empty where that is nothing."""
    act, person = run.acts.get(key), run.loaded.subject
    if person is None or not isinstance(act, StepAct):
        return {}
    done = effect_of(act.step, effect, value)
    named = None if done is None else _entitlement(act, done)
    if done is None or named is None:
        return {}
    return await _before(database, person, named, done)


async def _before(
    source: Database | Connection, person: UUID, named: tuple[str, str], effect: Effect
) -> Before:
    """Read what is held of an entitlement, and of what begins, ends or comes back with it.

    Only an account has others with it: they end with it, and not it with them.
    """
    system, entitlement = named
    own = await ledger.held(source, person, entitlement)
    found: dict[str, Held | None] = {entitlement: own}
    for name in effect.also:
        found[f"{system}:{name}"] = await ledger.held(source, person, f"{system}:{name}")
    is_turned = own is not None and (effect.access in ENDED or own.state == "suspended")
    if own is not None and is_turned and entitlement == f"{system}:account":
        found |= await ledger.came_with(source, own.id)
    return found


def _written(outcome: Outcome, before: Before, change: Change, tell: Callable[..., object]) -> None:
    """Write the turn of the entitlement, and of what comes and goes with it.

    The answer that gives an account gives what was asked for with it. Where that answer was lost,
    the account was seen afterwards and nothing else: no call proves the rest.
    """
    system, effect = outcome.system, outcome.effect
    is_unseen = AFTER_DOUBT in effect.evidence
    for entitlement, known in before.items():
        turned = outcome
        if entitlement != outcome.entitlement:
            turned = replace(outcome, entitlement=entitlement, level=None)
            if is_unseen and entitlement.removeprefix(f"{system}:") in effect.also:
                turned = replace(turned, http=None)
        write(turned, known, change, tell)


def record(
    run: Runner,
    opened: OpenAct,
    act: StepAct[Any],  # Any: each act has its own result
    effect: Effect,
    before: Before,
    *,
    seq: int,
    calls: list[Call],
) -> None:
    """Turn the grant that a step's outcome is about, if it is about one of the run's subject.

    before: what was held, as it was just read. seq: the place of the outcome.
    """
    named = _entitlement(act, effect)
    if named is None or run.loaded.subject is None:
        return
    is_undone = act.is_promise or run.loaded.cancelling
    outcome = Outcome(
        run=run.id,
        process=run.version,
        person=run.loaded.subject,
        key=opened.key,
        seq=seq,
        at=run.moment,
        due_at=_due(run, opened, is_undone=is_undone),
        intended_at=opened.intended_at,
        system=named[0],
        entitlement=named[1],
        level=effect.level or act.step.options.level,
        effect=effect,
        cause=_cause(run.process.name, is_undone=is_undone),
        authority=_authority(allowed_by(run, act) or run.history.approval, run.version),
        http=http_facts(calls[-1]) if calls else None,
    )
    tell = partial(run.record, attempt=opened.attempt, round_=opened.round)
    _written(outcome, before or {outcome.entitlement: None}, run.change, tell)


def _due(run: Runner, opened: OpenAct, *, is_undone: bool) -> datetime:
    """When access was due to end: as the input says; else, and of promises, when the run came."""
    moment = None
    if not is_undone and run.process.access_ends is not None:
        with suppress(NewelError):  # it was told when the run started, or its input was amended
            moment = run.process.access_ends_of(run.process.loaded(run.history.arguments))
    return moment or opened.opened_at


async def by_hand(
    made: Command,
    opened: OpenAct,
    act: StepAct[Any],  # Any: as above
    value: object,
    replayed: Runner,
    *,
    seq: int,
) -> None:
    """Turn the grant that a step is about which a person has done in its place."""
    effect = _declared(act.step, value, path="by_hand")
    outcome = _of_command(made, opened, act, effect, replayed.history.approval, seq=seq)
    if outcome is not None:
        due_at = _due(replayed, opened, is_undone=outcome.cause == "cancel")
        outcome = replace(outcome, due_at=due_at)
        named = outcome.system, outcome.entitlement
        before = await _before(made.connection, outcome.person, named, outcome.effect)
        _written(outcome, before, made.change, made.record)


async def skipped(
    made: Command,
    opened: OpenAct,
    act: StepAct[Any],  # Any: as above
) -> tuple[str, ...] | None:
    """Write that what a step was to give is waived, with the outcome that comes next.

    What is held is not waived: a finished step is skipped whose input has changed since.
    """
    seq = made.entries.head.seq + len(made.entries) + 1
    effect = None if act.step.options.grants is None else Effect(changed=False, path="by_hand")
    outcome = _of_command(made, opened, act, effect, None, seq=seq)
    if outcome is None:
        return None
    before = await ledger.held(made.connection, outcome.person, outcome.entitlement)
    if before is not None and before.state in {"prepared", "active"}:
        return None
    return (waive(outcome, made.change),)


def _of_command(
    made: Command,
    opened: OpenAct,
    act: StepAct[Any],  # Any: as above
    effect: Effect | None,
    approval: Approval | None,
    *,
    seq: int,
) -> Outcome | None:
    named = None if effect is None else _entitlement(act, effect)
    if effect is None or named is None or made.row["subject"] is None:
        return None
    is_undone = made.row["cancelling"] or UNDO in opened.key.split("/")
    return Outcome(
        run=made.run,
        process=made.process,
        person=made.row["subject"],
        key=opened.key,
        seq=seq,
        at=made.at,
        due_at=opened.opened_at,
        intended_at=opened.intended_at,
        system=named[0],
        entitlement=named[1],
        level=act.step.options.level,
        effect=effect,
        cause=_cause(made.row["process"], is_undone=is_undone),
        authority=_authority(approval, made.process),
    )


def _entitlement(act: StepAct[Any], effect: Effect) -> tuple[str, str] | None:
    """System and key of the entitlement that an effect is about, by what the step declares."""
    options = act.step.options
    own, other = options.grants, options.revokes
    if effect.access in ENDED:
        own, other = other, own
    template = own or other
    if template is None:
        return None
    named = act.step.described(template, act.args, act.kwargs)
    if ":" not in named:
        return None if options.system is None else (options.system, f"{options.system}:{named}")
    return options.system or named.partition(":")[0], named


def _cause(process: str, *, is_undone: bool) -> facts.RevocationCause:
    if is_undone or process == TAKE_BACK:
        return "cancel"
    match kind_of(process):
        case "leaver" | "mover" as kind:
            return kind
        case _:
            return "other"


def _authority(
    approval: Approval | None, process: ProcessVersion
) -> facts.ApprovalAuthority | facts.PolicyAuthority:
    if approval is not None:
        return facts.ApprovalAuthority(
            event=approval.event, leaf_hash=approval.leaf_hash, approver=approval.approver
        )
    return facts.PolicyAuthority(policy_id=process.name, policy_sha256=process.definition_sha256)
