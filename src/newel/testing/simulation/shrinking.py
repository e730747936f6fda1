"""Looking for a smaller case of what a seed has broken: less weather, fewer runs.

Each kind of trouble is taken away in turn; what still breaks the same invariant without it stays
without it. What is left is what it takes.
"""

from __future__ import annotations

from dataclasses import fields, replace

from newel.testing.simulation.play import Simulation
from newel.testing.simulation.weather import Weather

__all__ = ["shrunk"]


def shrunk(seed: int, broken: str, *, is_wide: bool = False) -> str:
    """Say what of the weather it takes to break this."""
    weather = Simulation(seed, is_wide=is_wide).weather
    needed: list[str] = []
    for each in fields(Weather):
        if each.name in {"workers", "slowness", "leap"} or not getattr(weather, each.name):
            continue
        calmer = replace(weather, **{each.name: 0.0})  # type: ignore[arg-type]  # all but workers are floats
        if _breaks(seed, calmer, broken, is_wide=is_wide):
            weather = calmer
        else:
            needed.append(each.name)
    return f"it takes: {', '.join(needed) or 'no trouble at all'}\nin {weather}"


def _breaks(seed: int, weather: Weather, broken: str, *, is_wide: bool) -> bool:
    simulation = Simulation(seed, is_wide=is_wide)
    simulation.take(weather)
    found = simulation.run().broken
    return any(each.partition(":")[0] == broken.partition(":")[0] for each in found)
