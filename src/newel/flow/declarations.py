"""What the declaration of a step comes to, in words: how long newel tries, and what follows.

The inventory of systems and the dossier of a process say the same of the same step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

from newel.domain.retry import Retry
from newel.flow.process import Process
from newel.flow.step import Step

__all__ = ["is_read", "least", "length", "on_failure", "window"]

_DOUBT: Final = {
    "repeat": "in doubt it is repeated, harmlessly",
    "ask": "in doubt a person is asked",
}
_LOOKS: Final = "in doubt newel looks first"


def is_read(step: Step[..., Any]) -> bool:  # Any: each has its own result; below, too
    """Whether a step is declared to change nothing."""
    return step.options.facts.get("idempotency") == "read"


def window(step: Step[..., Any], process: Process[..., Any] | None) -> str:
    """Say how long newel tries by itself, in a process or in general."""
    retry = step.options.retry or (None if process is None else process.retry) or Retry()
    return f"{length(retry.within)}, {retry.rounds} rounds"


def on_failure(step: Step[..., Any]) -> str:
    """Say what becomes of a step that fails for good, and of one whose outcome is not known."""
    return "; ".join(_failure(step))


def least(needs: Iterable[str]) -> tuple[str, ...]:
    """Give the smallest set of permissions that meets all needs, sorted.

    `a|b` is met by either; it is left out where one of them is needed anyway.
    """
    wanted = set(needs)
    return tuple(
        sorted(each for each in wanted if "|" not in each or not wanted & set(each.split("|")))
    )


def length(span: timedelta) -> str:
    """Write a span as a person would: `20 s`, `60 min`, `2 h`."""
    seconds = span.total_seconds()
    if seconds < 60:
        return f"{seconds:g} s"
    return f"{seconds / 3600:g} h" if seconds > 5400 else f"{seconds / 60:g} min"


def _failure(step: Step[..., Any]) -> Iterator[str]:
    ends = step.options.exhausted == "fail"
    yield "the process is told" if ends else "waits for a person, with a ticket"
    is_looked_for = step.verify is not None and not is_read(step)
    yield _LOOKS if is_looked_for else _DOUBT[step.options.in_doubt]
