"""Which Python function stands for which named statement of the store's `.sql` files.

    @statement("runs.wake")
    def wake(at: Transaction, run: UUID) -> int: ...

The function takes the transaction and the statement's parameters in their order. It answers with
rows (dictionaries by column) or with how many rows it touched. Only named statements are answered:
the text is compared as a whole, nothing of it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, TypeVar

from newel.base.errors import StoreError
from newel.store.migrate import NEWEST
from newel.store.queries import queries

if TYPE_CHECKING:
    from newel.testing.memory.tables import Row
    from newel.testing.memory.transaction import Transaction

__all__ = ["answered", "known", "name_of", "statement"]

Answers = Callable[..., "list[Row] | int"]
Function = TypeVar("Function", bound=Answers)

_FUNCTIONS: Final[dict[str, Answers]] = {}
_BY_TEXT: Final[dict[str, tuple[str, Answers]]] = {}


def statement(name: str) -> Callable[[Function], Function]:
    """Let a function stand for the statement `module.name`."""

    def kept(function: Function) -> Function:
        _FUNCTIONS[name] = function
        return function

    return kept


def known() -> frozenset[str]:
    """The names of all statements that memory answers."""
    return frozenset(_FUNCTIONS)


@cache
def _names() -> dict[str, str]:
    """The name of each statement of the store by its text."""
    found = {NEWEST: "migrate.newest"}
    for file in files("newel.store").iterdir():
        module, _, ending = file.name.rpartition(".")
        if ending == "sql":
            for name, text in queries(module):
                found[text] = f"{module}.{name}"
    return found


def name_of(text: str) -> str:
    """The name of a statement.

    Raises StoreError for one that is in none of the store's files.
    """
    try:
        return _names()[text]
    except KeyError:
        raise StoreError(
            "A database in memory answers only the named statements of newel.store, not: "
            f"{text[:200]}"
        ) from None


def answered(text: str, at: Transaction, values: tuple[Any, ...]) -> list[Row] | int:
    """Run the function of a statement.

    Raises StoreError for a statement that has none.
    """
    found = _BY_TEXT.get(text)
    if found is None:
        name = name_of(text)
        if name not in _FUNCTIONS:
            raise StoreError(
                f"The statement {name} has no function in newel.testing.memory: add one with "
                f'@statement("{name}").'
            )
        found = _BY_TEXT[text] = (name, _FUNCTIONS[name])
    return found[1](at, *values)
