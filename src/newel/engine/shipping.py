"""Log lines of sealed events, brought up to date in a file outside the database.

Workers tell each event after its commit; such a line can be lost in a crash. Here a file is filled
from the log itself, in its order. The file is its own cursor: its last line says how far it is, so
there is nothing beside it that could be out of step, and nobody's copy depends on another's.
Source: our own audit document §16.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from newel.audit.canonical import leaf_hash
from newel.base.errors import LogInconsistent
from newel.base.log import Service, transition_line
from newel.store.database import Connection, Database
from newel.store.export import snapshot
from newel.store.log_events import SealedEvent, hash_at, sealed_after

__all__ = ["shipped"]

_TAIL_BYTES: Final = 65_536
"""More than any line is long."""

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
