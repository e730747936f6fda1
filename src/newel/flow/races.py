"""`first_of` and `n_of`: branches beside each other, of which some decide.

A race continues as soon as it is decided: by the first branch that ends, or by the n-th that
succeeds. The decision is an outcome of its own, recorded in the transaction that ended the
deciding branch, so that every replay decides the same way. What happens to the losers is the
author's choice: they are cancelled at their next durable act, or they finish beside what
follows (patterns document, §1 and §2).
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from newel.base.errors import DefinitionError
from newel.domain.keys import Formerly, former, named
from newel.flow.act import Act, Ask, Place

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

Losers = Literal["cancel", "finish"]

_LOSERS: Final = ("cancel", "finish")


class Rest(Ask[None]):
    """Wait until the stragglers of a race have ended."""

    __slots__ = ("race",)

    what = "rest()"

    def __init__(self, race: Race[Any]) -> None:
        self.race = race


@dataclass(frozen=True, slots=True, repr=False)
class Won(Generic[R_co]):
    """Who decided a `first_of`, and with what."""

    name: str
    value: R_co
    race: Race[Any]  # Any: a race of any results

    def rest(self) -> Rest:
        """Wait for the branches that did not decide."""
        return Rest(self.race)

    def __repr__(self) -> str:
        return f"Won({self.name!r}, {self.value!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Reached(Generic[R_co]):
    """The first n successes of an `n_of`, in order of arrival; failed: what failed until then."""

    values: tuple[R_co, ...]
    failed: tuple[Exception, ...]
    race: Race[Any]  # Any: as above

    def rest(self) -> Rest:
        """Wait for the branches that did not decide."""
        return Rest(self.race)

    def __repr__(self) -> str:
        return f"Reached({self.values!r})"


class Race(Act[R_co]):
    """Branches with names, of which `need` must succeed; without `need` the first end decides."""

    __slots__ = ("branches", "losers_finish", "need")

    def __init__(
        self,
        key: str,
        branches: tuple[tuple[str, Awaitable[object]], ...],
        place: Place,
        *,
        need: int | None,
        losers: Losers,
        formerly: Formerly = (),
    ) -> None:
        super().__init__(named(key), place, former(formerly))
        if losers not in _LOSERS:
            raise DefinitionError(
                f"{key!r} got losers={losers!r}.", fix='losers="cancel" or losers="finish".'
            )
        self.branches = branches
        self.need = need
        self.losers_finish = losers == "finish"

    def result(
        self, names: tuple[str, ...], values: tuple[Any, ...], failed: list[Exception]
    ) -> R_co:
        """What the author's code is given when the race is decided."""
        given: Any = (
            Won(names[0], values[0], self)
            if self.need is None
            else Reached(values, tuple(failed), self)
        )
        return given  # type: ignore[no-any-return]  # Won or Reached, as `first_of` and `n_of` say


def dropped(branch: Awaitable[object] | None) -> None:
    """Let go of a branch that never starts."""
    if isinstance(branch, Coroutine):
        branch.close()
    elif isinstance(branch, Act):
        branch.is_awaited = True


def first_of(
    key: str,
    *,
    losers: Losers = "cancel",
    formerly: Formerly = (),
    **branches: Awaitable[T],
) -> Act[Won[T]]:
    """Run all branches until the first one ends, by value or by exception; that one decides.

    losers: whether the others are cancelled, or finish beside what follows. formerly: keys that
    it had. An exception of the deciding branch is raised. Raises DefinitionError without branches.
    """
    if not branches:
        raise DefinitionError(
            f"first_of({key!r}) has no branches: nothing could ever decide it.",
            fix="give at least one, by name: `first_of(…, signed=…, late=…)`.",
        )
    place = Place.of_caller()
    named_ = tuple(branches.items())
    return Race(key, named_, place, need=None, losers=losers, formerly=formerly)


def n_of(
    key: str,
    n: int,
    /,
    *branches: Awaitable[T],
    losers: Losers = "cancel",
    formerly: Formerly = (),
) -> Act[Reached[T]]:
    """Run all branches until n of them have succeeded; their values come in order of arrival.

    Raises the group of failures when n can no longer be reached, and DefinitionError, before
    anything is asked, where there are fewer than n branches.
    """
    if not 1 <= n <= len(branches):
        for branch in branches:  # none of them is asked anything
            dropped(branch)
        raise DefinitionError(
            f"n_of({key!r}, {n}) has {len(branches)} branches: {n} can never succeed.",
            fix="ask for at least 1 and for no more than there are branches.",
        )
    named_ = tuple((str(number), branch) for number, branch in enumerate(branches, 1))
    return Race(key, named_, Place.of_caller(), need=n, losers=losers, formerly=formerly)
