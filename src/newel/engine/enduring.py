"""Going on after what nobody has foreseen: told to the log, tried again, given up when it stays.

A task that a worker cannot live without (its heartbeat, its look for due runs, its writer) must
neither end because of one strange answer nor go on for ever in a circle. It tells what happened
and tries again; when that happens too often, the worker ends with a sentence that says why. Its
runs are given back then, or lapse with its lease: nothing is lost, and nothing is lost quietly.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final, NoReturn, Self, TypeVar

from newel.base.errors import StoreError
from newel.base.log import declare, logger
from newel.engine.pace import monotonic
from newel.store.database import LOST, is_lost

_UNFORESEEN: Final = declare("unforeseen error", "task")
_MOST: Final = 5
_WITHIN_S: Final = 60.0
_AGAIN_S: Final = 0.05
_T = TypeVar("_T")


async def cared(task: str, work: Awaitable[object], **facts: object) -> bool:
    """Do something that may fail without harm; tells of what it fails with. True if it did not."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - told, with its class and place
        told(task, error, **facts)
        return False
    return True


async def now_and_then(
    look: Callable[[], Awaitable[object]],
    pause_s: float,
    patience: AbstractContextManager[object] = nullcontext(),  # noqa: B008 - it holds nothing
) -> NoReturn:
    """Do something from time to time until cancelled; while the database is away, at the next.

    patience: what bears other errors; without it they pass.
    """
    while True:
        with suppress(*LOST), patience:
            await look()
        await asyncio.sleep(pause_s)


async def insisting(work: Callable[[], Awaitable[_T]]) -> _T:
    """Do something again and again while the database is away or cannot take it."""
    while True:
        try:
            return await work()
        except LOST as error:
            if not is_lost(error):
                raise
            await asyncio.sleep(_AGAIN_S)


async def while_held(
    work: Callable[[], Awaitable[_T | None]], holds: Callable[[], bool]
) -> _T | None:
    """Read what the database may not tell for a moment; None when the lease ends before."""
    while True:
        try:
            return await work()
        except LOST as error:
            if not is_lost(error):
                raise
            if not holds():
                return None
            await asyncio.sleep(_AGAIN_S)


def told(task: str, error: BaseException, **facts: object) -> None:
    """Tell the log of an error that nobody has foreseen, with its class and place."""
    logger(task=task, **facts).error(_UNFORESEEN, exc_info=error)


class Patience:
    """How many unforeseen errors of one task are borne: five within a minute are too many.

    A block under it ends early, and quietly, when something unforeseen happens in it.
    """

    def __init__(self, task: str) -> None:
        """Begin unspent; `task` is what the log and the last sentence call it."""
        self._task = task
        self._errors: deque[float] = deque(maxlen=_MOST)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, Exception) or isinstance(error, LOST):
            return False
        self.bear(error)
        return True

    def bear(self, error: Exception) -> None:
        """Tell of an error; raises StoreError when there have been too many."""
        told(self._task, error)
        now = monotonic()
        self._errors.append(now)
        if len(self._errors) == _MOST and now - self._errors[0] < _WITHIN_S:
            raise StoreError(
                f"The worker gives up: its {self._task} failed {_MOST} times within a minute, "
                f"at last with {type(error).__name__}: {error}. Its runs go on in other workers, "
                "or when it is started again."
            ) from error
