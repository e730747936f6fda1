"""How the code of a step is called: as a coroutine, in a thread, in a process, on a connection.

Each attempt gets a call of its own, which knows afterwards whether something may have happened
that nobody can see, and holds the open transaction of a transactional step.
"""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from newel.base.errors import Bug
from newel.engine.pools import Processes, Threads
from newel.flow.act import StepAct
from newel.flow.context import ATTEMPT
from newel.flow.elsewhere import Order
from newel.store.database import Database
from newel.store.riding import Ride

__all__ = ["Call", "Caller"]


class Call(Protocol):
    """One call of a step's code.

    leaves_doubt: whether, had it been cut off, something may have happened. ride: the transaction
    that waits for the outcome; ends with whoever holds the call.
    """

    leaves_doubt: bool
    ride: Ride | None

    async def make(self, act: StepAct[Any]) -> Any:  # Any: each step has its own result
        """Call it; gives its result or raises its exception."""
        ...


class Plain:
    """A coroutine of the author's."""

    leaves_doubt = True
    ride: Ride | None = None

    async def make(self, act: StepAct[Any]) -> Any:  # Any: each step has its own result
        """Run it where we are."""
        return await act.step.function(*act.args, **act.kwargs)


@dataclass(slots=True)
class InThread:
    """A plain function, in a thread of the pool."""

    threads: Threads
    leaves_doubt: bool = False
    ride: Ride | None = None

    async def make(self, act: StepAct[Any]) -> Any:  # Any: each step has its own result
        """Wait for a thread and for the function's end; cutting off ends only the waiting."""

        def work() -> Any:  # Any: as above
            self.leaves_doubt = True
            return act.step.function(*act.args, **act.kwargs)

        inside = contextvars.copy_context().run
        return await asyncio.get_running_loop().run_in_executor(self.threads, inside, work)


@dataclass(slots=True)
class InProcess:
    """A plain function, in a process of the pool."""

    processes: Processes
    leaves_doubt: bool = False
    ride: Ride | None = None

    async def make(self, act: StepAct[Any]) -> Any:  # Any: each step has its own result
        """Wait for a process and for the function's end; cutting off kills the process."""
        function, attempting = act.step.function, ATTEMPT.get()
        assert attempting is not None, "a call is made inside an attempt"
        if function.__module__ == "__main__":
            raise Bug(
                f"{function.__name__} is defined in the program that was started, where no other "
                "process finds it; move it into a module"
            )
        order = Order(
            module=function.__module__,
            name=function.__qualname__,
            args=act.args,
            kwargs=act.kwargs,
            info=attempting.info,
        )
        return await self.processes.call(order, self._begins)

    def _begins(self) -> None:
        self.leaves_doubt = True


@dataclass(slots=True)
class OnConnection:
    """A transactional step: its SQL waits, uncommitted, for its outcome."""

    database: Database
    settings: CallSettings
    turns: asyncio.Semaphore
    leaves_doubt: bool = False
    ride: Ride | None = None

    async def make(self, act: StepAct[Any]) -> Any:  # Any: each step has its own result
        """Begin a transaction and run the code in it."""
        await self.turns.acquire()
        self.ride = await Ride.begin(
            self.database,
            role=self.settings.role,
            timeout=self.settings.statement_timeout,
            ended=self.turns.release,
        )
        code = partial(_with_connection, act)
        return await self.ride.carry(code, act.step.options.raises)


async def _with_connection(act: StepAct[Any], guest: object) -> Any:  # Any: the step's own result
    return await act.step.function(guest, *act.args, **act.kwargs)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """How many calls of each kind run at once, and the limits of transactional ones.

    role: the database role whose rights a transactional step has; None: the connection's own.
    """

    threads: int = 16
    processes: int = 2
    transactions: int = 2
    statement_timeout: timedelta = timedelta(seconds=5)
    role: str | None = None


class Caller:
    """Gives every attempt its call; owns the pools of one worker."""

    def __init__(self, database: Database, settings: CallSettings) -> None:
        self._database = database
        self._settings = settings
        self._threads = Threads(settings.threads)
        self._processes = Processes(settings.processes)
        self._turns = asyncio.Semaphore(settings.transactions)

    def call(self, act: StepAct[Any]) -> Call:
        """The call for one attempt of this act."""
        step = act.step
        if step.options.transactional:
            return OnConnection(self._database, self._settings, self._turns)
        if step.is_async:
            return PLAIN
        if step.options.pool == "process":
            return InProcess(self._processes)
        return InThread(self._threads)

    def close(self) -> None:
        """Let go of threads and processes."""
        self._threads.close()
        self._processes.close()


PLAIN = Plain()
