"""The events of the log in the forms that other programs read, written as they are read.

    ocel         one JSON document, object-centric, for process mining (OCEL 2.0)
    xes          one XML document, a trace for each run, for older miners (IEEE 1849)
    ocsf         a line of JSON for each event that OCSF has a class for, for a SIEM
    cloudevents  a line of JSON for each event, as endpoints are told

Only sealed events are written, so that each can be proved. The same log, form and period give the
same bytes; a large log needs no more memory than a small one.
Source: our own audit document §16.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple
from uuid import UUID

import orjson

from newel.audit import xes
from newel.audit.canonical import leaf_hash
from newel.audit.cloudevents import cloud_event
from newel.audit.ocsf import ocsf_event
from newel.base.errors import LogInconsistent, NotWaiting
from newel.engine.ocel_document import OcelDocument
from newel.store.database import Connection
from newel.store.export import Snapshot
from newel.store.log_events import SealedEvent, pruned_until, sealed_events

__all__ = ["FORMS", "Form", "Period", "WrittenEvents", "written_events"]

Form = Literal["ocel", "xes", "ocsf", "cloudevents"]

Json = Any  # Any: JSON
Texts = AsyncIterator[bytes]


class Period(NamedTuple):
    """From a moment to before another, as leaves tell the time."""

    since: datetime
    until: datetime


class WrittenEvents(NamedTuple):
    """What was written: how many events of the form, and the SHA-256 of the file."""

    events: int
    sha256: str


class _Source:
    """The sealed events of a period; `written` counts those that the form has a place for."""

    def __init__(self, connection: Connection, period: Period, deployment: UUID) -> None:
        self.deployment = deployment
        self.written = 0
        self._connection = connection
        self._period = period

    async def events(self, *, by_stream: bool = False) -> AsyncIterator[tuple[SealedEvent, Json]]:
        """Give each event with its leaf; raises LogInconsistent if it is not the sealed one."""
        since, until = self._period
        async for event in sealed_events(
            self._connection, since=since, until=until, by_stream=by_stream
        ):
            if leaf_hash(event.entry) != event.hash:
                at = f"{event.log_epoch}/{event.leaf_index}"
                raise LogInconsistent(at=at, what="the entry is not the one that was sealed")
            yield event, orjson.loads(event.entry)


async def written_events(seen: Snapshot, path: Path, form: Form, period: Period) -> WrittenEvents:
    """Write the events of a period into a new file that its owner alone can read.

    Raises LogInconsistent if an event is not as it was sealed, FileExistsError, and NotWaiting for
    a period of which events were pruned.
    """
    gone = await pruned_until(seen.connection)
    if gone is not None and period.since <= gone:
        state = f"pruned up to {gone:%Y-%m-%d}: begin a day later, or ask the archive"
        raise NotWaiting(verb="export", what=f"what was since {period.since:%Y-%m-%d}", state=state)
    source = _Source(seen.connection, period, seen.deployment)
    digest = hashlib.sha256()
    with _new_file(path) as file:
        async for text in FORMS[form](source):
            file.write(text)
            digest.update(text)
    return WrittenEvents(source.written, digest.hexdigest())


def _new_file(path: Path) -> BinaryIO:
    path.touch(mode=0o600, exist_ok=False)
    return path.open("wb")


async def _cloudevents(source: _Source) -> Texts:
    async for event, _ in source.events():
        source.written += 1
        yield cloud_event(event.entry, deployment=source.deployment) + b"\n"


async def _ocsf(source: _Source) -> Texts:
    async for event, leaf in source.events():
        text = ocsf_event(event.entry, leaf, event.leaf_index)
        if text is not None:
            source.written += 1
            yield text + b"\n"


async def _xes(source: _Source) -> Texts:
    """Write a trace after the other; a run without an activity in the period has none."""
    yield xes.head()
    begun = None
    async for _, leaf in source.events(by_stream=True):
        kind, _, run = leaf["stream"].partition("/")
        text = xes.xes_event(leaf) if kind == "run" else None
        if text is None and not (kind == "run" and leaf["type"] == "run.started"):
            continue
        if run != begun:
            if begun is not None:
                yield xes.trace_ended()
            yield xes.trace_begun(run, leaf)
            begun = run
        if text is not None:
            source.written += 1
            yield text
    if begun is not None:
        yield xes.trace_ended()
    yield xes.tail()


async def _ocel(source: _Source) -> Texts:
    with closing(OcelDocument()) as document:
        async for _, leaf in source.events():
            yield document.event(leaf)
        for text in document.rest():
            yield text
        source.written = document.events


FORMS: Final[Mapping[Form, Callable[[_Source], Texts]]] = {
    "ocel": _ocel,
    "xes": _xes,
    "ocsf": _ocsf,
    "cloudevents": _cloudevents,
}
