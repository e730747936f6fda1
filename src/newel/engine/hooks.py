"""Deliveries from other systems: proven, kept once, and carried out in the same transaction.

    bytes -> the source's verifier -> JSON -> the company's function -> one transaction:
             the delivery (unique per source and id), the runs it starts, the messages it leaves

A process that dies before the commit has kept nothing, and the sender, who has heard nothing,
sends again. One that dies after it has done everything; the same delivery is then known, and does
nothing. What the company's function or a start refuses is kept with the reason, for an operator
to let it be looked at again: the sender cannot help.
Source: product document, §7.1; security document, §9.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol
from uuid import UUID

import orjson

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, Event
from newel.base.errors import (
    AuthFailed,
    DefinitionError,
    NewelError,
    NotFound,
    NotWaiting,
    StoreError,
)
from newel.connectors.webhooks import REMEMBERED_FOR, DeliveryChanged, SignatureInvalid
from newel.domain.change import Beside, Change
from newel.engine.beginning import Begin, in_turn
from newel.engine.enduring import now_and_then
from newel.engine.messages import Message, Messages
from newel.engine.named import by_name
from newel.engine.operating import Operating, write_aside
from newel.engine.starting import Wanted
from newel.flow.hooks import Arrived, Delivery, Hook, Reaction
from newel.flow.process import Request
from newel.flow.waits import Sending
from newel.store import registry, webhooks
from newel.store.database import Connection, Row

__all__ = ["Hooks", "Received"]

_TOLD_EVERY: Final = timedelta(minutes=1)
_LOOK_S: Final = 60.0


class Fed(Protocol):
    """A feed of hints: it is told in deliveries, and asks for what none told."""

    hook: Hook
    hooks: Hooks | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of a delivery. runs: those it started. refused: why not all of it was done."""

    id: UUID | None
    is_new: bool
    runs: tuple[UUID, ...] = ()
    refused: str | None = None


@dataclass(slots=True)
class _Done:
    """What the transaction of one delivery has written, to be told after its commit."""

    changes: list[Change] = field(default_factory=list[Change])
    runs: list[UUID] = field(default_factory=list[UUID])
    messages: list[Message] = field(default_factory=list[Message])
    refused: str | None = None


