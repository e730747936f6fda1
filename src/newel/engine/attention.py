"""What somebody has to look at outside of any run: one task for each cause, while it lasts.

Whoever watches something (endpoints, sources of deliveries) says from time to time what is wrong
now. For each cause that is new a run of `newel.attention` asks its owner; one that is not wrong
any more is told so, and its task is withdrawn. Nothing is kept besides: the run's id follows from
the cause, and the runs that still ask are found by what they wait for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from newel.audit.leaf import Actor
from newel.domain.people import Team
from newel.engine.builtin import BuiltIn, dated
from newel.engine.messages import Messages, over
from newel.flow.forms import form
from newel.flow.process import Process, process
from newel.flow.races import first_of
from newel.flow.waits import LONGEST_TITLE, Event
from newel.store import open_acts

__all__ = ["Attention", "Concern"]

NAME: Final = "newel.attention"
_OVER: Final = Event("attention-over", str, buffered=False)
_SYSTEM: Final = Actor(type="system", id="newel", via="attention")


@dataclass(frozen=True, kw_only=True)
class Concern:
    """One cause. what: its kind and its name (`endpoint/siem`); since: from when on it lasts.

    title, instructions: of the task, without names of people. owner: the team that is asked.
    """

    what: str
    since: datetime
    owner: str
    title: str
    instructions: str

    @property
    def name(self) -> str:
        """By which its end is told."""
        return f"{self.what}@{self.since.isoformat()}"

    @property
    def run(self) -> UUID:
        """The run in which somebody is asked: the same for the same cause."""
        return dated(self.since, self.name)


class Attention:
    """Asks people to look at causes, once each, and takes it back when a cause is gone."""

    def __init__(self, builtin: BuiltIn, messages: Messages) -> None:
        """Take what starts runs, and what tells them of the end."""
        self.process = _asking()
        self._builtin = builtin
        self._messages = messages
        self._begun: set[UUID] = set()

    async def settle(self, kind: str, concerns: Sequence[Concern]) -> None:
        """Let people be asked about exactly these causes of a kind."""
        for each in concerns:
            if each.run not in self._begun:
                await self._builtin.start(self.process, {"concern": each}, run=each.run)
                self._begun.add(each.run)
        lasting = {each.name for each in concerns}
        for name in await open_acts.awaited(self._messages.database, _OVER.name):
            if name.startswith(f"{kind}/") and name not in lasting:
                await self._over(name)

    async def _over(self, name: str) -> None:
        message = over(_OVER, name, event_id=f"attention/{name}")
        await self._messages.send(message, _SYSTEM)


def _asking() -> Process[[Concern], str]:
    async def asked(concern: Concern) -> str:
        await form(
            "look-at-it",
            by=Team(concern.owner),
            title=concern.title[:LONGEST_TITLE],
            instructions=concern.instructions,
            evidence="note",
        )
        return "by hand"

    async def ended(concern: Concern) -> str:
        return await _OVER.wait(match=concern.name)

    @process(name=NAME, title="Something to look at", owner="it", subject=None)
    async def attention(concern: Concern) -> str:
        """Ask the owner of something to look at it, until it is well again or somebody did."""
        won = await first_of("looked-at", done=asked(concern), over=ended(concern))
        return won.value

    return attention
