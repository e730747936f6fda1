"""Retention of payloads: what runs took and gave is emptied a while after they have ended.

Leaves stay, and with them who did what, when, by whose decision: a payload's digest is in its
leaf, so what is gone is named, and the run says so itself (`run.payload_expired`). A few runs at a
time, each batch one transaction: the event, the mark on the run, and the emptying, which the
journal's trigger lets pass for marked runs only, and only from something to nothing.
Source: audit document, §14.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.ids import reference
from newel.domain.change import Change, Entries, Head
from newel.engine.operating import Operating
from newel.store import files, journal, registry, runs
from newel.store.changes import apply
from newel.store.database import LOST, Connection, Row

__all__ = ["Retention", "emptied"]

_BATCH: Final = 50
_DIGESTS: Final = 200
"""Digests that one leaf names; of a long run several leaves do."""

_PAUSE_S: Final = 0.1
_LOOK_S: Final = 60.0


class Retention:
    """The payloads of one deployment; keep: how long after a run's end, None for ever."""

    def __init__(self, operating: Operating, keep: timedelta | None) -> None:
        """Prepare; `watch` empties what is due until it is cancelled."""
        self._database = operating.database
        self._keep = keep
        self._new_event_id = operating.new_event_id
        self._tell = operating.tell

    async def watch(self, worker: Any) -> None:  # Any: whoever it works beside
        """Empty what is due, a little at a time; without a limit there is nothing to do."""
        del worker
        while self._keep is not None:
            try:
                emptied = await self.expire()
            except LOST:
                emptied = 0
            await asyncio.sleep(_PAUSE_S if emptied == _BATCH else _LOOK_S)

    async def expire(self) -> int:
        """Empty the payloads of a few runs whose time is over; answers with how many runs."""
        if self._keep is None:
            return 0
        actor = Actor(type="system", id="newel", via="retention")
        async with self._database.transaction() as connection:
            before = await registry.now(connection) - self._keep
            rows = await runs.expiring(connection, before, _BATCH)
            policy = f"payloads:{self._keep.days}d"
            changes = await emptied(
                connection, rows, policy=policy, actor=actor, new_event_id=self._new_event_id
            )
        for change in changes:
            self._tell(change)
        return len(changes)


async def emptied(
    connection: Connection,
    rows: Sequence[Row],
    *,
    policy: str,
    actor: Actor,
    new_event_id: Callable[[], str],
) -> list[Change]:
    """Empty the payloads and files of locked runs; answers with what is to be told of it.

    policy: why, as the leaf says it. Each run says which payloads are gone before they are.
    """
    changes = await _said(connection, rows, policy, actor, new_event_id)
    if changes:
        await apply(connection, changes)
        ids = [change.run for change in changes]
        await runs.mark_expired(connection, ids)
        await journal.empty_payloads(connection, ids)
        await files.empty(connection, ids)
    return changes


async def _said(
    connection: Connection,
    rows: Sequence[Row],
    policy: str,
    actor: Actor,
    new_event_id: Callable[[], str],
) -> list[Change]:
    """Make the Change of each run that says which payloads are gone."""
    at = await registry.now(connection)
    digests = await journal.payload_digests(connection, [row["id"] for row in rows])
    changes: list[Change] = []
    for row in rows:
        named = f"run/{reference('run', row['id'])}"
        head = Head(
            id=row["id"], stream=named, seq=row["seq"], hash=row["head"], last_at=row["last_at"]
        )
        entries = Entries(head, new_event_id)
        gone = digests.get(row["id"], [])
        for place in range(0, max(len(gone), 1), _DIGESTS):
            part = tuple(gone[place : place + _DIGESTS])
            subject = None if row["subject"] is None else reference("per", row["subject"])
            fact = facts.RunPayloadExpired(digests=part, policy=policy)
            entries.add(fact, at=at, actor=actor, subject=subject)
        change = Change(run=row["id"], from_seq=row["seq"], state=row["state"])
        changes.append(change.seal(entries, run_state=None))
    return changes
