"""The processes that can be started, with the schema of what they take."""

from __future__ import annotations

from typing import Any

from newel.base.errors import NotFound
from newel.flow.process import Process
from newel.people.words import process_title, team_name
from newel.web.console.views.model import View
from newel.web.site import Reader

__all__ = ["ProcessView", "ProcessesView", "process_view", "processes_view", "startable"]


class ProcessView(View):
    """One process. input_schema: JSON Schema of what a start takes."""

    process: str
    title: str
    description: str
    owner: str
    href: str
    input_schema: dict[str, Any]  # Any: JSON Schema


class ProcessesView(View):
    """All processes that can be started, by title."""

    processes: tuple[ProcessView, ...]


def startable(read: Reader, name: str) -> Process[..., Any]:  # Any: each has its own result
    """Give a process that people may start. Raises NotFound, also for newel's own."""
    found = read.processes.get(name)
    if found is None or name.startswith("newel."):
        raise NotFound(kind="process", reference=name)
    return found


def processes_view(read: Reader) -> ProcessesView:
    """List the processes of this code."""
    names = [name for name in read.processes if not name.startswith("newel.")]
    views = [process_view(startable(read, name)) for name in names]
    return ProcessesView(processes=tuple(sorted(views, key=lambda each: each.title.casefold())))


def process_view(process: Process[..., Any]) -> ProcessView:  # Any: as above
    """Describe one process."""
    text = (process.__doc__ or "").strip()
    return ProcessView(
        process=process.name,
        title=process_title(process.name, process.title),
        description=" ".join(text.split("\n\n")[0].split()),
        owner=team_name(process.owner or "it"),
        href=f"/start/{process.name}",
        input_schema=process.input_schema,
    )
