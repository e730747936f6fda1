"""Counting how systems answer: what workers have seen anyway, written down every few seconds.

A call counts with the system of its step and with its length, which is put into one of a dozen
classes, so that the 95th percentile of a day is told from a few rows, to within its class. It has
failed if no answer came, or one that says that the system is at fault, refuses the credential or
asks for fewer calls; that something is not there is an answer. What a worker that dies has not
written yet is lost: this proves nothing.
Source: console document, §6.11.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from newel.domain.values import Call
from newel.engine.attempts import Attempt, Begun
from newel.engine.enduring import now_and_then
from newel.engine.finished import Finished
from newel.store import call_counts as rows
from newel.store.database import LOST, Database

__all__ = ["LENGTHS_MS", "CallCounts"]

LENGTHS_MS: Final = (25, 50, 100, 200, 400, 700, 1_000, 1_500, 2_500, 5_000, 10_000, 20_000, 60_000)
"""The longest call of each class; longer ones count in the last."""

_WRITE_S: Final = 5.0
_KEPT: Final = timedelta(days=2)
_FORGET_AFTER: Final = 720
_AT_FAULT: Final = 500
_REFUSED: Final = frozenset({401, 403, 408, 429})


class CallCounts:
    """What one worker has counted and not written yet."""

    def __init__(self, database: Database) -> None:
        """Prepare; `watch` writes until it is cancelled."""
        self._database = database
        self._counted: dict[tuple[str, int], tuple[int, int]] = {}
        self._written = 0

    def add(self, system: str | None, calls: Sequence[Call]) -> None:
        """Count the calls of an attempt."""
        for call in calls if system is not None else ():
            place = min(bisect_left(LENGTHS_MS, call.duration_us / 1000), len(LENGTHS_MS) - 1)
            key = (system or "", LENGTHS_MS[place])
            seen, failed = self._counted.get(key, (0, 0))
            self._counted[key] = (seen + 1, failed + _has_failed(call))

    def counting(self, attempt: Attempt) -> Attempt:
        """Make an attempt of which the calls are counted."""

        async def counted(begun: Begun) -> Finished:
            done = await attempt(begun)
            self.add(begun.act.step.options.system, done.calls)
            return done

        return counted

    async def watch(self, worker: Any) -> None:  # Any: whoever it works beside
        """Write what was counted, until cancelled; without calls nothing is written."""
        del worker
        await now_and_then(self.write, _WRITE_S)

    async def write(self) -> None:
        """Write what was counted; kept for the next time while the database is away."""
        if not self._counted:
            return
        counted, self._counted = self._counted, {}
        try:
            await rows.add(self._database, counted)
        except LOST:
            for key, (calls, failures) in counted.items():
                more, worse = self._counted.get(key, (0, 0))
                self._counted[key] = (calls + more, failures + worse)
            raise
        self._written += 1
        if self._written % _FORGET_AFTER == 1:
            with contextlib.suppress(*LOST):
                await rows.forget(self._database, _KEPT)


def _has_failed(call: Call) -> bool:
    return call.status is None or call.status >= _AT_FAULT or call.status in _REFUSED
