"""Seats and licences that run out: somebody is asked to buy before a hire is refused.

    nightly question -> rooms of a system -> the short ones -> one run of `newel.shortage` a month
    incident `capacity` -> are seats free again? -> the parked steps go on

A shortage is told once a month for as many seats as are bought: who has bought some is asked again
when those run out.
Source: README of the design, point 5; connectors document, §5 (`NoCapacity`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol, runtime_checkable

from newel.connectors.room import Room
from newel.domain.people import Team
from newel.engine.attempts import asked
from newel.engine.builtin import BuiltIn, dated
from newel.flow.forms import form
from newel.flow.process import Process, process

__all__ = ["Roomy", "Short", "Shortages", "has_room"]

_NAME: Final = "newel.shortage"


@runtime_checkable
class Roomy(Protocol):
    """A system that may tell what is left of its seats."""

    async def capacity(self) -> tuple[Room, ...]:
        """Read them; raises a StepError while it does not answer."""
        ...


@dataclass(frozen=True, kw_only=True)
class Short:
    """What a system is short of: who answers for it, and when that was seen."""

    system: str
    title: str
    owner: str
    seen: datetime
    rooms: tuple[Room, ...]


class Shortages:
    """The process that asks somebody to buy, and what starts it."""

    def __init__(self, builtin: BuiltIn) -> None:
        """Take what starts runs of newel's own processes."""
        self._builtin = builtin
        self.process: Process[[Short], None] = _shortage()

    async def tell(self, short: Short) -> None:
        """Ask once: the run's id follows from the system, what is bought, and the month."""
        seen = short.seen.astimezone(UTC)
        month = datetime(seen.year, seen.month, 1, tzinfo=UTC)
        bought = sorted(f"{each.what}/{each.which}/{each.most}" for each in short.rooms)
        run = dated(month, f"{_NAME}/{short.system}/{'/'.join(bought)}")
        await self._builtin.start(self.process, {"short": short}, run=run)


async def has_room(system: object, what: str) -> bool:
    """Whether a system shows free seats of a kind, of each product there is; no if none is seen."""
    found: list[Room] = []

    async def read() -> None:
        if isinstance(system, Roomy):
            found.extend(each for each in await system.capacity() if each.what == what)

    return await asked(read) is None and bool(found) and all(each.left for each in found)


def _shortage() -> Process[[Short], None]:
    @process(name=_NAME, title="Buy seats", owner="it", subject=None)
    async def shortage(short: Short) -> None:
        """Ask whoever answers for the system for more seats, before the last one is taken."""
        await form(
            "buy-seats",
            by=Team(short.owner),
            title=f"buy or free seats of {short.title}"[:60],
            instructions=(
                f"{short.title} is nearly full: {_listed(short.rooms)}. Who is hired next may be "
                "refused; then their run waits until a seat is free."
            ),
        )

    return shortage


def _listed(rooms: Sequence[Room]) -> str:
    return "; ".join(str(each) for each in rooms)
