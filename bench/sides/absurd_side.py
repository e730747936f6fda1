"""Absurd's part of the bench: the same work, written as its documentation says.

A synchronous worker is the fastest way its SDK offers for steps that do nothing: one client has
one connection, so coroutines and threads only wait for it in turn. The bench asks for both and
uses the faster. The schema is the one its command line carries (`absurdctl init`).

Source: the READMEs of `absurd-sdk` and `absurdctl`, version 0.5.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from absurd_sdk import Absurd, AsyncAbsurd
from talk import answer_requests

_STEPS = 10
_BATCH = 100


async def _nothing() -> None:
    """Do nothing, durably."""


class Side:
    """One worker's two clients: the synchronous one and the one for coroutines."""

    def __init__(self, dsn: str) -> None:
        """Connect, and declare the same tasks to both."""
        self._plain = Absurd(dsn, queue_name="bench")
        self._plain.create_queue()
        self._loop = AsyncAbsurd(dsn, queue_name="bench")
        self._plain.register_task(name="ten-steps")(_ten_steps)
        self._plain.register_task(name="onboarding")(_onboarding)
        self._loop.register_task(name="ten-steps-async")(_ten_steps_async)
        self._loop.register_task(name="onboarding-async")(_onboarding_async)

    async def steps(self, runs: int, style: str = "plain") -> float:
        """Runs of ten steps, claimed from the queue in batches: steps a second."""
        name = "ten-steps" if style == "plain" else "ten-steps-async"
        for _ in range(runs):
            self._plain.spawn(name, {}, queue="bench")
        began = time.perf_counter()
        for first in range(0, runs, _BATCH):
            size = min(_BATCH, runs - first)
            if style == "plain":
                self._plain.work_batch(batch_size=size)
            else:
                await self._together(size)
        return runs * _STEPS / (time.perf_counter() - began)

    async def _together(self, size: int) -> None:
        """What `start_worker` does with a batch, without its pause before the next look."""
        claimed = await self._loop.claim_tasks(batch_size=size)
        await asyncio.gather(*(self._loop._execute_task(task, 120) for task in claimed))  # noqa: SLF001

    async def onboarding(self, times: int, style: str = "plain") -> list[float]:
        """Milliseconds of onboardings, one after another, from start to finished."""
        took: list[float] = []
        for _ in range(times):
            began = time.perf_counter()
            if style == "plain":
                self._plain.spawn("onboarding", {}, queue="bench")
                self._plain.work_batch(batch_size=1)
            else:
                await self._loop.spawn("onboarding-async", {}, queue="bench")
                await self._together(1)
            took.append((time.perf_counter() - began) * 1000)
        return took


def _ten_steps(_: Any, context: Any) -> None:  # Any: the SDK's JSON and context
    for _number in range(_STEPS):
        context.step("nothing", lambda: None)


async def _ten_steps_async(_: Any, context: Any) -> None:  # Any: as above
    for _number in range(_STEPS):
        await context.step("nothing", _nothing)


def _onboarding(_: Any, context: Any) -> None:  # Any: as above
    """One connection carries one step at a time, so the four of the parallel follow each other."""
    for name in ("first", "second", "a", "b", "c", "d"):
        context.step(name, lambda: None)


async def _onboarding_async(_: Any, context: Any) -> None:  # Any: as above
    await context.step("first", _nothing)
    await context.step("second", _nothing)
    await asyncio.gather(*(context.step(name, _nothing) for name in "abcd"))


async def _main(dsn: str) -> None:
    side = Side(dsn)
    await answer_requests({"steps": side.steps, "onboarding": side.onboarding})


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
