"""Tests that run again and again: with every crash, in many orders; each pass finds all new.

Between two passes every fixture that has a `reset` is reset, as `saas` has; what a test keeps in
its own module it makes new at its beginning.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from typing import Any

__all__ = ["passes"]

Test = Callable[..., Awaitable[None]]


def passes(
    test: Test, name: str, values: Callable[[Any], Iterable[Any]], make: Callable[[], Any]
) -> Test:
    """Make a test that plays once with what `make` gives as its argument `name`, then with others.

    values: given the first after its pass, which others there are; Any: crashes, or orders.
    """

    @wraps(test)
    async def played(*args: Any, **kwargs: Any) -> None:  # Any: fixtures
        first = make()
        await test(*args, **{name: first}, **kwargs)
        for value in values(first):
            _renew([*args, *kwargs.values()])
            try:
                await test(*args, **{name: value}, **kwargs)
            except BaseException as error:
                error.add_note(f"with {value}")
                raise

    signature = inspect.signature(test)
    kept = [each for each in signature.parameters.values() if each.name != name]
    played.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]  # pytest reads it
    return played


def _renew(fixtures: Iterable[object]) -> None:
    for each in fixtures:
        reset = getattr(each, "reset", None)
        if callable(reset):
            reset()
