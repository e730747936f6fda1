"""What people type for runs and tasks: references, or the bare ids that stand in log lines."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from newel.base.errors import NotFound
from newel.base.ids import parse_reference

__all__ = ["run_named", "task_named"]

_KINDS: Final = {"run": "run", "tsk": "task"}


def run_named(text: str) -> UUID:
    """Give the id of the run that a text names; raises NotFound if it names none."""
    return _named("run", text)


def task_named(text: str) -> UUID:
    """Give the id of the task that a text names; raises NotFound if it names none."""
    return _named("tsk", text)


def _named(prefix: str, text: str) -> UUID:
    try:
        found, name = parse_reference(text)
    except ValueError:
        try:
            found, name = prefix, UUID(text)
        except ValueError:
            raise NotFound(kind=_KINDS[prefix], reference=text) from None
    if found != prefix:
        raise NotFound(kind=_KINDS[prefix], reference=text)
    return name
