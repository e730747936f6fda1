"""Copies of the newest checkpoint go to places outside, every so often while the log grows.

A place that does not answer holds up neither signing nor the other places: it is tried again. When
it has failed three times in a row the log says so itself, and again when it has recovered. Several
processes may anchor the same log; a place gets the same checkpoint twice then, and keeps it once.
Source: our own audit document §8.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.ids import Ids
from newel.domain.change import Beside
from newel.engine.archive import Archive
from newel.engine.copies import Anchor, Head
from newel.engine.enduring import cared, now_and_then
from newel.engine.operating import write_aside
from newel.engine.sealed_log import SealedLog, sealed_logs
from newel.store import audit_log, registry
from newel.store.database import Database
from newel.store.export import snapshot

__all__ = ["EVERY", "Anchoring"]

EVERY: Final = timedelta(minutes=10)
_LOOK_S: Final = 5.0
_MISSES: Final = 3


class Anchoring:
    """Keeps copies of one log in places outside."""

    def __init__(
        self,
        database: Database,
        anchors: Sequence[Anchor],
        *,
        every: timedelta = EVERY,
        archive: Archive | None = None,
    ) -> None:
        """Prepare; every: how often a place gets a new head, if there is one.

        archive: where entries lie that were pruned, for a place that gets the whole log.
        """
        self._archive = archive
        self._database = database
        self._anchors = anchors
        self._every = every
        self._ids = Ids()
        self._misses: dict[str, int] = {}

    async def watch(self) -> None:
        """Anchor what is due, until cancelled."""
        if self._anchors:
            await now_and_then(lambda: self.anchor(self._every), _LOOK_S)

    async def anchor(self, every: timedelta = timedelta(0)) -> int:
        """Send the newest head to every place that lacks it and got its last so long ago.

        Answers with how many places took it.
        """
        newest = await audit_log.newest(self._database) if self._anchors else None
        if newest is None:
            return 0
        known = await audit_log.anchored(self._database, newest["log_epoch"])
        due = [
            anchor
            for anchor in self._anchors
            for size, ago in [known.get(anchor.name, (0, every))]
            if size < newest["size"] and ago >= every
        ]
        head = Head(
            log_epoch=newest["log_epoch"],
            size=newest["size"],
            note=newest["note"].encode(),
            opened=partial(self._log, newest["size"]),
        )
        return sum([await self._sent(anchor, head) for anchor in due])

    async def _sent(self, anchor: Anchor, head: Head) -> bool:
        is_kept = await cared("anchoring", self._keep(anchor, head))
        misses = self._misses.get(anchor.name, 0)
        if is_kept and misses >= _MISSES:
            await self._tell(facts.LogAnchorRecovered(target=anchor.name))
        self._misses[anchor.name] = 0 if is_kept else misses + 1
        if self._misses[anchor.name] == _MISSES:
            await self._tell(facts.LogAnchorFailing(target=anchor.name, misses=_MISSES))
        return is_kept

    @contextlib.asynccontextmanager
    async def _log(self, size: int) -> AsyncIterator[SealedLog]:
        async with snapshot(self._database) as seen:
            log = (await sealed_logs(seen.connection, self._archive))[-1]
            log.size = size  # it may have grown since: what is kept is one head, and its tree
            yield log

    async def _keep(self, anchor: Anchor, head: Head) -> None:
        receipt = await anchor.keep(head)
        await audit_log.keep_receipt(
            self._database, head.log_epoch, size=head.size, target=anchor.name, receipt=receipt
        )

    async def _tell(self, fact: facts.LogAnchorFailing | facts.LogAnchorRecovered) -> None:
        async with self._database.transaction() as connection:
            at = await registry.now(connection)
            told = Beside("log", fact, at, Actor(type="system", id="newel"), None)
            await write_aside(
                connection, [told], id_=self._ids.new(), new_event_id=self._ids.event_id
            )
