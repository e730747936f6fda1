"""The runs that follow from HR's records: started, amended, paused and cancelled by a feed."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.errors import AlreadyStarted, InvalidInput, NotWaiting
from newel.base.ids import parse_reference, reference
from newel.connectors.hr_feed import Asked, Asking
from newel.domain.change import Change
from newel.domain.limits import Priority
from newel.engine import commands
from newel.engine.beginning import Begin
from newel.engine.operating import Operating
from newel.engine.starting import Wanted
from newel.flow.ambient import this_attempt
from newel.store.database import Connection

__all__ = ["Begun", "HrRuns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The run that exists now. change: its start; None if it was there before."""

    run: UUID
    change: Change | None


class HrRuns:
    """What a feed does to runs; all but a start in a transaction of its own.

    Whatever has ended meanwhile is left alone. Raises RequestError for what cannot be.
    """

    def __init__(self, operating: Operating, feed: str, *, begin: Begin) -> None:
        """Take the feed's name; begin: starts a run in the caller's transaction."""
        self._operating = operating
        self._feed = feed
        self._begin = begin
        self._ids = operating.vault.ids()

    def _actor(self, by: str | None = None) -> Actor:
        via = f"webhook/{self._feed}"
        return Actor(type="service", id=f"svc_{self._feed}", via=via, on_behalf_of=by)

    async def start(
        self,
        connection: Connection,
        asking: Asking | None,
        asked: Asked | None,
        *,
        priority: Priority | None = None,
        by: str | None = None,
    ) -> Begun | None:
        """Start what a record asks for; None if it asks for nothing. by: who has confirmed it."""
        request = None if asking is None or asked is None else asking(asked)
        if request is None:
            return None
        wanted = Wanted(
            run=self._ids.run_id(),
            process=request.process,
            arguments=request.arguments,
            actor=self._actor(by),
            source="webhook",
            source_ref=reference("run", this_attempt().run),
            priority=priority,
        )
        try:
            async with connection.transaction():  # what a refused start wrote is undone
                change, _ = await self._begin(connection, wanted)
        except AlreadyStarted as there:  # by a person: it is the run that ought to exist
            return Begun(run=parse_reference(there.run)[1], change=None)
        return Begun(run=wanted.run, change=change)

    async def amend(self, run: UUID | None, asking: Asking | None, asked: Asked | None) -> None:
        """Give a run the record as it is now."""
        request = None if asking is None or asked is None or run is None else asking(asked)
        if request is None or run is None:
            return
        try:
            await commands.amend(
                self._operating,
                run,
                request.document,
                actor=self._actor(),
                reason="HR has changed it",
            )
        except InvalidInput as same:
            if "is what the run has already" not in same.fields.get("", ""):
                raise
        except NotWaiting:
            return  # it has ended meanwhile

    async def cancel(self, run: UUID | None, reason: str, *, by: str | None = None) -> None:
        """Ask for a run's end, with all that undoes it."""
        if run is None:
            return
        try:
            await commands.cancel(self._operating, run, actor=self._actor(by), reason=reason)
        except NotWaiting:
            return  # it has ended meanwhile

    async def pause(self, run: UUID | None, reason: str) -> None:
        """Let a run begin nothing more."""
        if run is None:
            return
        try:
            await commands.pause(self._operating, run, actor=self._actor(), reason=reason)
        except NotWaiting:
            return  # it is paused already, or has ended
