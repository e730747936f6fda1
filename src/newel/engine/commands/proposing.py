"""The second person: what one person orders and another has to confirm.

Some acts of an operator may not be one person's: letting a run go on without a step that gives or
takes access, doing such a step by hand, ending a run after the first day of whom it is about,
changing a date that has passed. Where the process or the operation asks for a second person, or
the setting `second_person` is `strict`, the order is written down, sealed, with a task; it is
carried out in the transaction of whoever confirms it, by the same function as any other order,
and its event names both. Source: security document, §6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import NotWaiting
from newel.base.ids import reference
from newel.engine.history import CONFIRM
from newel.engine.operating import Command, Operating, named_person
from newel.flow.act import StepAct
from newel.store.queries import queries

__all__ = ["Order", "Verb", "asks_for_cancel", "asks_for_dates", "asks_for_step", "propose"]

Verb = Literal["skip", "complete-by-hand", "cancel", "amend"]

_SQL: Final = queries("commands")
_LASTS: Final = timedelta(hours=24)
_STRICT: Final = "strict"
_WORDS: Final[Mapping[Verb, str]] = {
    "skip": "skip `{}`",
    "complete-by-hand": "complete `{}` by hand",
    "cancel": "cancel the run",
    "amend": "amend the run's input",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants done with a run. second: the reference of whoever has confirmed it.

    value: of a step that is completed. document: the input that a run is to have.
    """

    verb: Verb
    reason: str
    key: str = ""
    value: object = None
    evidence: str = ""
    document: object = None
    second: str | None = None

    @property
    def place(self) -> str:
        """The key under which it is proposed."""
        return f"{CONFIRM}/{self.verb}" + (f"/{self.key}" if self.key else "")

    def written(self, actor: Actor) -> bytes:
        """The order and who gave it, as they are sealed."""
        names = ("verb", "reason", "key", "value", "evidence", "document")
        return orjson.dumps({"by": actor.kept, **{name: getattr(self, name) for name in names}})

    @classmethod
    def read(cls, text: bytes) -> tuple[Order, Actor]:
        """An order that was written, and who gave it."""
        shape: dict[str, Any] = orjson.loads(text)  # Any: JSON
        by = shape.pop("by")
        return cls(**shape), Actor(**by)


async def propose(operating: Operating, made: Command, order: Order) -> UUID:
    """Ask a second person to confirm an order; answers with the task.

    Raises NotAllowed where nobody is named who orders it, NotWaiting where it is proposed already.
    """
    person = named_person(made.actor, order.verb)
    if await made.connection.fetchval(_SQL.is_proposed, made.run, order.place):
        what = f"`{order.key}`" if order.key else reference("run", made.run)
        raise NotWaiting(verb=order.verb, what=what, state="waiting for a second person already")
    task = operating.vault.ids().new()
    excluded = [person]
    if made.row["subject"] is not None and made.row["subject"] != person:
        excluded.append(made.row["subject"])
    payload = made.sealer.seal(order.written(made.actor))
    process = operating.processes.get(made.row["process"])
    owner = (None if process is None else process.owner) or "it"
    due_at = made.at + _LASTS
    made.record(
        facts.TaskOpened(
            task=reference("tsk", task),
            kind="approval",
            assignees=(),
            deputies=(),
            role=owner,
            due_at=due_at,
            excluded=tuple(reference("per", each) for each in excluded),
            proposal_digest=made.sealer.digest(payload),
        ),
        key=order.place,
        payload=payload,
    )
    made.change.also(
        "task",
        {
            "id": str(task),
            "run_id": str(made.run),
            "key": order.place,
            "kind": "approval",
            "title": _WORDS[order.verb].format(order.key),
            "instructions": None,
            "subject": None if made.row["subject"] is None else str(made.row["subject"]),
            "owner": owner,
            "excluded": [str(each) for each in excluded],
            "opened_at": made.at,
            "due_at": due_at,
            "state": "open",
            "version": 1,
            "verb": order.verb,
        },
    )
    return task


# --- when one is asked for --------------------------------------------------------------------


def asks_for_step(
    operating: Operating,
    made: Command,
    call: StepAct[Any] | None,  # Any: each act has its own result
) -> bool:
    """Whether a second person has to confirm what becomes of a step.

    One that gives or takes access, where the process, the operation or the setting asks for it. A
    call whose place is not known may be one.
    """
    if call is None:
        return _is_asked(operating, made)
    options = call.step.options
    if options.grants is None and options.revokes is None:
        return False
    return _is_asked(operating, made) or options.facts.get("approval") is not None


async def asks_for_cancel(operating: Operating, made: Command) -> bool:
    """Whether a second person has to confirm the end of a run: after its subject's first day."""
    process = operating.processes.get(made.row["process"])
    if made.row["subject"] is None or not _is_asked(operating, made):
        return False
    sealed = await made.connection.fetchval(_SQL.input, made.run)
    if process is None or sealed is None:
        return True
    given = orjson.loads(made.sealer.open(sealed))["arguments"]
    first = process.first_day_of(process.loaded(orjson.dumps(given)))
    return first is None or _has_passed(first, made.at)


def asks_for_dates(operating: Operating, made: Command, before: object, after: object) -> bool:
    """Whether a second person has to confirm an amend: one of a date that has passed."""
    if not _is_asked(operating, made):
        return False
    return any(_has_passed(moment, made.at) for moment in _changed_moments(before, after))


def _is_asked(operating: Operating, made: Command) -> bool:
    process = operating.processes.get(made.row["process"])
    return operating.second_person == _STRICT or (process is not None and process.second_person)


def _has_passed(moment: date, at: datetime) -> bool:
    if not isinstance(moment, datetime):
        return moment <= at.date()
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) <= at


def _changed_moments(before: Any, after: Any) -> Iterator[date]:  # Any: JSON
    """Every date and moment of an input that another input has no more, or has otherwise."""
    if before == after:
        return
    if isinstance(before, dict):
        for name, each in before.items():
            yield from _changed_moments(each, after.get(name) if isinstance(after, dict) else None)
    elif isinstance(before, list):
        others = after if isinstance(after, list) else []
        for place, each in enumerate(before):
            yield from _changed_moments(each, others[place] if place < len(others) else None)
    elif isinstance(before, str):
        for read in (date.fromisoformat, datetime.fromisoformat):
            try:
                yield read(before)
            except ValueError:
                continue
            return
