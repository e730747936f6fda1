"""Driving the body of one run: a plain synchronous loop, without tasks, I/O or clock.

The runner drives the coroutine itself with `send` and `throw`. An act is an awaitable that
yields itself; `parallel` yields its branches, which are driven here as sub-coroutines, each in
a `contextvars` context of its own. From this follow, without further machinery:

- running ahead is a loop that ends when every branch rests;
- letting go of a run is throwing `Suspended` and dropping the coroutine;
- awaiting anything that is not an act is noticed at the first `await`.

Which of several branches goes on first is decided by the place of its outcome in the journal
(`seq`, a total order of wake-ups), live and in every replay alike, so that the body sees the
same world every time (engine document, I10).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from typing import Any
from uuid import UUID

from newel.base.errors import ActReused, Cancelled, DefinitionError, NotDurable, Suspended
from newel.domain.keys import BranchPath, Claims
from newel.domain.values import RunInfo
from newel.flow.act import Act, Fork
from newel.flow.context import ATTEMPT, DRIVEN, FORMER_SECTIONS, MOMENT, SECTION, Driven, Moment
from newel.flow.process import Process
from newel.flow.regions import former_keys


@dataclass(slots=True)
class Ready:
    """An outcome on its way into a branch: a value or an exception, and its moment."""

    value: object
    error: BaseException | None
    at: datetime


class Branch:
    """One line of control: the body itself, or a branch of a `parallel`.

    forks: how many it has opened. is_cancelled: whether it is on its way out already; what it
    still does in a `finally` is protected from the same cancellation.
    """

    __slots__ = (
        "act",
        "context",
        "coroutine",
        "fork",
        "forks",
        "is_cancelled",
        "key",
        "moment",
        "number",
        "path",
        "section",
    )

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, object] | None,
        context: Context,
        *,
        path: BranchPath,
        moment: Moment,
        fork: OpenFork | None = None,
        number: int = 0,
    ) -> None:
        self.coroutine = coroutine
        self.context = context
        self.section = context.get(SECTION, "")
        self.path = path
        self.moment = moment
        self.fork = fork
        self.number = number
        self.act: Act[object] | None = None
        self.key = ""
        self.forks = 0
        self.is_cancelled = False


class OpenFork:
    """A `parallel` whose branches have not all ended."""

    __slots__ = ("errors", "id", "open", "owner", "values")

    def __init__(self, number: int, owner: Branch, width: int) -> None:
        self.id = number
        self.owner = owner
        self.open = width
        self.values: list[object] = [None] * width
        self.errors: dict[int, BaseException] = {}


def _as_it_is(key: str, _: tuple[str, ...]) -> str:
    return key


class Body:
    """One run's coroutine and branches; knows what is reached and what has ended.

    reached: called for each act that a branch has come to, with its key. It answers with the
    place in the journal of the act's outcome, and the outcome, or None where there is none:
    then the branch rests until `resume` is called for its key. known_as: gives the key under which
    the run knows an act, of its own and its former ones.
    """

    def __init__(
        self,
        process: Process[..., Any],  # Any: a body's result has its own type
        arguments: dict[str, object],
        *,
        run: UUID,
        info: RunInfo,
        reached: Callable[[str, Act[object]], tuple[int, Ready] | None],
        known_as: Callable[[str, tuple[str, ...]], str] = _as_it_is,
    ) -> None:
        self._reached = reached
        self._known_as = known_as
        self._claims = Claims()
        self._forks = 0
        self._order = 0
        self._ready: list[tuple[int, int, Branch, Ready]] = []
        self._live: dict[Branch, None] = {}
        self.resting: dict[str, Branch] = {}
        self.driven = Driven(run=run, info=info, started_at=info.started_at)
        self.has_ended = False
        self.value: object = None
        self.error: BaseException | None = None
        context = copy_context()
        moment = Moment(at=info.started_at)
        context.run(DRIVEN.set, self.driven)
        context.run(MOMENT.set, moment)
        context.run(ATTEMPT.set, None)  # whoever loads a run may stand in an attempt's context
        coroutine = context.run(process.function, **arguments)
        self._root = Branch(coroutine, context, path=(), moment=moment)
        self._live[self._root] = None

    def start(self) -> None:
        """Run the body until every branch rests or the body has ended."""
        self._advance(self._root, None)
        self._drain()

    def resume(self, key: str, seq: int, outcome: Ready) -> None:
        """Hand an outcome to the branch that rests at `key`, and run on."""
        branch = self.resting.pop(key)
        self._enqueue(branch, seq, outcome)
        self._drain()

    def is_cancelled(self, key: str) -> bool:
        """Whether the branch that rests at `key` is on its way out already."""
        return self.resting[key].is_cancelled

    def standing(self) -> Iterator[tuple[Coroutine[Any, Any, object], str]]:
        """The coroutines that are suspended, with the sections that each was begun in."""
        for branch in self._live:
            if branch.coroutine is not None:
                yield branch.coroutine, branch.section

    def dismiss(self) -> None:
        """Let go of all coroutines: no act of a `finally` runs, nothing is recorded.

        None is left to the collector of garbage: that would close it outside its context, where
        an act of a `finally` looks like a plain call.
        """
        for branch in reversed(self._live):
            _dismiss(branch)
        self._live.clear()
        self.resting.clear()

    def _enqueue(self, branch: Branch, seq: int, outcome: Ready) -> None:
        self._order += 1
        heappush(self._ready, (seq, self._order, branch, outcome))

    def _drain(self) -> None:
        while self._ready:
            _, _, branch, outcome = heappop(self._ready)
            branch.moment.at = max(branch.moment.at, outcome.at)
            self._advance(branch, outcome)

    def _advance(self, branch: Branch, outcome: Ready | None) -> None:
        if outcome is not None and isinstance(outcome.error, Cancelled):
            branch.is_cancelled = True
        if branch.coroutine is None:
            self._end(branch, outcome)
            return
        try:
            if outcome is None:
                yielded = branch.context.run(branch.coroutine.send, None)
            elif outcome.error is not None:
                yielded = branch.context.run(branch.coroutine.throw, outcome.error)
            else:
                yielded = branch.context.run(branch.coroutine.send, outcome.value)
        except StopIteration as stop:
            self._end(branch, Ready(stop.value, None, branch.moment.at))
        except BaseException as error:  # noqa: BLE001 - judged by whoever asked for the branch
            self._end(branch, Ready(None, error, branch.moment.at))
        else:
            self._arrive(branch, yielded)

    def _arrive(self, branch: Branch, yielded: object) -> None:
        if isinstance(yielded, Act):
            self._claim(branch, yielded)
        elif isinstance(yielded, Fork):
            self._split(branch, yielded)
        else:
            self._enqueue(
                branch,
                0,
                Ready(
                    None,
                    NotDurable(awaited=type(yielded).__name__, place=_place(branch)),
                    branch.moment.at,
                ),
            )

    def _claim(self, branch: Branch, act: Act[object]) -> None:
        section = branch.context.get(SECTION, "")
        try:
            key = self._claims.claim(section + act.base, branch.path)
            former = former_keys(act, section, branch.context.get(FORMER_SECTIONS, ()))
            branch.key = self._known_as(key, former)
        except DefinitionError as error:
            self._enqueue(branch, 0, Ready(None, error, branch.moment.at))
            return
        branch.act = act
        known = self._reached(branch.key, act)
        if known is None:
            self.resting[branch.key] = branch
        else:
            self._enqueue(branch, *known)

    def _split(self, owner: Branch, fork: Fork[object]) -> None:
        self._forks += 1
        owner.forks += 1
        opened = OpenFork(self._forks, owner, len(fork.branches))
        self._claims.opened(opened.id)
        for number, awaitable in enumerate(fork.branches):
            branch = self._branch(owner, opened, number, awaitable)
            if awaitable is None:
                self._end(branch, None)
            elif isinstance(awaitable, Act):
                self._take(branch, awaitable)
            else:
                self._advance(branch, None)
        if not fork.branches:
            self._join(opened)

    def _take(self, branch: Branch, act: Act[object]) -> None:
        if act.is_awaited:
            error = ActReused(act=act.base, place=str(act.place))
            self._enqueue(branch, 0, Ready(None, error, branch.moment.at))
            return
        act.is_awaited = True
        self._claim(branch, act)

    def _branch(
        self, owner: Branch, fork: OpenFork, number: int, awaitable: Awaitable[object] | None
    ) -> Branch:
        label = f"{owner.moment.branch}{owner.forks}.{number}/"
        moment = Moment(at=owner.moment.at, branch=label)
        coroutine: Coroutine[Any, Any, object] | None = None
        context = owner.context
        if awaitable is not None and not isinstance(awaitable, Act):
            context = owner.context.copy()
            context.run(MOMENT.set, moment)
            coroutine = awaitable if isinstance(awaitable, Coroutine) else _awaiting(awaitable)
        path = (*owner.path, (fork.id, number))
        branch = Branch(coroutine, context, path=path, moment=moment, fork=fork, number=number)
        branch.is_cancelled = owner.is_cancelled
        if coroutine is not None:
            self._live[branch] = None
        return branch

    def _end(self, branch: Branch, outcome: Ready | None) -> None:
        self._live.pop(branch, None)
        value = None if outcome is None else outcome.value
        error = None if outcome is None else outcome.error
        fork = branch.fork
        if fork is None:
            self.has_ended, self.value, self.error = True, value, error
            return
        fork.values[branch.number] = value
        if error is not None:
            fork.errors[branch.number] = error
        fork.owner.moment.at = max(fork.owner.moment.at, branch.moment.at)
        fork.open -= 1
        if fork.open == 0:
            self._join(fork)

    def _join(self, fork: OpenFork) -> None:
        self._claims.joined(fork.id)
        error = _joined_error([fork.errors[number] for number in sorted(fork.errors)])
        value = None if error is not None else tuple(fork.values)
        self._enqueue(fork.owner, 0, Ready(value, error, fork.owner.moment.at))


def _joined_error(errors: list[BaseException]) -> BaseException | None:
    if not errors:
        return None
    for error in errors:
        if not isinstance(error, Exception):
            return error
    return ExceptionGroup("branches of a parallel failed", [*_exceptions(errors)])


def _exceptions(errors: list[BaseException]) -> Iterator[Exception]:
    for error in errors:
        if isinstance(error, Exception):
            yield error


async def _awaiting(awaitable: Awaitable[object]) -> object:
    return await awaitable


def _dismiss(branch: Branch) -> None:
    coroutine = branch.coroutine
    if coroutine is None or coroutine.cr_frame is None:  # type: ignore[attr-defined]  # a native coroutine has a frame
        return
    try:
        while True:  # an act in a `finally` raises Suspended again and claims nothing
            branch.context.run(coroutine.throw, Suspended())
    except BaseException:  # noqa: BLE001, S110 - nothing that a dropped body says is heard
        pass


def _place(branch: Branch) -> str:
    frame = None if branch.coroutine is None else branch.coroutine.cr_frame  # type: ignore[attr-defined]  # native coroutine
    if frame is None:
        return "the body"
    return f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
