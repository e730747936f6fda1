"""A crash at every boundary of a run: before and after each commit and each call of a step.

    async def play(crash: Crash) -> None:
        async with running(onboarding.request(jane), crash=crash) as run: ...

    for crash in await crashes(play):
        await play(crash)

`crash_everywhere` does the same with a test that takes a `crash`: fixtures with a `reset` are
reset between the passes, and a failure names the point.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from newel.testing.boundaries import Crash
from newel.testing.repeating import Test, passes

__all__ = ["crash_everywhere", "crashes"]


async def crashes(play: Callable[[Crash], Awaitable[object]]) -> list[Crash]:
    """Play once without a crash, and give every crash that could happen on the way."""
    plain = Crash()
    await play(plain)
    return list(plain.seen.crashes())


def crash_everywhere(test: Test) -> Test:
    """Run a test without a crash, and then with each that could happen on its way."""
    return passes(test, "crash", lambda plain: cast("Crash", plain).seen.crashes(), Crash)
