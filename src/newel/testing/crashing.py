"""A crash at every boundary of a run: before and after each commit and each call of a step.

    async def play(crash: Crash) -> None:
        async with running(onboarding.request(jane), crash=crash) as run: ...

    for crash in await crashes(play):
        await play(crash)

`crash_everywhere` does the same with a test that takes a `crash`; the plugin gives every pass
fresh fixtures, and a failure names the point.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from newel.testing.boundaries import Crash

__all__ = ["crash_everywhere", "crashes"]

Test = TypeVar("Test", bound=Callable[..., object])


async def crashes(play: Callable[[Crash], Awaitable[object]]) -> list[Crash]:
    """Play once without a crash, and give every crash that could happen on the way."""
    plain = Crash()
    await play(plain)
    return list(plain.seen.crashes())


def crash_everywhere(test: Test) -> Test:
    """Run a test without a crash, and then with each that could happen on its way."""
    test.newel_crashes = True  # type: ignore[attr-defined]  # read by the plugin
    return test
