"""`scope`: a named region that can be cancelled while branches stand inside.

Declared at module level and without state; what stands inside is known to the run. Cancelling
ends everything inside at its next durable act and goes on after each block.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import Final, Self

from newel.base.errors import Cancelled, DefinitionError
from newel.domain.keys import Formerly, checked_name, former, former_with_verb
from newel.flow.act import Act, Ask, Place

_LEFT: Final[ContextVar[frozenset[str]]] = ContextVar("newel_scopes_left", default=frozenset())


class Entering(Ask[None]):
    """Step into a scope."""

    __slots__ = ("scope",)

    what = "scope"

    def __init__(self, scope: Scope) -> None:
        self.scope = scope


class Leaving(Ask[bool]):
    """Step out of a scope; answers whether the scope was cancelled and the branch goes on."""

    __slots__ = ("error", "scope")

    what = "scope"

    def __init__(self, scope: Scope, error: BaseException | None) -> None:
        self.scope = scope
        self.error = error


class Clearing(Act[None]):
    """Cancel what stands inside a scope."""

    __slots__ = ("scope",)

    def __init__(self, scope: Scope, place: Place) -> None:
        super().__init__(f"{scope.name}.cancel", place, former_with_verb(scope.formerly, "cancel"))
        self.scope = scope


class Scope:
    """A cancel region; `async with region:` steps in, `await region.cancel()` ends all inside."""

    def __init__(self, name: str, formerly: Formerly = ()) -> None:
        self.name = checked_name(name)
        self.formerly = former(formerly)

    def cancel(self) -> Act[None]:
        """End what stands inside; each block that was cut short goes on behind its end."""
        return Clearing(self, Place.of_caller())

    @property
    def cancelled(self) -> bool:
        """Whether this branch's own block of the scope, the latest one, was cut short."""
        return self.name in _LEFT.get()

    async def __aenter__(self) -> Self:
        _LEFT.set(_LEFT.get() - {self.name})
        await Entering(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is not None and not isinstance(error, (Exception, Cancelled)):
            return False  # the run is let go of: nothing has ended
        was_cut = await Leaving(self, error)
        if was_cut:
            _LEFT.set(_LEFT.get() | {self.name})
        return was_cut


def scope(key: str, *, formerly: Formerly = ()) -> Scope:
    """Declare a cancel region, at module level; raises DefinitionError for a reserved name.

    formerly: names that it had.
    """
    if key == "undo":
        raise DefinitionError("The name `undo` is reserved for promises.", fix="another name.")
    return Scope(key, formerly)
