"""What vendors announce of the operations in use: told once, before the day on which it counts.

Each worker notes what its own calls have seen; the run that tells of it has an id that follows
from what was said, so that it is told once by all workers together.
Source: connectors document, §10 detector (a).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from newel.connectors.announced import Announcement
from newel.connectors.base import Connector
from newel.domain.people import Team
from newel.engine.builtin import BuiltIn, dated
from newel.engine.enduring import now_and_then
from newel.flow.forms import form
from newel.flow.process import Process, process

__all__ = ["Announced", "Announcing"]

_NAME: Final = "newel.announcement"
_LOOK_S: Final = 60.0
_ALWAYS: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Announced:
    """What a system has announced, in a sentence."""

    system: str
    title: str
    said: str


class Announcing:
    """Tells the maintainers what the systems announce."""

    def __init__(self, builtin: BuiltIn, connectors: Sequence[object]) -> None:
        """Take the systems; `watch` looks until it is cancelled."""
        self._builtin = builtin
        self._connectors = [each for each in connectors if isinstance(each, Connector)]
        self._told: set[str] = set()
        self.process: Process[[Announced], None] = _announcement()

    async def watch(self, worker: Any) -> None:  # Any: whoever it works beside
        """Tell once a minute what has been seen."""
        del worker
        await now_and_then(self.look, _LOOK_S)

    async def look(self) -> None:
        """Tell what has been seen and was not told yet."""
        for each in self._connectors:
            for seen in list(each.http.announced.values()):
                # What the vendor says in words may differ from answer to answer.
                what = f"{each.name}/{seen.operation}/{seen.since}/{seen.ends}"
                if what not in self._told:
                    await self._tell(each, seen, what)
                    self._told.add(what)

    async def _tell(self, connector: Connector, seen: Announcement, what: str) -> None:
        moment = seen.ends or seen.since or _ALWAYS
        said = Announced(system=connector.name, title=connector.title, said=str(seen))
        run = dated(max(moment, _ALWAYS), f"{_NAME}/{what}")
        await self._builtin.start(self.process, {"announced": said}, run=run)


def _announcement() -> Process[[Announced], None]:
    @process(name=_NAME, title="A system announces a change", owner="maintainers", subject=None)
    async def announcement(announced: Announced) -> None:
        """Ask whoever keeps the code to look at what a vendor has announced."""
        await form(
            "look-at-announcement",
            by=Team("maintainers"),
            title=f"look at what {announced.title} announces"[:60],
            instructions=(
                f"{announced.title}: {announced.said} Nothing fails yet. Compare the vendor's new "
                "document with `newel contracts check`, and look for a newer newel."
            ),
        )

    return announcement
