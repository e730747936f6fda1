"""Four eyes on acts that are about no run: what one person has ordered, another one confirms.

The order is an event with its reason, and waits for 24 hours. Who confirms it says nothing but
that: the act is carried out in the transaction of the confirmation, in the name of the first, and
the log has both. Acts on runs are confirmed by tasks of the run (`commands.proposing`).
Source: our own security document §6, F7 and F8.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, Event
from newel.base.errors import NotAllowed, NotWaiting
from newel.base.ids import reference
from newel.domain.change import Beside, Change
from newel.engine.operating import (
    SecondPerson,
    check_reason,
    named_person,
    said_reason,
    write_aside,
)
from newel.engine.vault import Vault
from newel.store import confirmations, registry
from newel.store.database import Connection

__all__ = ["Act", "FourEyes", "Ordered", "Passed"]

LASTS: Final = timedelta(hours=24)

Act = Literal["release", "prune", "rotate-key", "new-epoch", "adopt-head"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """An act that waits until somebody else confirms it; change: what is to be told of it."""

    act: Act
    expires_at: datetime
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """An act that may be carried out: by whom, why, and with whom; reason: empty if it was said.

    told: what is to be told of the confirmation.
    """

    by: Actor
    reason: str
    second: str | None = None
    told: Change | None = None


class FourEyes:
    """The rule of one deployment, and the orders under it."""

    def __init__(self, vault: Vault, rule: SecondPerson) -> None:
        """Take the keys that seal reasons, and whether two are asked for."""
        self._vault = vault
        self._is_strict = rule == "strict"
        self._ids = vault.ids()

    async def ask(
        self,
        connection: Connection,
        act: Act,
        about: str,
        *,
        actor: Actor,
        reason: str,
        confirms: bool,
        subject: UUID | None = None,
    ) -> Passed | Ordered:
        """Let an act pass, or keep it as an order, in the transaction of the act.

        about: what exactly, so that nothing else is confirmed. confirms: whether `actor` is the
        second person. subject: who may neither order nor confirm. Raises ReasonMissing, NotAllowed
        (nobody is named, it is the subject, or one person twice), NotWaiting (ordered already, or
        nothing was ordered).
        """
        if confirms:
            return await self._confirmed(connection, act, about, actor, subject)
        check_reason(act, reason)
        if not self._is_strict:
            return Passed(by=actor, reason=reason)
        orderer = named_person(actor, act, other_than=subject)
        event_id = self._ids.event_id()
        expires_at = await confirmations.ordered(
            connection,
            act,
            about,
            by=actor.kept,
            orderer=orderer,
            event_id=UUID(event_id),
            lasts=LASTS,
        )
        if expires_at is None:
            raise NotWaiting(verb=act, what=about, state="waiting for a second person already")
        fact = facts.AdminOrdered(verb=act, about=about, expires_at=expires_at)
        said = await said_reason(connection, self._vault, event_id, actor, code=act, text=reason)
        change = await self._tell(connection, fact, actor, event_id, said)
        return Ordered(act=act, expires_at=expires_at, change=change)

    async def _confirmed(
        self, connection: Connection, act: Act, about: str, actor: Actor, subject: UUID | None
    ) -> Passed:
        second = named_person(actor, act, other_than=subject)
        order = await confirmations.pending(connection, act, about)
        if order is None:
            raise NotWaiting(verb="confirm", what=f"{act} of {about}", state="not ordered")
        if order["orderer"] == second:
            raise NotAllowed(actor=reference("per", second), verb=act, needed="a second person")
        await confirmations.carried_out(connection, order["event_id"])
        fact = facts.AdminConfirmed(of=str(order["event_id"]), verb=act)
        told = await self._tell(connection, fact, actor, self._ids.event_id(), None)
        named = reference("per", second)
        return Passed(by=Actor(**order["ordered_by"]), reason="", second=named, told=told)

    async def _tell(
        self,
        connection: Connection,
        fact: Event,
        actor: Actor,
        event_id: str,
        said: dict[str, Any] | None,  # Any: JSON
    ) -> Change:
        at = await registry.now(connection)
        told = Beside("admin", fact, at, actor, None, None, event_id, reason=said)
        return await write_aside(
            connection, [told], id_=self._ids.new(), new_event_id=self._ids.event_id
        )
