"""`compensation`: promises that are kept if a block does not end well.

A promise is made before the act it undoes and records nothing by itself: a replay makes the
same promises in the same order. When the block is left by a declared error or because the run
or branch is cancelled, the promises are kept, newest first, each as a full act with the label
`undo/`; then the exception goes on. Letting go of a run keeps none, and neither does a bug:
nothing has ended (authoring document, §9).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, Self, cast

from newel.base.errors import Cancelled, DefinitionError
from newel.flow.act import Ask, StepAct
from newel.flow.context import DRIVEN, SECTION
from newel.flow.step import Step

P = ParamSpec("P")


class Marker(Ask[int]):
    """Ask how many joints the branch has opened until now."""

    __slots__ = ()

    what = "compensation"


class Settling(Ask[None]):
    """Wait until everything that this branch has opened since a marker has ended."""

    __slots__ = ("since",)

    what = "compensation"

    def __init__(self, since: int) -> None:
        self.since = since


@dataclass(frozen=True, slots=True)
class Promise:
    """One call of an undoing step, and the section it was promised in."""

    step: Step[..., object]
    args: tuple[object, ...]
    kwargs: dict[str, object]
    section: str

    async def kept(self) -> None:
        """Call the step, whatever happens to the run meanwhile."""
        act = cast("StepAct[object]", self.step(*self.args, **self.kwargs))
        act.is_promise = True
        token = SECTION.set(f"undo/{self.section}")
        try:
            await act
        finally:
            SECTION.reset(token)


class Compensation:
    """`async with compensation() as undo:`, and in it `undo(step, *arguments)`."""

    def __init__(self) -> None:
        self._promises: list[Promise] = []
        self._since = 0

    def __call__(
        self, step: Callable[P, Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Promise to call `step` if the block does not end well; make it before the act.

        Raises DefinitionError for anything that is no step.
        """
        given: object = step
        if not isinstance(given, Step):
            raise DefinitionError(
                f"`{getattr(step, '__qualname__', step)}` is no step: its outcome would not be "
                "kept.",
                fix="promise a function with `@step`, or an operation of a connector.",
            )
        promised = cast("Step[..., Any]", given)
        self._promises.append(Promise(promised, args, dict(kwargs), SECTION.get()))

    async def __aenter__(self) -> Self:
        self._since = await Marker()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        promises, self._promises = self._promises, []
        if error is None or not _ends(error):
            return
        await Settling(self._since)
        failure: Exception | None = None
        for promise in reversed(promises):
            try:
                await promise.kept()
            except Exception as wrong:  # noqa: BLE001 - the remaining promises are kept first
                failure = failure or wrong
        if failure is not None and not isinstance(error, Cancelled):
            raise failure from error


def _ends(error: BaseException) -> bool:
    driven = DRIVEN.get()
    return isinstance(error, Cancelled) or (driven is not None and driven.is_declared(error))


def compensation() -> Compensation:
    """Open a block whose promises are kept, newest first, if it does not end well."""
    return Compensation()
