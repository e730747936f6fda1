"""A crash at every boundary of a run: before and after each commit and each call of a step.

    async def play(crash: Crash) -> None:
        async with running(onboarding.request(jane), crash=crash) as run: ...

    for crash in await every_crash(play):
        await play(crash)

`crash_everywhere` does the same with a test that takes a `crash`: fixtures with a `reset` are
reset between the passes, and a failure names the point. `crashes` draws crashes for a property,
beside whatever else is drawn:

    @given(crash=crashes(), hire=hires())
    async def test_nothing_is_done_twice(crash: Crash, hire: NewHire) -> None: ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from newel.testing.boundaries import Crash
from newel.testing.repeating import Test, passes

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["crash_everywhere", "crashes", "every_crash"]


def crashes(*, most: int = 60) -> SearchStrategy[Crash]:
    """Draw crashes for hypothesis: killed or frozen, at any of the first so many boundaries.

    It shrinks to an early kill. A run that passes fewer boundaries does not crash at the later
    ones. Needs hypothesis, which newel itself does not.
    """
    from hypothesis import strategies  # noqa: PLC0415 - only whoever draws needs it

    return strategies.builds(
        Crash.at, strategies.integers(0, most - 1), strategies.sampled_from(["killed", "frozen"])
    )


async def every_crash(play: Callable[[Crash], Awaitable[object]]) -> list[Crash]:
    """Play once without a crash, and give every crash that could happen on the way."""
    plain = Crash()
    await play(plain)
    return list(plain.seen.crashes())


def crash_everywhere(test: Test) -> Test:
    """Run a test without a crash, and then with each that could happen on its way."""
    return passes(test, "crash", lambda plain: cast("Crash", plain).seen.crashes(), Crash)
