"""Child runs: a process awaited inside another, and `spawn` for one with a life of its own.

The child is a run of its own, started once for its parent and key, whatever crashes in between.
Awaited, it is cancelled with the act that waits for it; spawned, it lives on unless it was
started `with_parent=True` (authoring document, §10).
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from newel.flow.act import Act, Place

if TYPE_CHECKING:
    from newel.flow.process import Process, Request

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class ChildAct(Act[R_co]):
    """A process called inside a run: a child run whose end the parent waits for."""

    __slots__ = ("args", "kwargs", "process")

    def __init__(
        self,
        process: Process[..., R_co],
        args: tuple[object, ...],
        kwargs: dict[str, object],
        place: Place,
    ) -> None:
        super().__init__(process.base, place, process.former_bases)
        self.process = process
        self.args = args
        self.kwargs = kwargs

    def arguments(self) -> dict[str, object]:
        """The call's arguments by name, defaults included."""
        bound = self.process.signature.bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        return bound.arguments

    def _outside(self) -> Awaitable[R_co]:
        return self.process.function(*self.args, **self.kwargs)


class SpawnAct(Act["Child[R]"]):
    """The start of a run of its own; with_parent: whether it is cancelled with its parent."""

    __slots__ = ("args", "kwargs", "process", "with_parent")

    def __init__(self, request: Request[R], place: Place, *, with_parent: bool) -> None:
        super().__init__(request.process.base, place, request.process.former_bases)
        self.process: Process[..., R] = request.process
        self.args = request.args
        self.kwargs = dict(request.kwargs)
        self.with_parent = with_parent

    arguments = cast("Any", ChildAct[Any].arguments)


class ResultAct(Act[R_co]):
    """The wait for the end of a run that was spawned."""

    __slots__ = ("child",)

    def __init__(self, child: Child[R_co], base: str, place: Place) -> None:
        super().__init__(base, place)
        self.child = child


@dataclass(frozen=True, slots=True)
class Child(Generic[R_co]):
    """A run that was spawned; run: its reference. base: the key of its start, without counter."""

    run: str
    base: str
    process: Process[..., R_co]

    def result(self) -> Act[R_co]:
        """Wait for its end: its value, or ChildFailed."""
        name, bracket, item = self.base.partition("[")
        return ResultAct(self, f"{name}.result{bracket}{item}", Place.of_caller())


@overload
def spawn(process: Process[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Act[Child[R]]: ...
@overload
def spawn(request: Request[R], /, *, with_parent: bool = False) -> Act[Child[R]]: ...
def spawn(
    what: Any, /, *args: Any, **kwargs: Any
) -> Act[Child[Any]]:  # Any: the overloads say what
    """Start a run of its own and do not wait for it.

    what: a process with its arguments, or a request with options; `process[item]` names one of
    many. with_parent: the run is cancelled when its parent is.
    """
    place = Place.of_caller()
    if hasattr(what, "request"):
        return SpawnAct(what.request(*args, **kwargs), place, with_parent=False)
    return SpawnAct(what, place, with_parent=bool(kwargs.get("with_parent", False)))
