"""Titles of steps: what the code says of itself, else the key in words.

Read from the process's source once for each process; a step that is not seen there (called
through a variable, or gone from the code) goes by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from newel.flow.process import Process
from newel.flow.reading import name_of, sites
from newel.web.console import copy

__all__ = ["Titled", "titled_by"]

Titled = Callable[[str, str | None, str | None], str]
"""Gives a key its title: key, system, and the system's own title, where there is one."""


def titled_by(process: Process[..., Any] | None) -> Titled:  # Any: each has its own result
    """Give what titles the keys of a process; of one that is not known, by key alone."""
    if process is None:
        return copy.step_title
    known = _titles(process)

    def titled(key: str, system: str | None, system_title: str | None) -> str:
        title = known.get(name_of(key))
        if title is None:
            return copy.step_title(key, system, system_title)
        return copy.with_item(title, key)

    return titled


@cache
def _titles(process: Process[..., Any]) -> Mapping[str, str]:  # Any: as above
    found = {name: site.step.options.title for name, site in sites(process).items()}
    return {name: title for name, title in found.items() if title}
