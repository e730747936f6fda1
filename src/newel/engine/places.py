"""Places: how many runs of a process, and attempts of a system, are active at once.

Nothing is handed out and so nothing has to be given back. A run of a limited process holds a
place while a worker owns it: places are counted where runs are claimed. An attempt holds one
while its intent belongs to a worker whose lease holds: they are counted where intents are
committed, and a Change that finds none is refused as `full`. Its run is driven again, and the
step waits for its turn as a row, without an intent. Whenever an attempt ends, the oldest who
waits is called; who comes anew waits behind all others.

A system that an operator has paused has no place. A worker learns it from the first step that is
refused, or before it looks at work that people do there. From then on it looks every second and
with every claim until it is resumed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol
from uuid import UUID

from newel.domain.change import Change
from newel.domain.limits import room_of_process, room_of_system
from newel.engine.by_hand import is_by_hand
from newel.engine.pace import monotonic
from newel.engine.runner import Loaded, Runner
from newel.flow.process import Process
from newel.store import rooms, runs
from newel.store.database import LOST, Connection, Database

__all__ = ["Companion", "Places", "registered"]

_FULL_S: Final = 0.25
_LOOK_S: Final = 1.0
_ENDS: Final = frozenset(
    {
        "step.succeeded",
        "step.failed",
        "step.attempt_failed",
        "step.looked",
        "step.parked",
        "step.cancelled",
    }
)


class Woken(Protocol):
    """What is told that a run is due."""

    def poke(self) -> None:
        """Look for due runs now."""
        ...


class Companion(Protocol):
    """What works beside the runs for as long as a worker does."""

    async def watch(self, worker: Any) -> None:  # Any: as much of the worker as it needs
        """Do it until cancelled."""
        ...


async def registered(
    connection: Connection,
    processes: Mapping[str, Process[..., Any]],  # Any: each has its own result
    systems: Mapping[str, int],
    known_systems: Iterable[str],
) -> frozenset[str]:
    """Write down what the code allows; answers with the systems that have a limit.

    Open runs of a process that is limited for the first time are limited, too. A limit that is
    lifted leaves its room without a number.
    """
    wanted = {room_of_process(name): each.limits.at_most for name, each in processes.items()}
    wanted |= {room_of_system(name): systems.get(name) for name in {*known_systems, *systems}}
    known = await rooms.known(connection)
    for name, at_most in sorted(wanted.items()):
        if (name in known and known[name] == at_most) or (name not in known and at_most is None):
            continue
        await rooms.declare(connection, name, at_most)
        process = name.partition("/")[2]
        if name not in known and room_of_process(process) == name:
            await runs.enter_room(connection, process, name)
    left = {**known, **wanted}
    prefix = room_of_system("")
    return frozenset(
        name.removeprefix(prefix)
        for name, at_most in left.items()
        if at_most is not None and name.startswith(prefix)
    )


class Places:
    """What one worker knows of places at systems; `limited` are the systems that have a limit.

    _closed: systems that were found paused, or where it has to be looked whether they are.
    """

    def __init__(self, database: Database, limited: frozenset[str]) -> None:
        """Prepare; `watch` calls who waits until it is cancelled."""
        self._database = database
        self._limited = limited
        self._refused: set[UUID] = set()
        self._full_until: dict[str, float] = {}
        self._closed: set[str] = set()
        self._freed: set[str] = set()
        self._wanted = asyncio.Event()

    def has_to_queue(self, run: UUID, system: str | None) -> bool:
        """Whether a step has to wait for its turn: it was refused, or others were just now."""
        if system is None or not self.is_limited(system):
            return False
        is_full = run in self._refused or monotonic() < self._full_until.get(system, 0.0)
        return is_full or system in self._closed

    def is_called(self, run: UUID, system: str | None) -> bool:
        """Whether a step that has waited may try: not refused just now, its system not paused."""
        return run not in self._refused and system not in self._closed

    def is_limited(self, system: str | None) -> bool:
        """Whether only so many attempts are made at a system at once, or none for now."""
        return system in self._limited or system in self._closed

    def refused(self, run: UUID, runner: Runner | None) -> None:
        """Note that a run's intents found no place: too many were there, or nobody may come."""
        self._refused.add(run)
        until = monotonic() + _FULL_S
        asked = {
            act.system
            for act in (() if runner is None else runner.open.values())
            if act.state == "attempting" and act.system is not None
        }
        for system in asked & self._limited:
            self._full_until[system] = until
        if not asked & self._limited:
            self._closed |= asked
        self._wanted.set()

    async def look(self, connection: Connection, loaded: Iterable[Loaded]) -> None:
        """See which systems are paused, for runs that were just claimed.

        Where newel looks at what people are to do there is no intent, and so the database refuses
        nothing. And whoever was called because a system is resumed should not look in vain; but one
        that was refused just now has to queue first.
        """
        claimed = list(loaded)
        is_asked = any(is_by_hand(act) for each in claimed for act in each.open_acts.values())
        is_believed = bool(self._closed) and self._refused.isdisjoint(each.id for each in claimed)
        if not (is_asked or is_believed):
            return
        before, found = self._closed, set(await rooms.paused(connection))
        self._closed = found if is_believed else before | found
        self._freed |= before - self._closed
        if self._freed or self._closed - before:
            self._wanted.set()

    def driven(self, run: UUID) -> None:
        """Note that a refused run has been driven again: its steps wait for their turn now."""
        self._refused.discard(run)

    def committed(self, change: Change, run: Runner | None, worker: Woken) -> None:
        """See which places have become free; runs of a process may have waited for one."""
        if run is not None and change.release and run.process.limits.at_most is not None:
            worker.poke()
        if not self._limited:
            return
        freed = {event.system for event in change.events if event.type in _ENDS}
        for system in self._limited & freed:
            self._freed.add(system)
            self._wanted.set()

    async def watch(self, worker: Woken) -> None:
        """Call who waits, when a place became free and once a second; until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S if self._limited or self._closed else None):
                    await self._wanted.wait()
            self._wanted.clear()
            freed, self._freed = self._freed or set(self._limited), set()
            try:
                if self._limited or self._closed:
                    freed |= await self._reopened()
                for system in sorted(freed):
                    if await rooms.call_queued(self._database, system):
                        worker.poke()
            except LOST:
                self._freed |= freed
                await asyncio.sleep(_LOOK_S)

    async def _reopened(self) -> set[str]:
        """See which systems are paused; answers with those that are so no more."""
        before, self._closed = self._closed, set(await rooms.paused(self._database))
        return before - self._closed
