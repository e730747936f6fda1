"""Stand-ins for systems nobody has configured yet, so that a first project runs at once.

A system counts as configured if any of its variables is in the environment. The others are
played by simulators on loopback, which keep their state, and the environment of this process is
filled with their addresses and credentials.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from newel.simulators.core import Simulator
from newel.simulators.server import serve
from newel.simulators.world import World

__all__ = ["missing", "stand_ins"]


def missing(world: World) -> list[str]:
    """Name the systems of which the environment says nothing."""
    return [
        name
        for name, simulator in world.simulators.items()
        if not any(
            variable in os.environ or f"{variable}_FILE" in os.environ
            for variable in simulator.credentials()
        )
    ]


@contextlib.asynccontextmanager
async def stand_ins(kept_in: Path) -> AsyncIterator[dict[str, str]]:
    """Play what is missing while the block runs; gives the page of each system.

    kept_in: where their state is kept between two starts.
    """
    world = World()
    chosen = world.chosen(missing(world))
    _keep(chosen, kept_in)
    async with serve(chosen) as addresses:
        for simulator in chosen:
            os.environ.update(simulator.credentials(addresses[simulator.system]))
        yield {
            simulator.system: f"{addresses[simulator.system]}/_sim/?token={simulator.admin_token}"
            for simulator in chosen
        }


def _keep(simulators: Sequence[Simulator], kept_in: Path) -> None:
    kept_in.mkdir(parents=True, exist_ok=True)
    for simulator in simulators:
        simulator.keep_in(kept_in / f"{simulator.system}.json")
