"""Runs of newel's own processes: started under a name that follows from their cause, so once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.ids import uuid7
from newel.engine.operating import Operating
from newel.engine.starting import Start, born
from newel.flow.process import Process
from newel.store import registry
from newel.store.changes import apply

PREFIX: Final = "newel."
PROBE: Final = "newel.probe"
_RANDOM_BITS: Final = 62


class BuiltIn:
    """Starts runs of newel's own processes."""

    def __init__(self, operating: Operating, versions: Mapping[str, int]) -> None:
        """Take the versions under which the processes are registered, by name."""
        self._operating = operating
        self._versions = versions
        self._ids = operating.vault.ids()

    async def start(
        self, process: Process[..., Any], arguments: Mapping[str, object], *, run: UUID
    ) -> None:
        """Start a run, unless it was started before."""
        operating = self._operating
        async with operating.database.transaction() as connection:
            change, _, _, _ = born(
                Start(
                    run=run,
                    process=process,
                    version=self._versions[process.name],
                    arguments=arguments,
                    subject=None,
                    actor=Actor(type="system", id="newel"),
                    source="run",
                    at=await registry.now(connection),
                    sealer=operating.vault.sealer(run, None, None, None),
                ),
                self._ids.event_id,
            )
            refused = await apply(connection, [change])
        if not refused:
            operating.tell(change)


def dated(moment: datetime, what: str) -> UUID:
    """A time-ordered id that follows from a moment (aware) and a name."""
    return uuid7(int(moment.timestamp() * 1_000), hashlib.sha256(what.encode()).digest())


def derived(cause: UUID, what: str) -> UUID:
    """A time-ordered id that follows from another and a name."""
    digest = hashlib.sha256(f"{cause}/{what}".encode()).digest()
    chance = int.from_bytes(digest[:8]) & ((1 << _RANDOM_BITS) - 1)
    ordered = cause.int >> 64 << 64
    return UUID(int=ordered | 0b10 << _RANDOM_BITS | chance)
