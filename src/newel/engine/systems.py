"""Systems that an operator pauses: newel leaves them alone until somebody resumes them.

Pausing leaves a system without a place (see `places`): the database refuses every new attempt
from that moment on, on all workers; what is in flight ends and is recorded. Its steps wait as rows,
no round of theirs fails, and due dates count on. Resuming calls them, the oldest first.
Source: product document, §5.3; console document, §3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, Event
from newel.base.errors import NotFound, NotWaiting
from newel.domain.change import Change
from newel.domain.limits import room_of_system
from newel.engine.incidents import Probed
from newel.engine.operating import Operating, check_reason, write_reasoned
from newel.store import rooms
from newel.store.database import Connection

__all__ = ["Standing", "Systems"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A system, the team that answers for it, and since when it is paused, if it is."""

    name: str
    title: str
    owner: str
    paused_at: datetime | None


class Systems:
    """The systems of one deployment, as operators pause and resume them."""

    def __init__(self, operating: Operating, systems: Sequence[Probed]) -> None:
        """Take the systems that there are."""
        self._operating = operating
        self._systems = {each.name: each for each in systems}

    async def listed(self) -> list[Standing]:
        """The systems by name, and which of them are paused."""
        paused = await rooms.paused(self._operating.database)
        return [
            Standing(
                name=name,
                title=each.title,
                owner=each.owner,
                paused_at=paused[name]["paused_at"] if name in paused else None,
            )
            for name, each in sorted(self._systems.items())
        ]

    async def pause(self, name: str, *, actor: Actor, reason: str) -> None:
        """Begin no attempt at a system until `resume`; what is in flight ends and is recorded.

        Raises ReasonMissing, NotFound, NotWaiting (it is paused).
        """
        self._check("pause", name, reason)
        async with self._operating.database.transaction() as connection:
            by = actor.on_behalf_of or actor.id
            if not await rooms.pause(connection, room_of_system(name), by):
                raise NotWaiting(verb="pause", what=f"`{name}`", state="paused already")
            change = await self._write(connection, name, facts.ConnectorPaused(), actor, reason)
        self._operating.tell(change)

    async def resume(self, name: str, *, actor: Actor, reason: str) -> None:
        """Let the steps of a paused system go on, the oldest first.

        Raises ReasonMissing, NotFound, NotWaiting (it is not paused).
        """
        self._check("resume", name, reason)
        async with self._operating.database.transaction() as connection:
            if not await rooms.resume(connection, room_of_system(name)):
                raise NotWaiting(verb="resume", what=f"`{name}`", state="not paused")
            change = await self._write(connection, name, facts.ConnectorResumed(), actor, reason)
            await rooms.call_queued(connection, name)
        self._operating.tell(change)

    def _check(self, verb: Literal["pause", "resume"], name: str, reason: str) -> None:
        check_reason(verb, reason)
        if name not in self._systems:
            raise NotFound(kind="system", reference=name)

    async def _write(
        self, connection: Connection, name: str, fact: Event, actor: Actor, reason: str
    ) -> Change:
        return await write_reasoned(
            connection,
            fact,
            actor,
            vault=self._operating.vault,
            event_id=self._operating.new_event_id(),
            code="system",
            reason=reason,
            stream=f"system/{name}",
        )
