"""`newel.probe`: the built-in process that asks every system at night, before a run has to.

Each credential is asked read-only questions: its `check()`, and the first entries of the listing
of accounts, where the connector has one. An answer that has changed, a permission that is gone
and a credential that is refused fail the question as they would fail a step of a run: the same
incident, the same ticket, only hours earlier. The question waits in that incident, as any step
would, until it gets its answer; while it is open, the system is not asked by later nights. Nor is
one that an operator has paused: its question would hold up what is told of all the others.

    due        -> the systems without an incident of their own that nobody has paused
    X.examine  -> one question for each, beside each other; nothing but reads leaves
    renewal    -> one task for each credential that ends within thirty days, once
    shortage   -> one task for each system whose seats run out, once a month (`shortage`)
Source: connectors document, §8.3, §10 detector (c); product document, R40.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from newel.connectors.base import Connector, Examined
from newel.domain.people import Team
from newel.engine.announcing import Announcing
from newel.engine.builtin import PROBE, BuiltIn, dated
from newel.engine.incidents import Probed
from newel.engine.shortage import Short, Shortages
from newel.flow.ambient import now
from newel.flow.forms import form
from newel.flow.parallel import parallel
from newel.flow.process import Process, process
from newel.flow.schedules import Schedule, every
from newel.flow.step import step
from newel.store import incidents as rows
from newel.store import rooms
from newel.store.database import Database

__all__ = ["Probing"]

_RENEWAL: Final = "newel.renewal"
_WARNED_BEFORE: Final = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A credential that ends: the system, and when."""

    system: str
    title: str
    owner: str
    ends: datetime


class Probing:
    """The nightly process, its timetable, and the tasks it leads to."""

    def __init__(
        self,
        database: Database,
        builtin: BuiltIn,
        connectors: Sequence[Probed],
        timetable: str | None,
    ) -> None:
        """Take the systems; timetable: when they are asked (UTC), None for never."""
        self._database = database
        self._builtin = builtin
        asked = {each.name: each for each in connectors if isinstance(each, Connector)}
        self._renewal = _renewal()
        self._shortages = Shortages(builtin)
        self.announcing = Announcing(builtin, connectors)
        self.processes: tuple[Process[..., Any], ...] = (self.announcing.process,)
        self.schedules: tuple[Schedule, ...] = ()
        if timetable is not None and asked:
            night = _night(asked, self._busy, self._paused, self._warn, self._shortages.tell)
            self.processes += (night, self._renewal, self._shortages.process)
            self.schedules = (every(timetable, night.request(), name=PROBE),)

    async def _busy(self, credentials: list[str]) -> set[str]:
        return await rows.busy(self._database, credentials)

    async def _paused(self) -> set[str]:
        return set(await rooms.paused(self._database))

    async def _warn(self, ending: Ending) -> None:
        """Ask once for a new credential: the run's id follows from the system and the end."""
        told = ending.ends - _WARNED_BEFORE
        run = dated(told, f"{_RENEWAL}/{ending.system}/{ending.ends.isoformat()}")
        await self._builtin.start(self._renewal, {"ending": ending}, run=run)


def _night(
    asked: Mapping[str, Connector],
    busy: Callable[[list[str]], Any],  # Any: an awaitable of credentials
    paused: Callable[[], Any],  # Any: an awaitable of rooms
    warn: Callable[[Ending], Any],  # Any: an awaitable of nothing
    tell: Callable[[Short], Any],  # Any: an awaitable of nothing
) -> Process[[], tuple[str, ...]]:
    @step(in_doubt="repeat")
    async def due() -> tuple[str, ...]:
        """Say which systems have no incident of their own and are not paused."""
        taken = await busy([each.credential for each in asked.values()])
        closed = await paused()
        return tuple(
            name
            for name, each in asked.items()
            if each.credential not in taken and name not in closed
        )

    @step(in_doubt="repeat")
    async def renewal(ending: Ending) -> None:
        """Ask for a new credential, unless somebody was asked before."""
        await warn(ending)

    @step(in_doubt="repeat")
    async def shortage(short: Short) -> None:
        """Ask for seats, unless somebody was asked before."""
        await tell(short)

    @process(name=PROBE, title="Nightly question to all systems", owner="it", subject=None)
    async def probe() -> tuple[str, ...]:
        """Ask every system what it would be asked by day; give the systems that answered."""
        names = tuple(name for name in await due() if name in asked)
        found: tuple[Examined, ...] = await parallel(*[asked[name].examine() for name in names])
        soon = now() + _WARNED_BEFORE
        for name, seen in zip(names, found, strict=True):
            if seen.expires_at is not None and seen.expires_at <= soon:
                connector = asked[name]
                ending = Ending(
                    system=name,
                    title=connector.title,
                    owner=connector.owner,
                    ends=seen.expires_at,
                )
                await renewal[name](ending)
            if rooms := tuple(each for each in seen.rooms if each.is_short):
                connector = asked[name]
                await shortage[name](
                    Short(
                        system=name,
                        title=connector.title,
                        owner=connector.owner,
                        seen=now(),
                        rooms=rooms,
                    )
                )
        return names

    return probe


def _renewal() -> Process[[Ending], None]:
    @process(name=_RENEWAL, title="Renew a credential", owner="it", subject=None)
    async def renew(ending: Ending) -> None:
        """Ask whoever answers for the system for a new credential, before the old one ends."""
        await form(
            "new-credential",
            by=Team(ending.owner),
            title=f"renew the credential of {ending.title}"[:60],
            instructions=(
                f"The credential of {ending.title} ends on {ending.ends.date().isoformat()}. Make "
                "a new one and put it where the reference points; newel reads it by itself."
            ),
        )

    return renew
