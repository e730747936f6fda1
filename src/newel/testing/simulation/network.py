"""The way between programs and the server: slow, lossy, and indifferent to who has died.

A request that is on its way reaches the server even if its sender dies meanwhile; an answer that
is lost leaves its sender without knowing whether the server has carried it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from random import Random
from typing import Any, Final, TypeVar

import asyncpg

from newel.testing.loop import VirtualLoop
from newel.testing.memory import MemoryConnection, Waits
from newel.testing.simulation.weather import Weather

__all__ = ["Network"]

T = TypeVar("T")

_AT_ONCE: Final = 0.6
"""How likely an answer is there as soon as it is given; each way takes time to simulate."""

_NOTICED: Final = 0.05
"""So many seconds after the end of a program the server knows that its connections are gone."""


class Network:
    """Carries statements; is_rough: whether things are lost and late."""

    def __init__(self, loop: VirtualLoop, chance: Random, weather: Callable[[], Weather]) -> None:
        """Begin rough."""
        self.is_rough = True
        self._loop = loop
        self._chance = chance
        self._weather = weather
        self._outside: Context = copy_context()  # of nobody's place: the server is no worker's

    def here(self) -> object:
        """The place of whoever opens a connection."""
        return self._loop.here()

    async def carry(
        self,
        connection: MemoryConnection,
        what: str,
        values: tuple[Any, ...],
        act: Callable[[], T],
    ) -> T:
        """Carry a statement there and its answer back, unless it gets lost."""
        del what, values
        if not self.is_rough:
            await asyncio.sleep(0)
            return act()
        answer: asyncio.Future[T] = self._loop.create_future()
        fate = self._chance.random()
        arrive = partial(self._arrived, connection, act, answer, fate)
        self._loop.call_later(self._way(), arrive, context=self._outside)
        return await answer

    def cut(self, connections: list[MemoryConnection]) -> None:
        """Let the server notice that these connections have nobody any more."""
        for connection in connections:
            self._loop.call_later(
                self._chance.random() * _NOTICED, connection.terminate, context=self._outside
            )

    def _way(self) -> float:
        # Most ways are short, a few are as long as ways can be.
        return self._weather().slowness * self._chance.random() ** 4

    def _arrived(
        self,
        connection: MemoryConnection,
        act: Callable[[], T],
        answer: asyncio.Future[T],
        fate: float,
    ) -> None:
        if fate < self._weather().lost / 2:
            self._lose(connection, answer)
            return
        try:
            found = act()
        except Waits as met:
            self._back(answer, partial(answer.set_exception, met))
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            self._back(answer, partial(answer.set_exception, error))
        else:
            if fate < self._weather().lost:
                self._lose(connection, answer)
            else:
                self._back(answer, partial(answer.set_result, found))

    def _back(self, answer: asyncio.Future[Any], tell: Callable[[], None]) -> None:
        def told() -> None:
            if not answer.done():
                tell()

        if self._chance.random() < _AT_ONCE:
            told()
        else:
            self._loop.call_later(self._way(), told, context=self._outside)

    def _lose(self, connection: MemoryConnection, answer: asyncio.Future[Any]) -> None:
        connection.terminate()
        lost = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle")
        self._back(answer, partial(answer.set_exception, lost))
