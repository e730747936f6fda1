"""What a seed draws: how many workers, how rough the network, how often somebody dies."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["Weather"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """The rates of one seed.

    workers: how many at a time. slowness: the longest way of a statement, in seconds. lost: how
    likely a statement loses its connection; half of them after the server has carried it out.
    kill, freeze, leap, outage: seconds between two of them on average; 0 for never.
    failing: how likely a call of a step is answered with a fault; unheard: how likely its answer
    is lost. rude: how likely an operator interferes with something that is open.
    """

    workers: int
    slowness: float
    lost: float
    kill: float
    freeze: float
    leap: float
    outage: float
    failing: float
    unheard: float
    rude: float

    @classmethod
    def drawn(cls, chance: Random) -> Weather:
        """Draw a weather; in some nothing of a kind happens, in some everything at once."""

        def maybe(rate: float, *, likely: float = 0.6) -> float:
            return rate if chance.random() < likely else 0.0

        return cls(
            workers=chance.choice([2, 2, 3]),
            slowness=chance.choice([0.002, 0.02, 0.2, 0.5]),
            lost=maybe(chance.choice([0.003, 0.02, 0.06])),
            kill=maybe(chance.choice([3.0, 8.0])),
            freeze=maybe(chance.choice([2.0, 5.0]), likely=0.5),
            leap=chance.choice([0.5, 1.0, 2.0]),
            outage=maybe(6.0, likely=0.3),
            failing=maybe(chance.choice([0.05, 0.2])),
            unheard=maybe(chance.choice([0.05, 0.15])),
            rude=maybe(chance.choice([0.1, 0.4])),
        )
