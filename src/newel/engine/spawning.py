"""Child runs begun and ended for their parents, each in one transaction with what tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from uuid import UUID

import asyncpg

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import NotFound, NotWaiting
from newel.base.ids import Ids, reference
from newel.engine.addresses import Addresses
from newel.engine.beginning import begin
from newel.engine.children import Errand
from newel.engine.commands.course import ENDED_WITH_PARENT, cancel, end_overdue
from newel.engine.history import STARTED
from newel.engine.operating import Operating
from newel.engine.starting import ChildOf, Wanted


class Offspring:
    """Carries out the errands of runs; versions: the version number of each process.

    addresses: those that were looked up for a run.
    """

    def __init__(self, operating: Operating, versions: Mapping[str, int], ids: Ids) -> None:
        """Prepare; nothing is read before there is an errand."""
        self._operating = operating
        self._versions = versions
        self._ids = ids
        self.addresses = Addresses()

    async def run(self, parent: UUID, errand: Errand, actor: Actor) -> None:
        """Start a child or ask for its end; done before is done.

        Raises InvalidInput and NotFound for a child that cannot be started.
        """
        if errand.process is not None:
            try:
                await self._start(parent, errand, errand.process.name, actor)
            except (NotWaiting, asyncpg.UniqueViolationError):
                return  # the parent has ended, or somebody has started it meanwhile
        elif errand.address:
            await self.addresses.look_up(self._operating.database, errand.address)
        elif errand.cancel is not None:
            await self._cancel(errand.cancel, actor)
        else:
            with suppress(NotWaiting):  # it has ended
                await end_overdue(self._operating, parent, actor=actor)

    async def _cancel(self, child: UUID, actor: Actor) -> None:
        with suppress(NotWaiting):  # it has ended
            await cancel(self._operating, child, actor=actor, reason=ENDED_WITH_PARENT)

    async def _start(self, parent: UUID, errand: Errand, name: str, actor: Actor) -> None:
        process = self._operating.processes.get(name)
        if process is None:
            raise NotFound(kind="process", reference=name)
        child = self._ids.run_id()
        async with self._operating.on(parent, actor) as made:
            act = made.acts.get(errand.key)
            if act is None or act.kind != "child" or act.match is not None:
                return
            if made.row["cancelling"] and not errand.is_last:
                return  # the run ends there: it withdraws the act
            wanted = Wanted(
                run=child,
                process=process,
                arguments=dict(errand.arguments),
                actor=actor,
                source="run",
                approved=errand.approved,
                child_of=ChildOf(run=parent, key=errand.key, with_parent=errand.with_parent),
            )
            change, _ = await begin(
                made.connection,
                self._operating.vault,
                self._versions,
                self._ids.event_id,
                wanted,
            )
            born = reference("run", child)
            verb = STARTED if errand.is_awaited else "spawned"
            made.record(facts.ActRecorded(kind="spawn", verb=verb, run=born), key=errand.key)
            if errand.is_awaited:
                act.match, act.next_at = born, None
                made.change.also("open_act", act.row(parent))
            else:
                made.change.closed.append(errand.key)
        self._operating.tell(change)