class Hooks:
    """The sources of deliveries of one deployment, as its code declares them."""

    def __init__(
        self,
        operating: Operating,
        hooks: Sequence[Hook],
        *,
        begin: Begin,
        messages: Messages,
        feeds: Sequence[Fed] = (),
    ) -> None:
        """Take what the code declares; raises DefinitionError for a name that is used twice.

        begin: starts a run in the caller's transaction.
        """
        self._database = operating.database
        self._vault = operating.vault
        self._ids = operating.vault.ids()
        self.declared = by_name(
            "hooks",
            [*hooks, *(each.hook for each in feeds)],
            fix='`@hook(…, name="…")` or `hr_feed(…, name="…")` for one of them.',
            code="F711",
        )
        for each in feeds:
            each.hooks = self
        self._processes = operating.processes
        self._begin = begin
        self._messages = messages
        self._new_event_id = operating.new_event_id
        self._tell = operating.tell

    # --- coming in --------------------------------------------------------------------------

    async def verified(self, source: str, headers: Mapping[str, str], body: bytes) -> Arrived:
        """Judge the bytes of a delivery. headers: names in lower case.

        Raises NotFound for an unknown source, SignatureInvalid (told of in the audit log, the
        first at once and then once a minute), StoreError while no secret can be read.
        """
        hook = self.declared.get(source)
        if hook is None:
            raise NotFound(kind="hook", reference=source)
        now = await registry.now(self._database)
        try:
            # A secret may be read by a command.
            return await asyncio.to_thread(
                hook.verifier.verified, headers, body, now, source=source
            )
        except SignatureInvalid:
            await self._refuse(source, "signature")
            raise
        except (AuthFailed, DefinitionError) as missing:
            raise StoreError(f"No secret of the hook `{source}` can be used.") from missing

    async def receive(self, source: str, arrived: Arrived, document: object) -> Received:
        """Keep a delivery that was verified and carry it out, once.

        Raises DeliveryChanged if its id was used for another body before.
        """
        return await self.receive_from(self.declared[source], arrived, document)

    async def receive_from(self, hook: Hook, arrived: Arrived, document: object) -> Received:
        """Keep what came from a hook that is not served, too; as `receive`."""
        source = hook.name
        body = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(body).digest()
        event_id = arrived.id or f"sha256-{digest.hex()}"

        async def kept() -> tuple[bytes | None, UUID, _Done]:
            delivery, done = self._ids.new(), _Done()
            async with self._database.transaction() as connection:
                at = await registry.now(connection)
                before = await webhooks.keep_received(
                    connection,
                    delivery=delivery,
                    source=source,
                    event_id=event_id,
                    digest=digest,
                    body=self._vault.sealed(body, delivery),
                    at=at,
                )
                if before is None:
                    shown = Delivery(source=source, id=event_id, at=at, document=document)
                    await self._carry_out(connection, hook, delivery, shown, done)
            return before, delivery, done

        before, delivery, done = await in_turn(kept)
        if before is None:
            await self._told(done, source)
            return Received(id=delivery, is_new=True, runs=tuple(done.runs), refused=done.refused)
        if before == digest:
            return Received(id=None, is_new=False)
        await self._refuse(source, "changed")
        raise DeliveryChanged(source=source)

    async def again(self, delivery: UUID) -> Received:
        """Carry out what was refused of a delivery; what it has done already is not done twice.

        Raises NotFound, NotWaiting if nothing of it was refused.
        """
        async with self._database.transaction() as connection:
            row = await webhooks.locked_received(connection, delivery)
            hook = None if row is None else self.declared.get(row["source"])
            if row is None or hook is None:
                raise NotFound(kind="delivery", reference=str(delivery))
            if row["refused"] is None or row["body"] is None:
                raise NotWaiting(verb="carry out", what=f"`{delivery}`", state="done")
            document = orjson.loads(self._vault.opened(row["body"], delivery))
            shown = Delivery(
                source=hook.name, id=row["event_id"], at=row["received_at"], document=document
            )
            done = _Done()
            await self._carry_out(connection, hook, delivery, shown, done)
        await self._told(done, hook.name)
        return Received(id=delivery, is_new=False, runs=tuple(done.runs), refused=done.refused)

    async def _carry_out(
        self, connection: Connection, hook: Hook, delivery: UUID, shown: Delivery, done: _Done
    ) -> None:
        try:
            reactions = hook.reactions(shown)
        except NewelError as refusal:
            done.refused, reactions = str(refusal), ()
        except Exception as bug:  # noqa: BLE001 - the company's function: kept with the delivery
            done.refused, reactions = f"The hook raised {type(bug).__name__}.", ()
        for place, reaction in enumerate(reactions):
            named = shown.id if len(reactions) == 1 else f"{shown.id}/{place}"
            try:
                async with connection.transaction():  # what a refused start wrote is undone
                    await self._react(connection, hook, named, reaction, done)
            except NewelError as refusal:
                done.refused = done.refused or str(refusal)
        if done.refused is not None:
            fact = facts.EventRefused(source=hook.name, cause="not-carried-out", n=1, window_s=0)
            done.changes.append(await self._aside(connection, hook.name, fact))
        await webhooks.settle_received(
            connection,
            delivery,
            runs=done.runs,
            messages=len(done.messages),
            refused=done.refused,
        )

    async def _react(
        self, connection: Connection, hook: Hook, named: str, reaction: Reaction, done: _Done
    ) -> None:
        if isinstance(reaction, Sending):
            message = _message(hook, named, reaction)
            if message.is_buffered:
                await self._messages.keep(connection, message)
            done.messages.append(message)
            return
        wanted = self._wanted(hook, named, reaction)
        known = await registry.claim_request(
            connection,
            scope=f"webhook/{hook.name}",
            key=named,
            digest=hashlib.sha256(wanted.process.name.encode()).digest(),
            run=wanted.run,
        )
        if known is not None:  # done when the delivery was looked at before
            done.runs.append(known["run_id"])
            return
        change, _ = await self._begin(connection, wanted)
        done.changes.append(change)
        done.runs.append(wanted.run)

    def _wanted(self, hook: Hook, named: str, request: Request[Any]) -> Wanted:
        process = request.process
        if self._processes.get(process.name) is not process:
            raise DefinitionError(
                f"The hook `{hook.name}` starts `{process.name}`, which this engine does not run.",
                fix=f"`Engine(…, processes=[{process.name}, …])`.",
                code="F711",
            )
        return Wanted(
            run=self._ids.run_id(),
            process=process,
            arguments=request.arguments,
            actor=_actor(hook.name),
            source="webhook",
            source_ref=f"{hook.name}/{named}",
            idempotency_key=named,
        )

    async def _told(self, done: _Done, source: str) -> None:
        """After the commit: log what was written, and hand messages to whoever waits for them."""
        for change in done.changes:
            self._tell(change)
        for message in done.messages:
            if message.is_buffered:
                await self._messages.deliver(message.name, message.match, _actor(source))
            else:
                await self._messages.send(message, _actor(source))

    # --- refusals ---------------------------------------------------------------------------

    async def _refuse(self, source: str, cause: Literal["signature", "changed"]) -> None:
        """Tell of a delivery that was not accepted, or count it if that was told just now."""
        async with self._database.transaction() as connection:
            now = await registry.now(connection)
            change = await self._counted(connection, source, cause, now, more=1)
        if change is not None:
            self._tell(change)

    async def _counted(
        self, connection: Connection, source: str, cause: str, now: datetime, *, more: int
    ) -> Change | None:
        counter = await webhooks.refused(connection, source, cause, now)
        n, window = 1, timedelta(0)
        if counter is not None:
            n, window = counter["untold"] + more, now - counter["told_at"]
            if n == 0:
                return None
            if window < _TOLD_EVERY:
                await webhooks.count_refusal(
                    connection, source, cause, told_at=counter["told_at"], untold=n
                )
                return None
            await webhooks.count_refusal(connection, source, cause, told_at=now, untold=0)
        fact = facts.EventRefused(
            source=source, cause=cause, n=n, window_s=int(window.total_seconds())
        )
        return await self._aside(connection, source, fact)

    async def _aside(self, connection: Connection, source: str, fact: Event) -> Change:
        at = await registry.now(connection)
        return await write_aside(
            connection,
            [Beside(f"system/{source}", fact, at, _actor(source), source)],
            id_=self._ids.new(),
            new_event_id=self._new_event_id,
        )

    # --- from time to time ------------------------------------------------------------------

    async def watch(self, worker: Any) -> None:  # Any: whoever it works beside
        """Tell of refusals that were only counted, and empty bodies; without hooks, nothing."""
        del worker
        if self.declared:
            await now_and_then(self.look_after, _LOOK_S)

    async def look_after(self) -> None:
        """Do once what `watch` does."""
        now = await registry.now(self._database)
        await webhooks.empty_received(self._database, now - REMEMBERED_FOR)
        for row in await webhooks.untold_refusals(self._database, now - _TOLD_EVERY):
            async with self._database.transaction() as connection:
                change = await self._counted(connection, row["source"], row["cause"], now, more=0)
            if change is not None:
                self._tell(change)

    async def listed(
        self, *, source: str | None = None, only_refused: bool = False, how_many: int = 50
    ) -> list[Row]:
        """Deliveries as they came, the latest first; what they held is not shown."""
        return await webhooks.received(
            self._database, source=source, only_refused=only_refused, how_many=how_many
        )

    async def heard(self) -> list[Row]:
        """When something came last from each hook, and how much of it was not all done."""
        return await webhooks.heard(self._database, list(self.declared))


def _message(hook: Hook, named: str, sending: Sending[Any]) -> Message:
    text, _ = sending.event.codec.round_trip(sending.payload)
    return Message(
        name=sending.event.name,
        payload=text,
        source=f"webhook/{hook.name}",
        event_id=named,
        match=sending.match,
        is_buffered=sending.event.is_buffered,
    )


def _actor(source: str) -> Actor:
    return Actor(type="service", id=f"svc_{source}", via=f"webhook/{source}")
