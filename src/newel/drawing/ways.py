"""How control goes on while a plan is made: on which way it comes, and how it comes out.

A *way* is how control comes to a region: surely, unless something ends early, or only if. *Outs*
say whether it comes out behind a region, how surely, and where else it may have gone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from newel.drawing.names import UNKNOWN
from newel.drawing.plan import Forecast
from newel.drawing.regions import Handler, Kind

__all__ = [
    "ON",
    "Exit",
    "Outs",
    "Way",
    "all_of",
    "catches",
    "either",
    "leaving",
    "next_one",
    "of_code",
    "unsure",
]

_RANK: Final[tuple[Forecast, ...]] = ("will-run", "expected", "maybe")


@dataclass(frozen=True, slots=True)
class Way:
    """How control comes to a region: its forecast, and the reason for it."""

    forecast: Forecast = "will-run"
    reason: str = ""

    def lowered(self, forecast: Forecast, reason: str) -> Way:
        """The same, or the weaker one of both."""
        is_weaker = _RANK.index(forecast) > _RANK.index(self.forecast)
        return Way(forecast, reason) if is_weaker else self


@dataclass(frozen=True, slots=True)
class Exit:
    """How control leaves early. is_sure: whether it has, or certainly will."""

    verb: str
    kinds: tuple[Kind, ...] = ()
    is_sure: bool = True
    why: str = ""
    value: object = UNKNOWN
    is_group: bool = False


@dataclass(frozen=True, slots=True)
class Outs:
    """What comes of a region. goes: control can come out behind it; is_sure: it certainly does."""

    goes: bool = True
    is_sure: bool = True
    why: str = ""
    exits: tuple[Exit, ...] = ()


ON: Final = Outs()
"""Control comes out, and goes nowhere else."""


def unsure(exits: tuple[Exit, ...]) -> tuple[Exit, ...]:
    """The same exits, of a way that may not have been gone."""
    return tuple(replace(each, is_sure=False) for each in exits)


def either(found: list[Outs], why: str) -> Outs:
    """One of several ways is taken, and it is not known which."""
    goes = any(each.goes for each in found)
    exits = unsure(tuple(exit_ for each in found for exit_ in each.exits))
    is_sure = all(each.goes and each.is_sure for each in found)
    return Outs(goes, is_sure, "" if is_sure else why, exits)


def all_of(found: list[Outs]) -> Outs:
    """All of several ways are gone."""
    exits = tuple(exit_ for each in found for exit_ in each.exits)
    why = next((each.why for each in found if not each.is_sure), "")
    goes = all(each.goes for each in found)
    return Outs(goes, all(each.is_sure for each in found), why, exits)


def next_one(outs: Outs) -> Outs:
    """Behind one item of many: `continue` goes on with the next."""
    exits = tuple(each for each in outs.exits if each.verb != "continue")
    return replace(outs, goes=outs.goes or len(exits) < len(outs.exits), exits=exits)


def leaving(exits: list[Exit]) -> Outs:
    """Behind a loop, which may have been left for good inside."""
    why = next((each.why for each in exits if each.why), "")
    return Outs(is_sure=not exits, why=f"unless {why}" if why else "", exits=unsure(tuple(exits)))


def catches(handler: Handler, exit_: Exit) -> bool:
    """Whether a handler takes what is raised."""
    if exit_.is_group and not handler.is_star:
        return any(issubclass(ExceptionGroup, kind) for kind in handler.types)
    return any(issubclass(kind, handler.types) for kind in exit_.kinds)


def of_code(handler: Handler) -> bool:
    """Whether a handler is for what the company's own code raises between acts."""
    return not any(kind.__module__.startswith("newel.") for kind in handler.types)
