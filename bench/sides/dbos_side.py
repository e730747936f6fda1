"""DBOS's part of the bench: the same work, written as its documentation says.

Coroutines for workflows and steps and one queue without limits are what its documentation
recommends for many workflows at once in one process; `--threads` writes the same with plain
functions, which it runs in a pool of threads. The bench uses the faster of the two.

Source: https://docs.dbos.dev/python/tutorials/workflow-tutorial and …/queue-tutorial.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass

from dbos import DBOS, DBOSConfig
from talk import answer_requests

_STEPS = 10
_QUEUE = "bench"


@dataclass
class Tally:
    """When steps ran: from the later of the first step and the last enqueueing."""

    done: int = 0
    since: float = 0.0

    def step(self) -> None:
        """Count a step."""
        self.done += 1
        if self.done == 1:
            self.since = time.perf_counter()

    def all_enqueued(self) -> None:
        """From here on nothing but steps is being measured."""
        self.done, self.since = 0, time.perf_counter() if self.done else 0.0


_tally = Tally()


@DBOS.step()
async def nothing() -> None:
    """Do nothing, durably."""
    _tally.step()


@DBOS.step()
def nothing_in_a_thread() -> None:
    """Do nothing, durably."""
    _tally.step()


@DBOS.workflow()
async def ten_steps() -> None:
    """Ten steps, one after another."""
    for _ in range(_STEPS):
        await nothing()


@DBOS.workflow()
def ten_steps_in_a_thread() -> None:
    """Ten steps, one after another."""
    for _ in range(_STEPS):
        nothing_in_a_thread()


@DBOS.workflow()
async def idle_onboarding() -> None:
    """Two steps in sequence, four in parallel."""
    await nothing()
    await nothing()
    await asyncio.gather(nothing(), nothing(), nothing(), nothing())


async def _steps(runs: int, style: str = "coroutines") -> float:
    """Runs of ten steps from the queue: steps a second once all have been enqueued."""
    _tally.done = 0
    if style == "threads":
        plain = [DBOS.enqueue_workflow(_QUEUE, ten_steps_in_a_thread) for _ in range(runs)]
        _tally.all_enqueued()
        await asyncio.to_thread(lambda: [handle.get_result() for handle in plain])
    else:
        handles = [await DBOS.enqueue_workflow_async(_QUEUE, ten_steps) for _ in range(runs)]
        _tally.all_enqueued()
        for handle in handles:
            await handle.get_result()
    return _tally.done / (time.perf_counter() - _tally.since)


async def _onboarding(times: int) -> list[float]:
    """Milliseconds of onboardings, one after another, from start to result."""
    took: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        handle = await DBOS.start_workflow_async(idle_onboarding)
        await handle.get_result()
        took.append((time.perf_counter() - began) * 1000)
    return took


async def _main(dsn: str, pool: int) -> None:
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": dsn,
        "sys_db_pool_size": pool,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    await DBOS.register_queue_async(_QUEUE)
    try:
        await answer_requests({"steps": _steps, "onboarding": _onboarding})
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
