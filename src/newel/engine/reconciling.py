"""Log lines held against the journal: what one of them has and the other has not.

A line is written after each commit, with the hash of its event, and lies elsewhere. An event that
somebody took out of the database still has its line; a line that was lost still has its event. The
hashes of the lines wait in a file without name, so many lines need no more memory than few.
Source: our own audit document §16.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from newel.base.ids import reference
from newel.store.database import Connection
from newel.store.log_events import event_hashes, pruned_until

__all__ = ["Reconciled", "reconciled"]

_OPENS: Final = b'{"ts":"'
"""How every line of newel begins."""

_MOST: Final = 100
"""How many of each are named."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was compared. without_event, without_line: at most a hundred named, all counted."""

    lines: int
    events: int
    without_event: list[str]
    without_line: list[str]
    lost_events: int
    lost_lines: int

    @property
    def code(self) -> int:
        """0: nothing is missing; 1: a line has no event; 2: an event of their time has no line."""
        return 1 if self.lost_events else 2 if self.lost_lines else 0


async def reconciled(connection: Connection, lines: Iterable[bytes]) -> Reconciled:
    """Compare log lines with the events of the time from the first of them to the last.

    Lines of the time whose events were pruned are left out.
    """
    with closing(sqlite3.connect("")) as known:
        known.execute(
            "create table line (hash text primary key, at text, place text, seen int default 0) "
            "without rowid"
        )
        known.executemany(
            "insert or ignore into line (hash, at, place) values (?, ?, ?)", _told(lines)
        )
        if (gone := await pruned_until(connection)) is not None:  # nothing can be said of these
            at = gone.astimezone(UTC).isoformat(timespec="microseconds")
            known.execute("delete from line where at <= ?", (at,))
        first, last, many = known.execute("select min(at), max(at), count(*) from line").fetchone()
        events, named, lost = 0, list[str](), 0
        if many:
            since, until = datetime.fromisoformat(first), datetime.fromisoformat(last)
            async for row in event_hashes(connection, since=since, until=until):
                events += 1
                found = known.execute(
                    "update line set seen = 1 where hash = ?", (row["leaf_hash"].hex(),)
                )
                if found.rowcount == 0:
                    lost += 1
                    if len(named) < _MOST:
                        stream = row["stream"] or f"run/{reference('run', row['stream_id'])}"
                        named.append(f"{row['type']} {stream}/{row['seq']}")
        gone = known.execute("select count(*) from line where seen = 0").fetchone()[0]
        without = known.execute(
            "select place, hash from line where seen = 0 order by at, place limit ?", (_MOST,)
        )
        told = [f"{place} ({hash_[:16]}…)" for place, hash_ in without]
    return Reconciled(many, events, told, named, gone, lost)


def _told(kept: Iterable[bytes]) -> Iterable[tuple[str, str, str]]:
    """Give hash, moment and place of each line of an event; other lines are passed over."""
    for line in (each for one in kept for each in _unpacked(one)):
        try:
            said: Any = orjson.loads(line)
            event = said["audit"]
            moment = datetime.fromisoformat(said["ts"]).isoformat(timespec="microseconds")
            yield str(event["leaf_hash"]), moment, f"{event['stream']}/{event['seq']}"
        except (ValueError, KeyError, TypeError):
            continue


def _unpacked(kept: bytes) -> Iterable[bytes | str]:
    """Give the lines in a line as a server has kept it: behind a head, or many in one of OTLP."""
    begin = kept.find(_OPENS)
    if begin >= 0:  # in JSON of OTLP its quotes are escaped
        yield kept[begin:]
        return
    if b'"resourceLogs"' not in kept:
        yield kept
        return
    try:
        said: Any = orjson.loads(kept)
        for resource in said["resourceLogs"]:
            for scope in resource["scopeLogs"]:
                for record in scope["logRecords"]:
                    yield str(record["body"]["stringValue"])
    except (ValueError, KeyError, TypeError):
        return
