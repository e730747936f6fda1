"""The types of a function's parameters and result, resolved; missing ones are refused."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from functools import lru_cache

from newel.base.errors import NotJournalable


def hints_of(function: Callable[..., object], *, skips: int = 0) -> dict[str, object]:
    """Every parameter's annotation by name, and the result's as `return`; without `self`.

    skips: how many parameters at the front are not looked at.
    Raises NotJournalable (F701) for a missing annotation or one that cannot be resolved.
    """
    plain = inspect.unwrap(function)
    plain = getattr(plain, "__func__", plain)
    try:
        hints = _resolved(plain)
    except NameError as error:
        raise NotJournalable(
            f"An annotation of `{plain.__qualname__}` cannot be resolved at run time: {error}.",
            fix="import its names plainly, not under `if TYPE_CHECKING`.",
            code="F701",
        ) from error
    wanted = [*list(inspect.signature(function).parameters)[skips:], "return"]
    for name in wanted:
        if name not in hints:
            raise NotJournalable(
                f"`{name}` of `{plain.__qualname__}` has no annotation: newel must know the "
                "type to read it back.",
                fix="annotate every parameter and the result (`-> None` too).",
                code="F701",
            )
    return {name: hints[name] for name in wanted}


@lru_cache(maxsize=2048)
def _resolved(function: Callable[..., object]) -> dict[str, object]:
    hints: dict[str, object] = typing.get_type_hints(function, include_extras=True)
    return hints
