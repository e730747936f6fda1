"""Log lines of sealed events, brought up to date in a file or a server outside the database.

Workers tell each event after its commit; such a line can be lost in a crash. Here a file is filled
from the log itself, in its order. The file is its own cursor: its last line says how far it is, so
there is nothing beside it that could be out of step, and nobody's copy depends on another's. A
server tells nobody how far it is: the last line that it took is kept in a small file here, written
after it was taken, so that after a crash it gets some lines twice and misses none.
Source: our own audit document §16.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from newel.audit.canonical import leaf_hash
from newel.base.errors import LogInconsistent
from newel.base.log import Service, transition_line
from newel.engine.collectors import Collector
from newel.engine.whole_files import write_whole
from newel.store.database import Connection, Database
from newel.store.export import snapshot
from newel.store.log_events import SealedEvent, hash_at, sealed_after

__all__ = ["shipped", "shipped_to"]

_TAIL_BYTES: Final = 65_536
"""More than any line is long."""

_AT_ONCE: Final = 500
_OPENS: Final = b'{"ts":"'
"""How every line begins: nothing else is taken for one that was cut off."""

_Place = tuple[int, int]
_BEGINNING: Final[_Place] = (0, -1)


async def shipped(database: Database, path: Path, service: Service) -> int:
    """Append the lines of all sealed events that a file has not; answers with how many.

    Raises LogInconsistent if the file's last line is not of this log, or if an entry is not the
    one that was sealed; what came before it is in the file.
    """
    with _locked(path) as file:
        last, end = _last_line(file)
        async with snapshot(database) as seen:
            place = await _place_of(seen.connection, last)
            file.truncate(end)
            file.seek(end)
            written = 0
            async for event in sealed_after(seen.connection, *place):
                file.write(_line(event, service))
                written += 1
        file.flush()
        os.fsync(file.fileno())
    return written


async def shipped_to(
    database: Database, collector: Collector, cursor: Path, service: Service
) -> int:
    """Send a server the lines of all sealed events after those it has; answers with how many.

    cursor: the file with the last line that it took. Raises as `shipped`, and OSError or StoreError
    where the server does not take lines: those it took before are not sent again.
    """
    last = await asyncio.to_thread(_kept, cursor)
    sent = 0
    try:
        async with snapshot(database) as seen:
            place = await _place_of(seen.connection, last)
            batch: list[bytes] = []
            async for event in sealed_after(seen.connection, *place):
                batch.append(_line(event, service))
                if len(batch) == _AT_ONCE:
                    sent += await asyncio.to_thread(_sent, collector, batch, cursor)
                    batch = []
            if batch:
                sent += await asyncio.to_thread(_sent, collector, batch, cursor)
    finally:
        await asyncio.to_thread(collector.close)
    return sent


def _kept(cursor: Path) -> bytes | None:
    return cursor.read_bytes() if cursor.exists() else None


def _sent(collector: Collector, batch: Sequence[bytes], cursor: Path) -> int:
    collector.send(batch)
    write_whole(cursor, batch[-1])
    return len(batch)


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open a file that its owner alone can read, made if need be; a second one waits."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield file


def _last_line(file: BinaryIO) -> tuple[bytes | None, int]:
    """Read the last whole line, and say where it ends; behind it may be one that was cut off."""
    size = file.seek(0, os.SEEK_END)
    begin = max(0, size - _TAIL_BYTES)
    file.seek(begin)
    tail = file.read()
    end = tail.rfind(b"\n") + 1
    cut_off = tail[end:]
    if (end == 0 and begin) or cut_off[: len(_OPENS)] != _OPENS[: len(cut_off)]:
        raise LogInconsistent(at="the end of the file", what="it is no log line of newel")
    return tail[:end].rstrip(b"\n").rpartition(b"\n")[2] if end else None, begin + end


async def _place_of(connection: Connection, line: bytes | None) -> _Place:
    """Say at which place a line's event is; it must be there in this log."""
    if line is None:
        return _BEGINNING
    try:
        audit = orjson.loads(line)["audit"]
        place = int(audit["log_epoch"]), int(audit["leaf_index"])
        hash_ = bytes.fromhex(audit["leaf_hash"])
    except (ValueError, KeyError, TypeError):
        raise LogInconsistent(
            at="the end of the file", what="its last line is of no sealed event"
        ) from None
    if await hash_at(connection, *place) != hash_:
        raise LogInconsistent(
            at=f"{place[0]}/{place[1]}", what="the file has an event there that the log has not"
        )
    return place


def _line(event: SealedEvent, service: Service) -> bytes:
    if leaf_hash(event.entry) != event.hash:
        raise LogInconsistent(
            at=f"{event.log_epoch}/{event.leaf_index}",
            what="the entry is not the one that was sealed",
        )
    leaf = orjson.loads(event.entry)
    stream, step = leaf["stream"], leaf.get("step", {})
    return transition_line(
        service,
        event=leaf["type"],
        occurred_at=leaf["occurred_at"],
        id=leaf["id"],
        stream=stream,
        seq=leaf["seq"],
        leaf_hash=event.hash,
        run=stream[4:] if stream.startswith("run/") else None,
        process=leaf.get("process", {}).get("name"),
        key=step.get("key"),
        attempt=step.get("attempt"),
        round=step.get("round"),
        subject=leaf["subject"],
        system=leaf["system"],
        trace_id=leaf.get("trace_id"),
        place=(event.log_epoch, event.leaf_index),
    )
