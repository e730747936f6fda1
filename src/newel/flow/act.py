"""`Act` and `Ask`: the awaitables that durable words return.

Calling a step or a wait runs nothing: it makes an Act, which remembers what was called and
where. Awaiting it hands the Act itself to whoever drives the coroutine; the runner claims the
key, looks it up in the journal and sends the outcome back. An Ask is handed over in the same
way and has no key: it opens or leaves something that follows from the acts around it. Outside a
run a step is an ordinary coroutine; a wait, and every word that needs a run, cannot be.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Generator
from types import CodeType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from newel.base.errors import ActReused, NestedAct, OutsideRun
from newel.flow.context import ATTEMPT, DRIVEN

if TYPE_CHECKING:
    from newel.flow.step import Step
    from newel.flow.waits import WaitSpec

R_co = TypeVar("R_co", covariant=True)


class Place:
    """Where in the author's code something was called; text is made only when asked for."""

    __slots__ = ("at", "code", "line")

    def __init__(self, code: CodeType, line: int, at: int) -> None:
        self.code = code
        self.line = line
        self.at = at

    @classmethod
    def of_caller(cls, *, above: int = 1) -> Place:
        """The place that called whoever asks; `above` counts the frames in between."""
        # The only cheap way to learn the place of a call: inspect builds a whole stack.
        frame = sys._getframe(above + 1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return cls(frame.f_code, frame.f_lineno, frame.f_lasti)

    def __str__(self) -> str:
        return f"{self.code.co_filename.rpartition('/')[2]}:{self.line}"


def declaring_module() -> str:
    """The name of the module that called whoever asks."""
    # As above: the only cheap way.
    frame = sys._getframe(2)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return str(frame.f_globals.get("__name__", ""))


class Act(Generic[R_co]):
    """A durable act that was called and not yet awaited; awaiting it yields its outcome.

    It is an `Awaitable[R_co]` by its shape; deriving that class would make every look at its type,
    of which a run takes dozens a step, several times as slow. formerly: keys of earlier code.
    """

    __slots__ = ("base", "during", "formerly", "is_awaited", "place")

    is_promise = False
    """Whether it is a promise being kept, which no cancellation reaches."""

    def __init__(self, base: str, place: Place, formerly: tuple[str, ...] = ()) -> None:
        self.base = base
        self.place = place
        self.formerly = formerly
        self.is_awaited = False
        self.during: BaseException | None = None
        driven = DRIVEN.get()
        if driven is not None:
            driven.called.append(self)

    def __await__(self) -> Generator[Any, Any, R_co]:  # Any: what drives decides what it sends
        if self.is_awaited:
            raise ActReused(act=self.base, place=str(self.place))
        self.is_awaited = True
        attempting = ATTEMPT.get()
        if attempting is not None:
            raise NestedAct(act=self.base, step=attempting.info.key, place=str(self.place))
        if DRIVEN.get() is None:
            return (yield from self._outside().__await__())
        self.during = sys.exception()
        return cast("R_co", (yield self))

    def _outside(self) -> Awaitable[R_co]:
        raise OutsideRun(act=self.base, place=str(self.place))


class StepAct(Act[R_co]):
    """A call of a step, with its arguments."""

    __slots__ = ("args", "is_promise", "kwargs", "step")

    def __init__(
        self,
        step: Step[..., R_co],
        args: tuple[object, ...],
        kwargs: dict[str, object],
        place: Place,
    ) -> None:
        super().__init__(step.base, place, step.formerly)
        self.step = step
        self.args = args
        self.kwargs = kwargs
        self.is_promise = False

    def _outside(self) -> Awaitable[R_co]:
        return self.step.called(*self.args, **self.kwargs)


class WaitAct(Act[R_co]):
    """A wait: a timer, a task for a person, a message from outside."""

    __slots__ = ("spec",)

    def __init__(
        self, base: str, spec: WaitSpec, place: Place, formerly: tuple[str, ...] = ()
    ) -> None:
        super().__init__(base, place, formerly)
        self.spec = spec


class Ask(Generic[R_co]):
    """Something without a key that a word asks of the runner; `what` names the word."""

    __slots__ = ()

    what = "this"

    def __await__(self) -> Generator[Any, Any, R_co]:  # Any: what drives decides what it sends
        if DRIVEN.get() is None:
            raise OutsideRun(act=self.what)
        return cast("R_co", (yield self))


class Fork(Generic[R_co]):
    """What `parallel` returns: branches that the runner drives beside each other."""

    __slots__ = ("branches", "during", "is_awaited", "place")

    def __init__(self, branches: tuple[Awaitable[object] | None, ...], place: Place) -> None:
        self.branches = branches
        self.place = place
        self.is_awaited = False
        self.during: BaseException | None = None

    def __await__(self) -> Generator[Any, Any, R_co]:  # Any: what drives decides what it sends
        if self.is_awaited:
            raise ActReused(act="parallel", place=str(self.place))
        self.is_awaited = True
        if DRIVEN.get() is None:
            return (yield from self._outside().__await__())
        self.during = sys.exception()
        return cast("R_co", (yield self))

    async def _outside(self) -> R_co:
        """Outside a run the branches are ordinary coroutines; all end before anything is raised."""
        ends = await asyncio.gather(
            *(_nothing() if each is None else each for each in self.branches),
            return_exceptions=True,
        )
        failures = [end for end in ends if isinstance(end, Exception)]
        if failures:
            raise ExceptionGroup("branches of a parallel failed", failures)
        return cast("R_co", tuple(ends))


async def _nothing() -> None:
    """Be the empty branch."""
