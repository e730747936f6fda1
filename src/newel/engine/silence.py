"""Sources that should have told something by now: a feed that is broken makes no noise.

A source of deliveries may say how long it is never silent. When nothing came for that long, by
delivery or by asking, its owner gets a task; the next word of the source withdraws it. Nothing is
ever switched off. Source: product document, §2; connectors document, §17.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from newel.engine.attention import Attention, Concern
from newel.engine.enduring import cared
from newel.flow.hooks import Hook
from newel.store import registry, webhooks
from newel.store.database import LOST, Database

__all__ = ["Silence"]

_KIND: Final = "hook"
_LOOK_S: Final = 60.0
_TWO_DAYS: Final = 48


class Silence:
    """Watches the sources that say how long they are never silent."""

    def __init__(self, database: Database, hooks: Iterable[Hook], attention: Attention) -> None:
        """Take the sources that the code declares."""
        self._database = database
        self._watched = [each for each in hooks if each.silent_after is not None]
        self._attention = attention

    async def watch(self, worker: Any) -> None:  # Any: whoever it works beside
        """Look from time to time, until cancelled; without such sources there is nothing to do."""
        del worker
        while self._watched:
            await cared("look for silent sources", self._looked())
            await asyncio.sleep(_LOOK_S)

    async def _looked(self) -> None:
        with contextlib.suppress(*LOST):
            await self.look()

    async def look(self) -> None:
        """Ask about the sources that are silent, and no more about those that are not.

        What was never heard of is silent since the first look.
        """
        now = await registry.now(self._database)
        concerns: list[Concern] = []
        for hook in self._watched:
            since = await webhooks.last_heard(self._database, hook.name, hook.heard_in)
            assert hook.silent_after is not None, "others are not watched"
            if now - since > hook.silent_after:
                concerns.append(_concern(hook, since))
        await self._attention.settle(_KIND, concerns)


def _concern(hook: Hook, since: datetime) -> Concern:
    assert hook.silent_after is not None, "others are not watched"
    since_when = f"{since:%d %b %Y, %H:%M} UTC"
    lines = [
        f"Nothing has come from {hook.name} since {since_when}.",
        f"It is declared never to be silent for {_told(hook.silent_after)}.",
        f"1. `newel webhooks received --hook {hook.name}` shows what came last.",
        f"2. See in the other system whether it still delivers to /hooks/{hook.name}.",
        "3. Say here what it was. When something comes, this is withdrawn by itself.",
    ]
    return Concern(
        what=f"{_KIND}/{hook.name}",
        since=since,
        owner=hook.owner,
        title=f"{hook.name} is silent",
        instructions="\n".join(lines),
    )


def _told(span: timedelta) -> str:
    hours = int(span.total_seconds() // 3600)
    return f"{hours // 24} days" if hours >= _TWO_DAYS else f"{hours} hours"
