"""One verb on many runs: a frozen list, carried out item by item, with a report for each.

It is itself a run, of the built-in process `newel.bulk`: what was asked, by whom and why stands in
its journal, a crash in the middle loses nothing, and an item that is refused harms no other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.codec import Codec
from newel.base.errors import InvalidInput, NotFound, NotWaiting, RequestError
from newel.base.ids import parse_reference, reference
from newel.engine import commands
from newel.engine.history import History
from newel.engine.operating import Operating, check_reason
from newel.flow.ambient import this_attempt
from newel.flow.parallel import parallel
from newel.flow.process import Process, process
from newel.flow.step import step
from newel.store import journal, runs

__all__ = [
    "NAME",
    "BulkReport",
    "Carried",
    "Item",
    "Order",
    "Verb",
    "bulk_process",
    "ordered",
    "report",
]

NAME: Final = "newel.bulk"
MOST: Final = 1_000
Verb = Literal["retry", "skip", "cancel", "pause", "resume"]
_NEEDS_REASON: Final = frozenset({"skip", "cancel", "pause"})


@dataclass(frozen=True, kw_only=True)
class Item:
    """One run, by its reference, and one of its keys where the verb is for a step."""

    run: str
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked, by whom (as leaves name an actor) and why."""

    verb: Verb
    reason: str
    actor_type: Literal["person", "service", "key", "system"]
    actor_id: str
    via: str | None
    on_behalf_of: str | None
    items: tuple[Item, ...]


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What became of one item; said: why it was refused, in the words of the refusal."""

    run: str
    key: str | None
    is_done: bool
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class BulkReport:
    """How far a bulk order is: a report for each item that is through; the others are open."""

    run: str
    verb: Verb
    has_ended: bool
    items: tuple[Item, ...]
    carried: tuple[Carried, ...]


def bulk_process(operating: Operating) -> Process[[Order], tuple[Carried, ...]]:
    """Make the built-in process over the verbs of a deployment."""

    @step(name="carry-out", in_doubt="repeat", title="Carry out")
    async def carry_out(order: Order, item: Item) -> Carried:
        """Carry out the verb on one item."""
        try:
            task = await _verb(operating, order, item)
        except (NotFound, NotWaiting) as refused:
            # The attempt before this one may have done it and died before it could say so.
            is_done = this_attempt().follows_doubt
            return Carried(run=item.run, key=item.key, is_done=is_done, said=str(refused))
        except RequestError as refused:
            return Carried(run=item.run, key=item.key, is_done=False, said=str(refused))
        if task is not None:
            said = f"waits for a second person to confirm it: {reference('tsk', task)}"
            return Carried(run=item.run, key=item.key, is_done=False, said=said)
        return Carried(run=item.run, key=item.key, is_done=True)

    @process(name=NAME, title="Bulk action", owner="it", subject=None)
    async def bulk(order: Order) -> tuple[Carried, ...]:
        """Carry out one verb on every item of a frozen list."""
        alone = Order(**{**vars(order), "items": ()})
        return await parallel(
            *[carry_out[number](alone, item) for number, item in enumerate(order.items, 1)]
        )

    return bulk


def _verb(operating: Operating, order: Order, item: Item) -> Awaitable[UUID | None]:
    actor = Actor(
        type=order.actor_type, id=order.actor_id, via=order.via, on_behalf_of=order.on_behalf_of
    )
    run = _run_of(item)
    verbs: dict[Verb, Callable[[], Awaitable[UUID | None]]] = {
        "retry": lambda: commands.retry(operating, run, item.key, actor=actor),
        "skip": lambda: commands.skip(
            operating, run, item.key or "", actor=actor, reason=order.reason
        ),
        "cancel": lambda: commands.cancel(operating, run, actor=actor, reason=order.reason),
        "pause": lambda: commands.pause(operating, run, actor=actor, reason=order.reason),
        "resume": lambda: commands.resume(operating, run, actor=actor),
    }
    return verbs[order.verb]()


def _run_of(item: Item) -> UUID:
    try:
        kind, run = parse_reference(item.run)
    except ValueError:
        raise NotFound(kind="run", reference=item.run) from None
    if kind != "run":
        raise NotFound(kind="run", reference=item.run)
    return run


def ordered(verb: Verb, items: Sequence[Item], *, actor: Actor, reason: str) -> Order:
    """Check a bulk order before anything is written.

    Raises InvalidInput (nothing, too much, one item twice, a skip without a key), ReasonMissing.
    """
    if verb in _NEEDS_REASON:
        check_reason(verb, reason)
    if not 1 <= len(items) <= MOST:
        raise InvalidInput({"items": f"must be 1 to {MOST}"})
    if len(set(items)) < len(items):
        raise InvalidInput({"items": "names one twice"})
    wrong = {
        f"items.{place}.key": "is missing: skip which step?"
        for place, item in enumerate(items)
        if verb == "skip" and not item.key
    }
    if wrong:
        raise InvalidInput(wrong)
    return Order(
        verb=verb,
        reason=reason,
        actor_type=actor.type,
        actor_id=actor.id,
        via=actor.via,
        on_behalf_of=actor.on_behalf_of,
        items=tuple(items),
    )


_CARRIED: Final[Codec[Carried]] = Codec(Carried, later=True)


async def report(
    operating: Operating, definition: Process[[Order], tuple[Carried, ...]], run: UUID
) -> BulkReport:
    """Read how far a bulk order is. Raises NotFound for a run that is none."""
    row = await runs.read(operating.database, run)
    if row is None or row["process"] != NAME:
        raise NotFound(kind="bulk action", reference=reference("run", run))
    sealer = operating.vault.sealer(run, None, None, None)
    async with operating.database.transaction() as connection:
        history = History.of(await journal.outcomes(connection, [run]), sealer.open)
    order = definition.loaded(history.arguments)["order"]
    assert isinstance(order, Order), "the built-in process has one input"
    carried = [
        _CARRIED.load(sealer.open(recorded.payload), key=key)
        for key, recorded in history.outcomes.items()
        if recorded.payload is not None and key.startswith("carry-out[")
    ]
    places = {(item.run, item.key): place for place, item in enumerate(order.items)}
    carried.sort(key=lambda each: places[each.run, each.key])
    return BulkReport(
        run=reference("run", run),
        verb=order.verb,
        has_ended=row["finished_at"] is not None,
        items=order.items,
        carried=tuple(carried),
    )
