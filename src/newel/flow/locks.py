"""`lock`: one holder at a time, inside a run or across all runs.

Acquiring is an outcome, in order of request: a crash between acquiring and releasing keeps the
holder. So does a fault inside the block: what it guards is half done, and mended code goes on
there. Declared at module level; the subscript tells two places apart.
"""

from __future__ import annotations

from types import TracebackType

from newel.base.errors import Cancelled
from newel.domain.keys import (
    Formerly,
    Subscript,
    checked_name,
    encoded,
    former,
    former_with_item,
)
from newel.flow.act import Act, Ask, Place


class Acquiring(Act[None]):
    """Ask for the lock, and wait until it is given."""

    __slots__ = ("lock",)

    def __init__(self, lock: Lock, place: Place) -> None:
        super().__init__(lock.base, place, lock.formerly)
        self.lock = lock


class Releasing(Ask[None]):
    """Leave the block of a lock; error: what it is left by, which a fault keeps it for."""

    __slots__ = ("error", "lock")

    what = "lock"

    def __init__(self, lock: Lock, error: BaseException | None) -> None:
        self.lock = lock
        self.error = error


class Lock:
    """A named lock; is_shared: whether all runs of the database share it.

    held_as: what those who share it contend for: its oldest name, as long as that is told, so that
    runs which asked for it under that name stay in the same queue.
    """

    def __init__(
        self,
        name: str,
        *,
        shared: bool,
        formerly: tuple[str, ...] = (),
        item: str | None = None,
    ) -> None:
        self.name = checked_name(name)
        self.is_shared = shared
        self.base = name if item is None else f"{name}[{item}]"
        self._names = formerly
        self.formerly = former_with_item(formerly, item)
        self.held_as = (name, *formerly)[-1]

    def __getitem__(self, item: Subscript) -> Lock:
        """Name one place that takes the lock: `async with printer["badge"]:`."""
        return Lock(self.name, shared=self.is_shared, formerly=self._names, item=encoded(item))

    async def __aenter__(self) -> None:
        await Acquiring(self, Place.of_caller())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, (Exception, Cancelled)):
            await Releasing(self, error)


def lock(key: str, *, shared: bool = False, formerly: Formerly = ()) -> Lock:
    """Declare a lock, at module level; shared: one holder across all runs.

    formerly: names that it had, the oldest last; leave that of a shared lock there as long as
    runs hold it or wait for it.
    """
    return Lock(key, shared=shared, formerly=former(formerly))
