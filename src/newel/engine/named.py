"""What the code declares, by name: a name is for ever, so it stands for one thing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from newel.base.errors import DefinitionError

__all__ = ["by_name"]


class Declared(Protocol):
    """Something that is declared under a name, in the module `place`."""

    @property
    def name(self) -> str:
        """The name, for ever."""
        ...

    @property
    def place(self) -> str:
        """The module that declares it; empty if nobody knows."""
        ...


D = TypeVar("D", bound=Declared)


def by_name(kind: str, declared: Iterable[D], *, fix: str, code: str) -> dict[str, D]:
    """Give what is declared by its name; the same thing may be given twice.

    kind: what they are, in the plural. Raises DefinitionError, with both places, for a name of two.
    """
    found: dict[str, D] = {}
    for each in declared:
        earlier = found.setdefault(each.name, each)
        if earlier is each:
            continue
        where = f" in `{earlier.place}`" if earlier.place else ""
        if where and each.place not in {"", earlier.place}:
            where += f" and in `{each.place}`"
        raise DefinitionError(
            f"Two {kind} are named `{each.name}`{':' if where else ''}{where}.", fix=fix, code=code
        )
    return found
