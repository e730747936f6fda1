"""What checks have found of plans and tokens, shared by all workers and kept over restarts.

A check is made where somebody asks: the nightly question, an operator, `newel doctor` after it
reads what is kept here. Each worker brings its connectors and the rows together once a minute, in
both directions; nobody asks a system for it, and no step waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from newel.connectors.base import Connector
from newel.connectors.capability import Proof
from newel.engine.enduring import Patience, now_and_then
from newel.store import capabilities as rows
from newel.store.database import Database

__all__ = ["Knowing"]

_LOOK_S: Final = 60.0


class Knowing:
    """Keeps what the connectors of a deployment know of their credentials."""

    def __init__(self, database: Database, connectors: Sequence[object]) -> None:
        """Take the connectors; those that declare no capability are left alone."""
        self._database = database
        self._connectors = [
            each
            for each in connectors
            if isinstance(each, Connector) and each.declared_capabilities()
        ]

    async def watch(self, worker: Any) -> None:  # Any: whoever it works beside
        """Bring connectors and rows together from time to time; until cancelled."""
        del worker
        await now_and_then(self.share, _LOOK_S, Patience("look at capabilities"))

    async def share(self) -> None:
        """Take in what others have found, and keep what is newer here; one statement if nothing."""
        if not self._connectors:
            return
        known: dict[str, dict[str, Proof]] = {each.credential: {} for each in self._connectors}
        for row in await rows.of_credentials(self._database, list(known)):
            known[row["credential"]][row["name"]] = Proof(
                name=row["name"], checked_at=row["checked_at"], proved_at=row["proved_at"]
            )
        for connector in self._connectors:
            before = known[connector.credential]
            connector.recall(before.values())
            await self._keep(connector, before)

    async def _keep(self, connector: Connector, before: dict[str, Proof]) -> None:
        declared = [name for name, lack in connector.declared_capabilities().items() if not lack]
        if before.keys() - set(declared):
            await rows.forget(self._database, connector.credential, declared)
        found = [
            (each.name, each.checked_at, each.proved_at)
            for each in connector.proofs
            if each.name in declared and each != before.get(each.name)
        ]
        if found:
            await rows.keep(self._database, connector.credential, connector.name, found)
