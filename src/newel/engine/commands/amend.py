"""Amending a run's input: seen first, then done.

What a changed input means is found by replaying the body with it: finished steps whose input it
changes, open waits that it moves or asks of others, acts that the body no longer comes to. What
becomes of a changed step is said by the step (`on_amend=`); by default a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import InvalidInput
from newel.base.ids import reference
from newel.domain.fingerprint import differences
from newel.engine import drifting
from newel.engine.commands.proposing import Order, asks_for_dates, propose
from newel.engine.intake import Intake
from newel.engine.operating import Command, Operating, check_reason
from newel.engine.rehearsal import Rehearsal, rehearsed
from newel.flow.act import Act, StepAct, WaitAct
from newel.store.queries import queries

__all__ = ["Amendment", "MovedWait", "amend", "input_of"]

_SQL: Final = queries("commands")
_ASK: Final = "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedWait:
    """An open wait that is asked for otherwise: what, as it was and as it will be."""

    key: str
    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """What another input means for a run.

    fields: what of the input changes. asks, redone, kept: finished acts whose input changes, by
    what becomes of them: the run parks and a person decides, they run again, they stay. waits:
    open waits that follow. gone: finished or open acts to which the body no longer comes.
    second: whether a second person has to confirm it; task: in which one is asked to.
    """

    fields: tuple[str, ...]
    asks: tuple[str, ...] = ()
    redone: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    waits: tuple[MovedWait, ...] = ()
    gone: tuple[str, ...] = ()
    second: bool = False
    task: str | None = None


class _Seen(Exception):
    def __init__(self, amendment: Amendment) -> None:
        super().__init__()
        self.amendment = amendment


async def amend(
    operating: Operating,
    run: UUID,
    document: object,
    *,
    actor: Actor,
    reason: str = "",
    dry: bool = False,
) -> Amendment:
    """Give a run another input, from its next replay on; the old one stays in the journal.

    document: JSON data of the whole input. dry: only look; nothing is written. Raises
    InvalidInput by field (also for another subject, or no change at all), ReasonMissing,
    NotFound, NotWaiting, NotAllowed.
    """
    if not dry:
        check_reason("amend", reason)
    try:
        async with operating.on(run, actor) as made:
            if dry:
                _undo((await _seen(operating, made, document))[0])
            order = Order(verb="amend", document=document, reason=reason)
            return await amended(operating, made, order)
    except _Seen as seen:
        return seen.amendment


async def amended(operating: Operating, made: Command, order: Order) -> Amendment:
    """Do what `amend` says on a locked run, or propose it."""
    amendment, arguments = await _seen(operating, made, order.document)
    if amendment.second and order.second is None:
        task = await propose(operating, made, order)
        return replace(amendment, task=reference("tsk", task))
    await _amend(made, amendment, arguments, order)
    return amendment


async def input_of(operating: Operating, run: UUID) -> object:
    """The input that a run goes by, as JSON data in the form that a start takes.

    Raises NotFound, also where this code has no such process.
    """
    async with operating.database.transaction() as connection:
        found = await rehearsed(connection, run, operating.processes, operating.vault)
    given: dict[str, object] = orjson.loads(found.history.arguments)
    return next(iter(given.values())) if len(found.process.parameters) == 1 else given


def _undo(amendment: Amendment) -> NoReturn:
    raise _Seen(amendment)


async def _seen(operating: Operating, made: Command, document: object) -> tuple[Amendment, bytes]:
    before = await rehearsed(made.connection, made.run, operating.processes, operating.vault)
    process = before.process
    made.change.last_at = made.at
    intake = Intake(made.connection, operating.vault, made.actor, operating.new_event_id)
    arguments = await intake.resolve(process.parsed(document), made.change)
    subject = process.subject_of(arguments)
    if (None if subject is None else subject.ref) != made.subject:
        raise InvalidInput({"": "is about another person: start a run for them"})
    text = process.dumped(arguments)
    was, will_be = orjson.loads(before.history.arguments), orjson.loads(text)
    changed = differences(was, will_be)
    if not changed:
        raise InvalidInput({"": "is what the run has already"})
    after = await rehearsed(
        made.connection, made.run, operating.processes, operating.vault, arguments=text
    )
    fields = tuple(each.field for each in changed)
    second = asks_for_dates(operating, made, was, will_be)
    return replace(_compared(before, after, fields), second=second), text


def _compared(before: Rehearsal, after: Rehearsal, fields: tuple[str, ...]) -> Amendment:
    by_policy: dict[str, list[str]] = {"ask": [], "redo": [], "keep": []}
    for key, act in after.changed.items():
        by_policy[_policy(act)].append(key)
    known = {*before.history.outcomes, *before.open}
    return Amendment(
        fields=fields,
        asks=tuple(sorted(by_policy["ask"])),
        redone=tuple(sorted(by_policy["redo"])),
        kept=tuple(sorted(by_policy["keep"])),
        waits=tuple(_moved(after)),
        gone=tuple(sorted(key for key in known & before.acts.keys() if key not in after.acts)),
    )


def _policy(act: Act[Any]) -> str:  # Any: each act has its own result
    return act.step.options.on_amend if isinstance(act, StepAct) else _ASK


def _moved(after: Rehearsal) -> Iterator[MovedWait]:
    for key, opened in sorted(after.open.items()):
        act = after.acts.get(key)
        if not isinstance(act, WaitAct):
            continue
        now: Mapping[str, Any] = orjson.loads(drifting.input_of(act) or b"{}")  # Any: JSON
        was = opened.asked or {}
        for what in sorted({*was, *now}):
            if was.get(what) != now.get(what):
                yield MovedWait(
                    key=key, what=what, before=_text(was.get(what)), after=_text(now.get(what))
                )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


async def _amend(made: Command, amendment: Amendment, arguments: bytes, order: Order) -> None:
    earlier = await made.connection.fetchval(_SQL.input, made.run)
    shape = {"arguments": orjson.Fragment(arguments)}
    payload = made.sealer.seal(orjson.dumps(shape))
    event_id = made.entries.new_id()
    made.record(
        facts.RunAmended(
            fields=amendment.fields,
            before_digest=made.sealer.digest(earlier),
            after_digest=made.sealer.digest(payload),
            second=order.second,
        ),
        payload=payload,
        reason=made.reason("amend", order.reason, event_id),
        id_=event_id,
    )
