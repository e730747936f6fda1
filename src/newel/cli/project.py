"""The company's project: which processes, systems and trackers its settings name.

Modules are looked for in the project's directory first. What cannot be imported is the author's
mistake, so it is said in one sentence with its place; an exception that a module raises while it
is imported keeps its traceback, because the author needs it.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from newel.base.errors import DefinitionError, Refused
from newel.base.settings import Settings, load_settings
from newel.connectors.hr_feed import Feed
from newel.flow.endpoints import Endpoint
from newel.flow.hooks import Hook
from newel.flow.process import Process
from newel.flow.schedules import Schedule

if TYPE_CHECKING:
    from newel.connectors.base import Connector
    from newel.connectors.trackers.base import Tracker

__all__ = ["Project", "example_project", "example_settings", "load_project"]

D = TypeVar("D", Schedule, Hook, Feed, Endpoint)
_PACKAGE: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What a deployment runs; trackers: the first is asked first."""

    processes: tuple[Process[..., Any], ...]  # Any: each has its own result
    connectors: tuple[Connector, ...]
    trackers: tuple[Tracker, ...]
    schedules: tuple[Schedule, ...] = ()
    hooks: tuple[Hook, ...] = ()
    feeds: tuple[Feed, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()


def load_project(settings: Settings) -> Project:
    """Import what the settings name; raises DefinitionError for what is not there."""
    place = str(settings.project)
    if place not in sys.path:
        sys.path.insert(0, place)
    found: list[Process[..., Any]] = []  # Any: as above
    schedules: list[Schedule] = []
    hooks: list[Hook] = []
    feeds: list[Feed] = []
    endpoints: list[Endpoint] = []
    for named in settings.processes:
        found += _processes(named, settings.project)
        name = named.partition(":")[2]
        started = _declared(Schedule, named, settings.project)
        schedules += [each for each in started if not name or each.starts(name)]
        if not name:  # a process that is named comes alone
            hooks += _declared(Hook, named, settings.project)
            feeds += _declared(Feed, named, settings.project)
            endpoints += _declared(Endpoint, named, settings.project)
    return Project(
        processes=tuple(dict.fromkeys(found)),
        connectors=_connectors(settings),
        trackers=_trackers(settings),
        schedules=tuple(schedules),
        hooks=tuple(hooks),
        feeds=tuple(feeds),
        endpoints=tuple(endpoints),
    )


def example_project() -> Path:
    """Say where the example company lies: in the package, or beside it in a checkout."""
    packed = _PACKAGE / "_examples"
    return packed if packed.is_dir() else _PACKAGE.parents[1] / "examples"


def example_settings(settings: Settings) -> Settings:
    """Give the example company's settings over the same data."""
    return load_settings(
        example_project(), data=settings.data_directory, database_url=settings.database_url
    )


def _processes(named: str, project: Path) -> list[Process[..., Any]]:  # Any: as above
    module, _, name = named.partition(":")
    if name:
        one = _attribute(_module(module, project), name)
        if not isinstance(one, Process):
            raise DefinitionError(f"`{named}` is no process: decorate it with `@process`.")
        return [one]
    loaded = _module(module, project)
    every = [each for each in vars(loaded).values() if isinstance(each, Process)]
    own = [each for each in every if each.function.__module__ == loaded.__name__]
    beside = (Schedule, Hook, Feed, Endpoint)
    if not own and not any(isinstance(each, beside) for each in vars(loaded).values()):
        raise DefinitionError(f"The module `{module}` has no process: decorate one `@process`.")
    return own


def _declared(kind: type[D], named: str, project: Path) -> list[D]:
    """Find what stands beside the processes; a module that imports one does not declare it."""
    loaded = _module(named.partition(":")[0], project)
    every = [each for each in vars(loaded).values() if isinstance(each, kind)]
    return [each for each in every if each.place == loaded.__name__]


def _connectors(settings: Settings) -> tuple[Connector, ...]:
    if settings.systems is None:
        return ()
    from newel.connectors.base import Connector

    module = _module(settings.systems, settings.project)
    return tuple(each for each in vars(module).values() if isinstance(each, Connector))


def _trackers(settings: Settings) -> tuple[Tracker, ...]:
    if settings.tickets is None:
        return ()
    module, _, name = settings.tickets.partition(":")
    found = _attribute(_module(module, settings.project), name or "tickets")
    return tuple(found) if isinstance(found, list | tuple) else (found,)


def _module(name: str, project: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        wanted = f"`{name}`" if name.startswith(missing.name or "?") else f"`{missing.name}`"
        by = "" if wanted == f"`{name}`" else f", which `{name}` imports"
        raise DefinitionError(f"There is no module {wanted}{by}, in {project} or elsewhere.") from (
            missing
        )
    except DefinitionError as wrong:
        if wrong.place or isinstance(wrong, Refused):
            raise
        raise DefinitionError(
            wrong.what, fix=wrong.fix, code=wrong.code, place=_place_of(wrong, name)
        ) from wrong
    except SyntaxError as wrong:
        place = f"{wrong.filename}, line {wrong.lineno}"
        raise DefinitionError(f"`{name}` is no Python: {wrong.msg} ({place}).") from wrong


def _place_of(wrong: DefinitionError, module: str) -> str:
    """The line of a module, or of one that it imports, on which something was declared wrongly."""
    frames = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(wrong.__traceback__)]
    lines = [line for _, line in walk_tb(wrong.__traceback__)]
    outside = [
        f"{each}:{line}"
        for each, line in zip(frames, lines, strict=True)
        if each.partition(".")[0] not in {"newel", "importlib", ""}
    ]
    return outside[-1] if outside else module


def _attribute(module: ModuleType, name: str) -> Any:  # Any: whatever the company has put there
    try:
        return getattr(module, name)
    except AttributeError:
        raise DefinitionError(f"The module `{module.__name__}` has no `{name}`.") from None
