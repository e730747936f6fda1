"""Deterministic simulation: the engine's production code in a world that a seed decides.

`play(seed)` plays a storm and a quiet end; `python -m newel.testing.simulation` plays many, on all
cores, and prints the one-line command that repeats what has failed.
"""

from newel.testing.simulation.play import Report, Simulation, play

__all__ = ["Report", "Simulation", "play"]
