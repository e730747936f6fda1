"""An event loop whose time is its own: nothing is waited for, and chance comes from a seed.

It has timers, tasks and futures, and no network: its time stands still while somebody can go on,
and then jumps to the next timer. Plain functions that production gives to a thread run at once.
With `chance`, whoever can go on goes on in an order that the seed decides.

A `Place` is a process of the simulated world: all that a task starts belongs to the place of the
task. A place can be frozen, as a process is by SIGSTOP, and killed: what belongs to it never
runs again, and nothing of it is cleaned up.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from random import Random
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

from newel.base.errors import NewelError

__all__ = ["NothingLeft", "Place", "VirtualLoop"]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class NothingLeft(NewelError):
    """Nobody can go on and no timer is set: what is waited for never comes."""


class Place:
    """A process of the simulated world: what belongs to it freezes and dies together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.kept: list[asyncio.Handle] = []

    def __repr__(self) -> str:
        return f"<Place {self.name}>"


_PLACE: Final[ContextVar[Place | None]] = ContextVar("newel_testing_place", default=None)


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module. turns: how many callbacks have run."""

    def __init__(self, chance: Random | None = None) -> None:
        """Begin at second nought; chance: who goes on first is drawn from it."""
        self.chance = chance
        self.turns = 0
        self.is_closing = False
        self.faults: list[dict[str, Any]] = []  # Any: what asyncio tells handlers
        self._time = 0.0
        self._queue: deque[asyncio.Handle] = deque()
        self._clockwork: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = 0
        self._is_over = False
        self._is_driven = False
        self._tasks: dict[asyncio.Task[Any], None] = {}  # Any: each has its own result
        self._places: dict[Place, None] = {}
        super().__init__()

    # --- driving ----------------------------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Drive until a coroutine has ended; answers with its result, or raises its error."""
        task = self.create_task(work)
        self.drive(task.done)
        return task.result()

    def drive(self, until: Callable[[], bool], *, deadline: float | None = None) -> bool:
        """Turn until a condition holds; False if the deadline comes first.

        The loop may be driven from inside another one. Raises NothingLeft if it never can hold.
        """
        with self._in_charge():
            while not until():
                if not self._turn(deadline):
                    return False
        return True

    @contextmanager
    def _in_charge(self) -> Iterator[None]:
        outer = asyncio._get_running_loop()  # noqa: SLF001 - documented for those who write loops
        asyncio._set_running_loop(self)  # noqa: SLF001 - as above
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        self._is_driven = True
        try:
            yield
        finally:
            self._is_driven = False
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(outer)  # noqa: SLF001 - as above

    def _turn(self, deadline: float | None) -> bool:
        """Run one callback, or let time go on to the next timer; False at the deadline."""
        if not self._queue:
            while self._clockwork and self._clockwork[0][2].cancelled():
                heappop(self._clockwork)
            if not self._clockwork or (deadline is not None and self._clockwork[0][0] > deadline):
                if deadline is None:
                    raise NothingLeft("nobody can go on, and no timer is set")
                self._time = max(self._time, deadline)
                return False
            self._time = max(self._time, self._clockwork[0][0])
            while self._clockwork and self._clockwork[0][0] <= self._time:
                self._queue.append(heappop(self._clockwork)[2])
        handle = self._next()
        place = _place_of(handle)
        if handle.cancelled():
            return True
        if place is not None and not place.is_alive:
            place.kept.append(handle)
            return True
        self.turns += 1
        handle._run()  # noqa: SLF001 - what every loop does
        return True

    def _next(self) -> asyncio.Handle:
        ready = self._queue
        if self.chance is not None and len(ready) > 1:
            place = self.chance.randrange(len(ready))
            ready[0], ready[place] = ready[place], ready[0]
        return ready.popleft()

    # --- places -----------------------------------------------------------------------------

    def begin_at(
        self, place: Place | None, work: Coroutine[Any, Any, T], *, name: str | None = None
    ) -> asyncio.Task[T]:
        """Start a task that belongs to a place; so does all that it starts."""
        if place is not None:
            self._places[place] = None
        context = copy_context()
        context.run(_PLACE.set, place)
        return context.run(self.create_task, work, name=name)

    @staticmethod
    def here() -> Place | None:
        """The place of whoever asks."""
        return _PLACE.get()

    def thaw(self, place: Place) -> None:
        """Let a frozen place go on: what was kept back is ready now."""
        place.is_alive = True
        self._queue.extend(place.kept)
        place.kept.clear()

    def close_down(self) -> None:
        """End all tasks, those of dead and frozen places too; for the end of a test."""
        self.is_closing = True
        with self._in_charge():
            for task in list(self._tasks):
                task.cancel()  # first, so that nothing of it goes on when its place wakes
            for place in self._places:
                self.thaw(place)
            self.chance = None
            for _ in range(100_000):
                if all(task.done() for task in self._tasks):
                    break
                if not self._queue and not self._clockwork:
                    break
                self._turn(None)
        self._tasks.clear()
        self._is_over = True

    # --- what asyncio asks of a loop ----------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether nobody can go on before time does."""
        return not self._queue

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._time

    def call_soon(
        self,
        callback: Callable[[Unpack[Arguments]], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Run a callback as soon as it is its turn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._queue.append(handle)
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Arguments]], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Run a callback as soon as it is its turn; there are no other threads here."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Arguments]], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback after so many seconds."""
        return self.call_at(self._time + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Arguments]], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback at a second of this loop."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._order += 1
        heappush(self._clockwork, (when, self._order, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to do: a cancelled timer is passed over."""

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T],  # type: ignore[override]  # generators are not started here
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Start a task."""
        if context is None:
            task = asyncio.Task(coro, loop=self, name=_text(name))
        else:
            task = asyncio.Task(coro, loop=self, name=_text(name), context=context)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[Unpack[Arguments]], T],
        *args: *Arguments,
    ) -> asyncio.Future[T]:
        """Run a plain function at once."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody has caught."""
        self.faults.append(context)

    def get_debug(self) -> bool:
        """Debugging is off."""
        return False

    def is_running(self) -> bool:
        """Whether it is being driven."""
        return self._is_driven

    def is_closed(self) -> bool:
        """Whether it was closed down."""
        return self._is_over

    async def shutdown_asyncgens(self) -> None:
        """Nothing is kept of generators."""


def _text(name: object) -> str | None:
    return None if name is None else str(name)


def _place_of(handle: asyncio.Handle) -> Place | None:
    context: Context = handle._context  # type: ignore[attr-defined]  # noqa: SLF001 - public from Python 3.12 on only
    return context.get(_PLACE)
