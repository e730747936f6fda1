"""Versions of a process written as text: each becomes a module of its own, as a deploy loads it."""

from __future__ import annotations

import linecache
import sys
from collections import Counter
from itertools import count
from textwrap import dedent
from types import ModuleType
from typing import Any

from newel.flow.process import Process
from newel.flow.step import Step

HEAD = """
from __future__ import annotations
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from newel import Event, Overdue, Person, Rejected, approval, compensation, days, group, now
from newel import parallel, process, section, step, team, this_run, timer
"""
_numbers = count(1)


class World:
    """What the steps of all versions have done, counted by name and arguments."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.effects: Counter[str] = Counter()

    def counted(self, step: Step[..., Any]) -> None:
        """Count the calls of a step's code."""
        code: Any = step.function

        async def called(*args: Any, **kwargs: Any) -> Any:
            said = ", ".join(map(str, [*args, *kwargs.values()]))
            self.effects[f"{step.name}({said})"] += 1
            return await code(*args, **kwargs)

        called.__wrapped__ = code  # type: ignore[attr-defined]  # its types are read from there
        step.function = called


def module(text: str, world: World | None = None) -> dict[str, Any]:
    """Load a version of a module from its source; its steps are counted in `world`."""
    name = f"version_{next(_numbers)}"
    source = HEAD + dedent(text)
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    loaded = ModuleType(name)
    loaded.__file__ = file
    sys.modules[name] = loaded  # where the types of a module look for its names
    namespace = vars(loaded)
    exec(compile(source, file, "exec"), namespace)
    if world is not None:
        for each in list(namespace.values()):
            if isinstance(each, Step):
                world.counted(each)
    return namespace


def version(text: str, world: World | None = None) -> Process[..., Any]:
    """Give the last process that a module's source declares."""
    found = [each for each in module(text, world).values() if isinstance(each, Process)]
    return found[-1]
