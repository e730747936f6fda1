"""Endpoints at work: other systems are told of events until they have accepted them.

    event committed -> with it, a delivery for each endpoint that wants its type
    due             -> claimed by one worker, as an attempt that counts, in a transaction
                    -> sent, signed, in none
                    -> accepted, due later, given up, or the endpoint is gone: in a transaction

A worker that dies between sending and recording leaves a claim that runs out, and another sends
again under the same id: at least once, never in a promised order, and the receiver knows what it
has by the id. What is sent is made of the leaf anew each time, so nothing is kept twice.
Whoever endures no attempt for three days, or says that it is gone, becomes a task for its owner.
Source: connectors document, §20; security document, §9.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.cloudevents import cloud_event, ping
from newel.audit.leaf import Actor
from newel.audit.leaf import Event as Fact
from newel.base.errors import NotFound, NotWaiting
from newel.connectors.outgoing import Delivered, Sender
from newel.connectors.webhooks import next_attempt
from newel.domain.change import Beside, Change
from newel.engine.attention import Attention, Concern
from newel.engine.enduring import cared
from newel.engine.named import by_name
from newel.engine.operating import Operating, check_reason, said_reason, write_aside
from newel.flow.endpoints import Endpoint
from newel.store import audit_log, registry
from newel.store import endpoints as rows
from newel.store.database import LOST, Connection, Row

__all__ = ["Endpoints"]

Cause: TypeAlias = Literal["gone", "operator"]
"""Why an endpoint is disabled: it said that it is gone, or somebody wants it so."""

_KIND: Final = "endpoint"
_SYSTEM: Final = Actor(type="system", id="newel", via="webhooks")
_ENDURED: Final = timedelta(days=3)
_KEPT: Final = timedelta(days=7)
_KEPT_DEAD: Final = timedelta(days=30)
_AT_ONCE: Final = 8
_CLAIMED_S: Final = 60.0
_IDLE_S: Final = 1.0
_LOOK_S: Final = 60.0
_AFTER_TROUBLE_S: Final = 30.0
_BATCH: Final = 1_000


class Endpoints:
    """The endpoints of one deployment, as its code declares them."""

    def __init__(
        self,
        operating: Operating,
        endpoints: Sequence[Endpoint],
        attention: Attention,
        *,
        sender: Sender | None = None,
    ) -> None:
        """Take what the code declares; raises DefinitionError for a name that is used twice.

        From now on whatever is written through the database is told to them.
        """
        self.declared: Mapping[str, Endpoint] = by_name(
            "endpoints", endpoints, fix="another name for one of them.", code="F712"
        )
        self._database = operating.database
        self._operating = operating
        self._attention = attention
        self._sender = sender or Sender()
        self._new_id = operating.vault.ids().new
        operating.database.listeners.clear()
        operating.database.listeners.update(_listeners(endpoints))

    async def register(self) -> None:
        """Write down where data go, as the code declares it; what it declares no more is over."""
        async with self._database.transaction() as connection:
            told: list[Fact] = []
            for name, endpoint in sorted(self.declared.items()):
                told += await self._declare(connection, name, endpoint)
            for row in await rows.retire(connection, self.declared):
                fact = facts.AdminWebhookRetired(endpoint=row["name"], url_host=row["url_host"])
                told.append(fact)
            change = await self._aside(connection, told, Actor(type="system", id="newel"))
        self._operating.tell(change)

    async def _declare(self, connection: Connection, name: str, endpoint: Endpoint) -> list[Fact]:
        known = await rows.known(connection, name)
        now = (endpoint.host, list(endpoint.events), None)
        if known is not None and now == (known["url_host"], known["events"], known["retired_at"]):
            return []
        await rows.declare(connection, name, url_host=endpoint.host, events=endpoint.events)
        return [
            facts.AdminWebhookConfigured(
                endpoint=name, url_host=endpoint.host, events=endpoint.events
            )
        ]

    # --- sending ----------------------------------------------------------------------------

    async def watch(self, worker: Any) -> None:  # Any: whoever it works beside
        """Send what is due, until cancelled; without endpoints there is nothing to do."""
        del worker
        if self.declared:
            watches = [self._serve(each) for each in self.declared.values()]
            await asyncio.gather(*watches, self._look())

    async def _serve(self, endpoint: Endpoint) -> None:
        """Send to one endpoint; one that accepts nothing is tried with one message a second.

        Whatever goes wrong with it is told, and holds up neither work nor other endpoints.
        """
        sent: list[bool] = []
        while True:
            width = _AT_ONCE if all(sent) else 1
            sent = []
            is_well = await cared(
                f"endpoint {endpoint.name}", self._turn(endpoint.name, width, sent)
            )
            if not any(sent):
                await asyncio.sleep(_IDLE_S if is_well else _AFTER_TROUBLE_S)

    async def _turn(self, name: str, width: int, sent: list[bool]) -> None:
        with contextlib.suppress(*LOST):
            sent += await self.send_due(name, at_once=width)

    async def send_due(self, name: str, *, at_once: int = _AT_ONCE) -> list[bool]:
        """Make one attempt for some of what is due; answers with which were accepted."""
        claimed = await rows.claim(self._database, name, how_many=at_once, seconds=_CLAIMED_S)
        endpoint = self.declared[name]
        return await asyncio.gather(*(self._attempt(endpoint, row) for row in claimed))

    async def _attempt(self, endpoint: Endpoint, row: Row) -> bool:
        if row["entry"] is None:
            await self._failed(endpoint, row, "its event is archived", None)
            return False
        body = cloud_event(row["entry"], deployment=row["deployment"])
        began = monotonic()
        delivered = await self._sender.send(
            endpoint, body, identity=str(row["event_id"]), now=row["as_of"]
        )
        ended = row["as_of"] + timedelta(seconds=monotonic() - began)
        await self._record(endpoint, row, delivered, ended)
        return delivered.verdict == "accepted"

    async def _record(
        self, endpoint: Endpoint, row: Row, delivered: Delivered, ended: datetime
    ) -> None:
        """Write down how an attempt has ended, and what that says of its endpoint."""
        name, why = endpoint.name, delivered.why
        if delivered.verdict == "accepted":
            await rows.accepted(self._database, name, row["stream_id"], row["seq"], why)
            await rows.well(self._database, name)
            return
        if delivered.verdict == "gone":
            await self._failed(endpoint, row, why, ended)  # it waits for whoever enables it again
            await self._disable(name, "gone", actor=_SYSTEM)
            return
        due = next_attempt(row["attempts"], ended, retry_at=delivered.retry_at)
        await self._failed(endpoint, row, why, due)
        await rows.unwell(self._database, name)

    async def _failed(
        self, endpoint: Endpoint, row: Row, why: str, next_at: datetime | None
    ) -> None:
        await rows.failed(
            self._database,
            endpoint.name,
            row["stream_id"],
            row["seq"],
            attempts=row["attempts"],
            next_at=next_at,
            answer=why,
        )

    async def ping(self, name: str) -> Delivered:
        """Send a message that says nothing, once, to see what is answered. Raises NotFound."""
        endpoint = self.declared.get(name)
        if endpoint is None:
            raise NotFound(kind="endpoint", reference=name)
        async with self._database.transaction() as connection:
            at, deployment = await registry.now(connection), await audit_log.deployment(connection)
        identity = self._operating.new_event_id()
        body = ping(identity, at, deployment=deployment)
        return await self._sender.send(endpoint, body, identity=identity, now=at)

    # --- from time to time ------------------------------------------------------------------

    async def _look(self) -> None:
        while True:
            await cared("look after endpoints", self._looked())
            await asyncio.sleep(_LOOK_S)

    async def _looked(self) -> None:
        with contextlib.suppress(*LOST):
            await self.look_after()

    async def look_after(self) -> None:
        """Ask people to look at endpoints that accept nothing, and forget old deliveries."""
        now = await registry.now(self._database)
        troubled = await rows.in_trouble(self._database, self.declared, now - _ENDURED)
        await self._attention.settle(_KIND, [self._concern(row) for row in troubled])
        while (
            await rows.forget(
                self._database, before=now - _KEPT, dead_before=now - _KEPT_DEAD, how_many=_BATCH
            )
            >= _BATCH
        ):
            pass

    def _concern(self, row: Row) -> Concern:
        name, host, gone = row["name"], row["url_host"], row["disabled_for"] == "gone"
        return Concern(
            what=f"{_KIND}/{name}",
            since=row["disabled_at"] if gone else row["failing_since"],
            owner=self.declared[name].owner,
            title=f"look at the webhook {name}",
            instructions=_instructions(name, host, gone=gone),
        )

    # --- for operators ----------------------------------------------------------------------

    async def enable(self, name: str, *, actor: Actor) -> None:
        """Send again, at once what has waited. Raises NotFound, NotWaiting (it is not disabled)."""
        async with self._database.transaction() as connection:
            row = await self._known(connection, name)
            if row["disabled_at"] is None:
                raise NotWaiting(verb="enable", what=f"`{name}`", state="not disabled")
            await rows.enable(connection, name)
            fact = facts.AdminWebhookEnabled(endpoint=name)
            change = await self._aside(connection, [fact], actor)
        self._operating.tell(change)

    async def disable(self, name: str, *, actor: Actor, reason: str) -> None:
        """Send nothing until it is enabled again; what happens meanwhile waits.

        Raises ReasonMissing, NotFound, NotWaiting (it is disabled).
        """
        check_reason("disable", reason)
        async with self._database.transaction() as connection:
            await self._known(connection, name)
        if not await self._disable(name, "operator", actor=actor, reason=reason):
            raise NotWaiting(verb="disable", what=f"`{name}`", state="disabled")

    async def _disable(self, name: str, cause: Cause, *, actor: Actor, reason: str = "") -> bool:
        async with self._database.transaction() as connection:
            if not await rows.disable(connection, name, cause):
                return False
            fact = facts.AdminWebhookDisabled(endpoint=name, cause=cause)
            change = await self._aside(connection, [fact], actor, reason=reason)
        self._operating.tell(change)
        return True

    async def redeliver(
        self, name: str, events: Sequence[UUID] | None = None, *, actor: Actor
    ) -> int:
        """Send events again, or all that were given up; answers with how many.

        Raises NotFound for an endpoint that is none, or an event that it was not to be told of.
        """
        async with self._database.transaction() as connection:
            await self._known(connection, name)
            again = await rows.again(connection, name, events)
            missing = set(events or ()) - set(again)
            if missing:
                raise NotFound(kind="delivery", reference=str(min(missing)))
            told = [facts.AdminWebhookRedelivered(endpoint=name, n=len(again))] if again else []
            change = await self._aside(connection, told, actor)
        self._operating.tell(change)
        return len(again)

    async def listed(self) -> list[Row]:
        """The endpoints by name, and how they fare."""
        return await rows.listed(self._database)

    async def deliveries(
        self,
        name: str,
        *,
        state: rows.State | None = None,
        after: tuple[datetime, UUID] | None = None,
        how_many: int = 50,
    ) -> list[Row]:
        """Deliveries of an endpoint, the latest event first. Raises NotFound.

        after: moment and event of one of them, for those that are older.
        """
        async with self._database.transaction() as connection:
            await self._known(connection, name)
        return await rows.deliveries(
            self._database, name, state=state, after=after, how_many=how_many
        )

    async def _known(self, connection: Connection, name: str) -> Row:
        row = await rows.known(connection, name)
        if row is None or (row["retired_at"] is not None and name not in self.declared):
            raise NotFound(kind="endpoint", reference=name)
        return row

    async def _aside(
        self, connection: Connection, told: Sequence[Fact], actor: Actor, *, reason: str = ""
    ) -> Change:
        """Write facts of the deployment as a whole; reason: of the first of them."""
        at = await registry.now(connection)
        new_event_id = self._operating.new_event_id
        beside: list[Beside] = []
        for fact in told:
            event_id, said = new_event_id(), None
            if reason:
                said = await said_reason(
                    connection,
                    self._operating.vault,
                    event_id,
                    actor,
                    code="webhook",
                    text=reason,
                )
            beside.append(Beside("admin", fact, at, actor, None, None, event_id, reason=said))
        return await write_aside(connection, beside, id_=self._new_id(), new_event_id=new_event_id)


def _listeners(endpoints: Sequence[Endpoint]) -> dict[str, tuple[str, ...]]:
    """Say who is told of which type of event."""
    types = sorted({name for each in endpoints for name in each.types})
    return {name: tuple(each.name for each in endpoints if name in each.types) for name in types}


def _instructions(name: str, host: str, *, gone: bool) -> str:
    if gone:
        what = "has answered that it is gone (410), so nothing is sent to it any more"
        then = f"3. `newel webhooks enable {name}`: what it has missed is sent."
    else:
        what = "has accepted nothing for three days"
        then = f"3. `newel webhooks redeliver {name}` sends what was given up."
    return "\n".join(
        [
            f"The endpoint {name} at {host} {what}.",
            f"1. `newel webhooks deliveries {name}` says what it answers.",
            "2. Mend the system or its address, or take the endpoint out of the code.",
            then,
        ]
    )
