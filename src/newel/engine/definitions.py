"""Definitions of processes: each version is written down, with its source, before anything runs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, partial
from typing import Any, Final

import orjson

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor, ProcessVersion
from newel.domain.change import Beside, Change
from newel.drawing.drawing import drawing_of
from newel.engine.named import by_name
from newel.engine.operating import Operating, write_aside
from newel.flow.process import Process
from newel.store import registry
from newel.store.database import Connection

__all__ = ["defined", "version_of"]

_OWN_CODE: Final = "newel."
_OWN: Final[dict[tuple[str, str], str | None]] = {}
"""Drawings of newel's own processes by name and digest of their source."""


def defined(
    processes: Sequence[Process[..., Any]],  # Any: each has its own result
) -> dict[str, Process[..., Any]]:  # Any: as above
    """Give processes by their names; raises DefinitionError for a name that is used twice."""
    fix = '`@process(name="…")` for one of them.'
    return by_name("processes", processes, fix=fix, code="F713")


async def version_of(operating: Operating, process: Process[..., Any]) -> int:  # Any: its result
    """Give the version of a definition; one that is new is written down and told."""
    drawn = cache(partial(_drawn, process))
    async with operating.database.transaction() as connection:
        version, is_new = await registry.register_definition(
            connection,
            process=process.name,
            sha256=process.definition_sha256,
            source=process.source,
            title=process.title,
            owner=process.owner,
            drawing=drawn,
        )
        change = await _told(connection, operating, process, version, drawn()) if is_new else None
    if change is not None:
        operating.tell(change)
    return version


def _drawn(process: Process[..., Any]) -> str | None:  # Any: as above
    """The drawing of a process as it is kept; None for one that cannot be drawn or written.

    Each engine makes newel's own processes anew, but what they look like follows from their source:
    they are drawn once for all engines of a program, of which a test suite has thousands.
    """
    if not process.place.startswith(_OWN_CODE):
        return _document(process)
    key = (process.name, process.definition_sha256)
    if key not in _OWN:
        _OWN[key] = _document(process)
    return _OWN[key]


def _document(process: Process[..., Any]) -> str | None:  # Any: as above
    drawing = drawing_of(process)
    try:
        return None if drawing.errors else drawing.as_json().decode()
    except orjson.JSONEncodeError:  # half a character in a title: its runs say so, where it is used
        return None


async def _told(
    connection: Connection,
    operating: Operating,
    process: Process[..., Any],  # Any: as above
    version: int,
    drawing: str | None,
) -> Change:
    fact = facts.ProcessRegistered(
        source_sha256=process.definition_sha256,
        author="code",
        previous=version - 1 or None,
        drawing_sha256=None if drawing is None else hashlib.sha256(drawing.encode()).hexdigest(),
    )
    told = Beside(
        "admin",
        fact,
        await registry.now(connection),
        Actor(type="system", id="newel"),
        None,
        process=ProcessVersion(
            name=process.name, version=version, definition_sha256=process.definition_sha256
        ),
    )
    return await write_aside(
        connection,
        [told],
        id_=operating.vault.ids().new(),
        new_event_id=operating.new_event_id,
    )
