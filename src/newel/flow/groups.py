"""`group`: branches that are added while others already run.

The body goes on beside the members until it joins them, at the latest at the end of the block.
`complete` ends the open members and keeps what the finished ones gave; `cancel` ends all. Each
of these acts is an outcome of its own, so a replay joins at the same point of the story
(patterns document, §1).
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from contextvars import copy_context
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar, cast, overload

from newel.base.errors import Cancelled, DefinitionError, OutsideRun
from newel.domain.keys import Formerly, former, former_with_verb, named
from newel.flow.act import Act, Ask, Place
from newel.flow.context import DRIVEN
from newel.flow.races import Losers

T = TypeVar("T")


class Opening(Ask[None]):
    """Open a group: from here on the body is a branch beside its members."""

    __slots__ = ("group",)

    what = "group"

    def __init__(self, group: Group[Any]) -> None:
        self.group = group


class Closing(Ask[None]):
    """Join what is left of a group, or leave it at once with a fault.

    is_orderly: whether failures nobody has seen are raised. is_fault: whether a fault leaves the
    block; its members go on beside whatever catches it.
    """

    __slots__ = ("group", "is_fault", "is_orderly")

    what = "group"

    def __init__(self, group: Group[Any], *, is_orderly: bool, is_fault: bool) -> None:
        self.group = group
        self.is_orderly = is_orderly
        self.is_fault = is_fault


class Joining(Act[tuple[T, ...]]):
    """Wait for all members, or for `need` successes."""

    __slots__ = ("group", "losers_finish", "need")

    def __init__(self, group: Group[T], need: int | None, losers: Losers, place: Place) -> None:
        super().__init__(f"{group.base}.join", place, former_with_verb(group.formerly, "join"))
        self.group = group
        self.need = need
        self.losers_finish = losers == "finish"


class Ending(Act[None]):
    """End the open members; `verb` says whether the finished ones count."""

    __slots__ = ("group", "verb")

    def __init__(
        self, group: Group[Any], verb: Literal["complete", "cancel"], place: Place
    ) -> None:
        super().__init__(f"{group.base}.{verb}", place, former_with_verb(group.formerly, verb))
        self.group = group
        self.verb = verb


class Group(Generic[T]):
    """A growing number of branches; used as `async with group("key", Result) as members:`."""

    def __init__(self, key: str, formerly: Formerly = ()) -> None:
        self.base = named(key)
        self.formerly = former(formerly)

    def add(self, call: Awaitable[T]) -> None:
        """Start one more branch; it goes as far as it can while the body goes on.

        Raises OutsideRun outside a run, and DefinitionError outside the group's block.
        """
        driven = DRIVEN.get()
        if driven is None:
            raise OutsideRun(act=f"{self.base}.add()")
        if self not in driven.groups and isinstance(call, Coroutine):
            call.close()
        self._must_be_open("add()")
        driven.added.append((self, cast("Awaitable[Any]", call), copy_context()))  # Any: as there

    def join(self, need: int | None = None, *, losers: Losers = "cancel") -> Act[tuple[T, ...]]:
        """Wait for all members, or for `need` successes; values in order of arrival.

        With `need` the rest is cancelled, or finishes (`losers="finish"`). Failures are raised as
        one ExceptionGroup when all have ended and, with `need`, too few have succeeded.
        """
        self._must_be_open("join()")
        if need is not None and need < 1:
            raise DefinitionError(
                f"join(need={need}) of {self.base!r} waits for nothing.", fix="need=1 or more."
            )
        return Joining(self, need, losers, Place.of_caller())

    def complete(self) -> Act[None]:
        """End the open members and keep what the finished ones gave for `join`."""
        self._must_be_open("complete()")
        return Ending(self, "complete", Place.of_caller())

    def cancel(self) -> Act[None]:
        """End all members."""
        self._must_be_open("cancel()")
        return Ending(self, "cancel", Place.of_caller())

    async def __aenter__(self) -> Group[T]:
        await Opening(self)
        if (driven := DRIVEN.get()) is not None:
            driven.groups.add(self)
        return self

    def _must_be_open(self, what: str) -> None:
        driven = DRIVEN.get()
        if driven is not None and self not in driven.groups:
            raise DefinitionError(
                f"{what} of the group {self.base!r} stands outside its block.",
                fix="`async with group(…) as members:`, and the call inside it.",
            )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        driven = DRIVEN.get()
        if error is None or isinstance(error, (Exception, Cancelled)):
            is_fault = (
                isinstance(error, Exception)
                and driven is not None
                and not driven.is_declared(error)
            )
            await Closing(self, is_orderly=error is None, is_fault=is_fault)
            if driven is not None:
                driven.groups.discard(self)


@overload
def group(key: str, *, formerly: Formerly = ()) -> Group[object]: ...
@overload
def group(key: str, result: type[T], *, formerly: Formerly = ()) -> Group[T]: ...
def group(
    key: str,
    result: type[Any] = object,  # noqa: ARG001 - it types what `join` returns
    *,
    formerly: Formerly = (),
) -> Group[Any]:
    """Open a group of branches; `result` types what `join` returns. formerly: keys that it had."""
    return Group(key, formerly)
