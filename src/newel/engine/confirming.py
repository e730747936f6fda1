"""Second persons in the background: whose time is over, and which rule holds."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import NotWaiting
from newel.domain.change import Beside
from newel.engine import commands
from newel.engine.operating import Operating, write_aside
from newel.store import deployment, registry
from newel.store.database import LOST

__all__ = ["Confirming"]

_LOOK_S: Final = 60.0
_ACTOR: Final = Actor(type="system", id="newel", via="confirming")


class Confirming:
    """What a deployment does by itself about orders that wait for a second person."""

    def __init__(self, operating: Operating) -> None:
        """Take what verbs need."""
        self._operating = operating

    async def watch(self, worker: Any) -> None:  # Any: whoever it works beside
        """Withdraw what nobody can confirm any more, from time to time; until cancelled.

        Nothing depends on its being soon: what is over is refused to whoever decides it.
        """
        del worker
        while True:
            with contextlib.suppress(NotWaiting, *LOST):
                await self.expire()
            await asyncio.sleep(_LOOK_S)

    async def expire(self) -> int:
        """Withdraw a few orders that nobody can confirm any more; answers with how many."""
        return await commands.expire(self._operating, _ACTOR)

    async def note(self) -> None:
        """Write down which rule holds from now on, where it is another than before."""
        database, after = self._operating.database, self._operating.second_person
        async with database.transaction() as connection:
            before = await deployment.set_second_person(connection, after)
            if before is None:
                return
            fact = facts.SettingChanged(name="second_person", before=before, after=after)
            at = await registry.now(connection)
            change = await write_aside(
                connection,
                [Beside("admin", fact, at, Actor(type="system", id="newel"), None)],
                id_=self._operating.vault.ids().new(),
                new_event_id=self._operating.new_event_id,
            )
        self._operating.tell(change)
