"""Where plain functions run: in bounded pools of threads and of processes.

A thread cannot be cut off: what still runs when its attempt's time is over keeps its place until it
ends by itself, and holds up nobody's farewell. A process can: it is killed, and the next call gets
a new one. In both cases whether anything happened is not known.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

from newel.base.errors import Bug, OutcomeUnknown
from newel.flow.elsewhere import Order

__all__ = ["Processes", "Threads"]

_FRAME: Final = 8


class Threads(Executor):
    """At most `size` threads, made when they are needed; they die with the program."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._made = 0
        self._idle = 0
        self._lock = threading.Lock()

    def submit(
        self,
        work: Callable[..., Any],
        /,
        *args: Any,
        **kwargs: Any,  # Any: the work's own
    ) -> Future[Any]:
        """Run `work` in a thread; the future is its end, and cancels what has not begun."""
        future: Future[Any] = Future()
        with self._lock:
            if self._idle <= 0 and self._made < self._size:
                self._made += 1
                threading.Thread(
                    target=self._run, name=f"newel-step-{self._made}", daemon=True
                ).start()
            else:
                self._idle -= 1
        self._queue.put((future, partial(work, *args, **kwargs)))
        return future

    def close(self) -> None:
        """Let go of all threads; one that is busy ends after its work."""
        for _ in range(self._made):
            self._queue.put(None)

    def _run(self) -> None:
        while (taken := self._queue.get()) is not None:
            future, work = taken
            if future.set_running_or_notify_cancel():
                try:
                    value = work()
                except BaseException as error:  # noqa: BLE001 - judged by whoever waits for it
                    future.set_exception(error)
                else:
                    future.set_result(value)
            with self._lock:
                self._idle += 1


class Processes:
    """At most `size` processes, each for one call at a time; used again while they live."""

    def __init__(self, size: int) -> None:
        self._free = asyncio.Semaphore(size)
        self._idle: list[asyncio.subprocess.Process] = []

    async def call(self, order: Order, began: Callable[[], None]) -> Any:  # Any: the step's own
        """Call a function in a process of its own; `began` is called once it may have begun.

        Raises what it raised, OutcomeUnknown if its process died, Bug if it cannot be sent there.
        """
        try:
            written = pickle.dumps(order)
        except Exception as error:  # noqa: BLE001 - a value says by any exception that it cannot
            raise Bug(
                f"an argument cannot go to another process ({type(error).__name__})"
            ) from None
        async with self._free:
            child = self._idle.pop() if self._idle else await _started()
            try:
                began()
                answer = await _asked(child, written)
            except BaseException:
                _killed(child)
                raise
        if answer is None:
            _killed(child)
            raise OutcomeUnknown("the process of the step died")
        self._idle.append(child)
        is_value, found = pickle.loads(answer)  # noqa: S301 - written by our own child
        if is_value:
            return found
        raise found

    def close(self) -> None:
        """End all processes that are idle; those that are busy end with their calls."""
        while self._idle:
            _killed(self._idle.pop())


async def _started() -> asyncio.subprocess.Process:
    path = os.pathsep.join(each for each in sys.path if each)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "newel.flow.elsewhere",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


async def _asked(child: asyncio.subprocess.Process, written: bytes) -> bytes | None:
    """Send one frame and read one; None if the process has died."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(len(written).to_bytes(_FRAME, "big") + written)
        await child.stdin.drain()
        size = int.from_bytes(await child.stdout.readexactly(_FRAME), "big")
        return await child.stdout.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def _killed(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        try:
            child.kill()
        except ProcessLookupError:
            return  # it has just ended by itself
