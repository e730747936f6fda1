"""A document of OCEL 2.0 as it grows: events as they are read, then the objects they have named.

The objects of a large log do not fit into memory, and each stands in the document once: until the
last event is written they wait in a file without a name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from newel.audit import ocel

__all__ = ["OcelDocument"]

Json = Any  # Any: JSON


class OcelDocument:
    """A document that is being written; `events` counts those in it. To be closed."""

    def __init__(self) -> None:
        """Begin without events."""
        self.events = 0
        self._known = sqlite3.connect("")
        self._known.execute("create table object (id text primary key, type text) without rowid")

    def close(self) -> None:
        """Forget the objects."""
        self._known.close()

    def event(self, leaf: Json) -> bytes:
        """Write the next event, of a leaf; the first one with what stands before it."""
        text, related = ocel.ocel_event(leaf)
        self._known.executemany(
            "insert or ignore into object values (?, ?)", [each[:2] for each in related]
        )
        self.events += 1
        return (b",\n" if self.events > 1 else ocel.head()) + text

    def rest(self) -> Iterator[bytes]:
        """Write what comes after the last event."""
        if not self.events:
            yield ocel.head()
        yield ocel.middle()
        rows = self._known.execute("select id, type from object order by id")
        for place, (id_, type_) in enumerate(rows):
            yield (b",\n" if place else b"") + ocel.ocel_object(id_, type_)
        yield ocel.tail()
