"""Stand-ins for systems nobody has configured yet, so that a project runs at once.

A system counts as configured if any of its variables is in the environment. The others are
played by simulators on loopback, which keep their state, and the environment of this process is
filled with their addresses and credentials. A project's own stand-ins are those that lie beside
its systems as `NAME_simulator.py`, where `newel connector new` puts them.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from newel.base.settings import Settings
from newel.simulators.core import Simulator
from newel.simulators.server import serve
from newel.simulators.world import World

__all__ = ["missing", "own_simulators", "stand_ins"]

_ENDING: Final = "_simulator"


def missing(simulators: Sequence[Simulator]) -> list[Simulator]:
    """Give those of systems of which the environment says nothing."""
    return [
        each
        for each in simulators
        if not any(
            variable in os.environ or f"{variable}_FILE" in os.environ
            for variable in each.credentials()
        )
    ]


def own_simulators(settings: Settings, world: World) -> list[Simulator]:
    """Make the project's own stand-ins, on the clock of the others.

    What their modules raise when they are imported is raised.
    """
    if settings.systems is None:
        return []
    place = str(settings.project)
    if place not in sys.path:
        sys.path.insert(0, place)
    package = settings.systems.rpartition(".")[0]
    directory = settings.project.joinpath(*package.split(".")) if package else settings.project
    found: list[Simulator] = []
    for file in sorted(directory.glob(f"*{_ENDING}.py")):
        module = importlib.import_module(f"{package}.{file.stem}" if package else file.stem)
        found += [
            kind(clock=world.clock)
            for kind in vars(module).values()
            if isinstance(kind, type)
            and issubclass(kind, Simulator)
            and kind.__module__ == module.__name__
        ]
    return found


@contextlib.asynccontextmanager
async def stand_ins(settings: Settings) -> AsyncIterator[dict[str, str]]:
    """Play what is missing while the block runs; gives the page of each system.

    Their state is kept with the deployment's data between two starts.
    """
    world = World()
    chosen = missing([*world.simulators.values(), *own_simulators(settings, world)])
    _keep(chosen, settings.data_directory / "stand-ins")
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
