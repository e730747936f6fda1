"""Simulated systems that answer when a test says so: order and overlap without any clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from newel.simulators.faults import Latency
from newel.simulators.world import World


class Gate:
    """Systems whose requests wait: until the test opens it, or until all of them have come."""

    def __init__(self, world: World, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self.arrived: set[str] = set()
        self.all_came = asyncio.Event()
        self.is_open = asyncio.Event()
        for name in self.names:
            world.simulators[name].fail("*", Latency(fixed_ms=1))

    def of(self, name: str):
        """What a system sleeps with: it waits here instead."""

        async def sleep(_: float) -> None:
            self.arrived.add(name)
            if self.arrived == self.names:
                self.all_came.set()
            await self.is_open.wait()

        return sleep


def gated(monkeypatch, world: World, names: Iterable[str]) -> Gate:
    """Put a gate before some systems of the world for the rest of a test."""
    gate = Gate(world, names)
    for name in gate.names:
        monkeypatch.setattr(world.simulators[name], "sleep", gate.of(name))
    return gate
