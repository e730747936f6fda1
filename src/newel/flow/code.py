"""What the code of a step tells about itself: its types and parameters, looked up once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any

from newel.base.codec import Codec, codec_of
from newel.flow.signature import hints_of


class Code:
    """What a step's function tells about itself; one for all items of a step (`grant[item]`)."""

    def __init__(self, function: Callable[..., Any], *, skips: int) -> None:  # Any: whatever R is
        """Take the function; `skips`: how many of its first parameters are not the caller's."""
        self._function = function
        self.skips = skips

    @cached_property
    def is_async(self) -> bool:
        """Whether it is a coroutine function."""
        return inspect.iscoroutinefunction(self._function)

    @cached_property
    def hints(self) -> dict[str, object]:
        """Its annotations, resolved."""
        return hints_of(self._function)

    @cached_property
    def result(self) -> Codec[object]:
        """How what it returns is written and read."""
        return codec_of(self.hints["return"])

    @cached_property
    def signature(self) -> inspect.Signature:
        """Its parameters, without those that are not the caller's."""
        found = inspect.signature(self._function)
        return found.replace(parameters=list(found.parameters.values())[self.skips :])

    @cached_property
    def parameters(self) -> list[tuple[str, inspect.Parameter, Codec[object]]]:
        """Its parameters by name, with how their values are written."""
        return [
            (name, parameter, codec_of(self.hints[name]))
            for name, parameter in self.signature.parameters.items()
        ]
