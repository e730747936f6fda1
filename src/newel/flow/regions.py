"""`section`: a prefix for the keys of everything inside, helpers included."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from newel.base.errors import DefinitionError
from newel.domain.keys import Subscript, encoded
from newel.flow.context import SECTION


@contextmanager
def section(label: Subscript) -> Generator[None]:
    """Put `label/` before all keys inside the block; sections nest.

    Raises DefinitionError for the reserved label `undo`.
    """
    prefix = encoded(label)
    if prefix == "undo":
        raise DefinitionError("The label `undo` is reserved for promises. Fix: another label.")
    token = SECTION.set(f"{SECTION.get()}{prefix}/")
    try:
        yield
    finally:
        SECTION.reset(token)
