"""Modules that are loaded when they are first used, so that importing newel stays quick.

Who imports a process should not wait for a library that only a registration needs. A type
checker is shown the plain import, the interpreter gets a stand-in of the same name:

    if TYPE_CHECKING:
        import pydantic
    else:
        pydantic = Later("pydantic")
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["Later"]


class Later:
    """A module by name; its first attribute that is asked for loads it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<Later {self._name}>"

    def __getattr__(self, name: str) -> Any:  # Any: whatever the module has
        return getattr(importlib.import_module(self._name), name)
