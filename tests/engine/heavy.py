"""Work that another process does for a step: it has to be found by its name."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

from newel import OutcomeUnknown, step, this_attempt


class TooMany(Exception):
    """More than can be counted."""


@dataclass(frozen=True)
class Counted:
    """What was counted, where, and under which idempotency key."""

    total: int
    process: int
    key: str


@step(pool="process", raises=TooMany)
def count(numbers: tuple[int, ...]) -> Counted:
    """Add numbers up."""
    print("a step may print")  # noqa: T201
    if len(numbers) > 3:
        raise TooMany(len(numbers))
    return Counted(sum(numbers), os.getpid(), this_attempt().idempotency_key)


@step(pool="process")
def die() -> None:
    """Take the process down."""
    os.kill(os.getpid(), signal.SIGKILL)


@step(pool="process")
def blunder() -> None:
    """Have a bug."""
    raise KeyError("typo")


@step(pool="process")
def lose() -> None:
    """Lose an answer."""
    raise OutcomeUnknown("the answer was lost")


@step(pool="process", name="sleep")
def sleep_for_long() -> None:
    """Sleep until it is cut off."""
    time.sleep(600)
