"""After a restore: what was signed elsewhere and is not here, and what it had done outside.

A database that came from a backup does not know what it has forgotten; copies do. A checkpoint
kept elsewhere says that something is missing, a mirror or an archive has the events themselves:
accounts that were made, steps that were under way. Somebody has to look at these before work goes
on, because newel would do them again. No copy has to be believed for it: `newel audit verify`
judges whether they are genuine. The log says that it was looked, and what was found.
Source: our own audit document §7.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg

from newel.audit import catalogue as facts
from newel.audit.canonical import leaf_hash
from newel.audit.leaf import Actor
from newel.audit.note import Note
from newel.audit.tiles import WIDTH, Tile, entries_of, entries_path
from newel.base.errors import CheckpointInvalid, LogInconsistent
from newel.base.ids import Ids, parse_reference
from newel.domain.change import Beside
from newel.engine.operating import write_aside
from newel.engine.sealed_log import edge_of
from newel.store import audit_log, registry, streams
from newel.store.database import LOST, Connection, Database

__all__ = ["Lost", "RestoreChecked", "recorded", "restore_checked"]

_RUN: Final = "run/"
_HERE: Final = "service/cli"
_OUTSIDE: Final = ("step.started", "step.succeeded", "step.failed", "access.")
"""What may have left something outside."""

Leaf = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """An event that a copy has and the database has not; the rest is as its leaf says."""

    log_epoch: int
    leaf_index: int
    type: str
    stream: str
    seq: int
    occurred_at: str
    system: str | None
    key: str | None
    idempotency_key: str | None

    @property
    def is_outside(self) -> bool:
        """Whether it may have left something in a system, which somebody has to look at."""
        return self.type.startswith(_OUTSIDE)


@dataclass(frozen=True, slots=True)
class RestoreChecked:
    """What was compared: by origin, how many entries are here, and how many were signed elsewhere.

    other: by origin, the smallest size at which another tree was signed than the one that is here:
    a restored log that has grown past what was signed. lost: of the copies that have events, in the
    order of the log.
    """

    here: dict[str, int]
    elsewhere: dict[str, int]
    lost: list[Lost] = field(default_factory=list[Lost])
    other: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def short(self) -> dict[str, int]:
        """How many entries are missing, by origin; nothing where none is."""
        missing = {
            origin: size - self.here.get(origin, 0) for origin, size in self.elsewhere.items()
        }
        return {origin: many for origin, many in missing.items() if many > 0}

    @property
    def outside(self) -> list[Lost]:
        """What is lost of events that may have left something in a system."""
        return [each for each in self.lost if each.is_outside]


async def restore_checked(
    connection: Connection, heads: Sequence[Path], folders: Sequence[Path]
) -> RestoreChecked:
    """Compare the database with copies of checkpoints, and with mirrors of the whole log.

    heads: files with a checkpoint each; what is none is passed over. folders: with a folder in it
    for each log epoch.
    """
    rows = await audit_log.log_epochs(connection)
    log_epochs = {row["origin"]: row["log_epoch"] for row in rows}
    found = RestoreChecked({row["origin"]: row["size"] for row in rows}, {})
    for origin, size, root in sorted(await asyncio.to_thread(_signed, heads)):
        found.elsewhere[origin] = size
        if origin in found.other or size > found.here.get(origin, 0):
            continue
        if await _root_at(connection, log_epochs[origin], size) != root:
            found.other[origin] = size
    known: set[tuple[str, int]] = set()
    for folder in folders:
        for log_epoch in sorted(int(each.name) for each in folder.glob("*") if _is_epoch(each)):
            for number, entries in _bundles(folder / str(log_epoch)):
                for each in await _absent(connection, log_epoch, number, entries):
                    if (each.stream, each.seq) not in known:
                        known.add((each.stream, each.seq))
                        found.lost.append(each)
    return found


async def recorded(database: Database, found: RestoreChecked) -> bool:
    """Let the log say what was found; False where it cannot be written.

    Whoever may only read, or reads from a standby, is to be answered all the same.
    """
    fact = facts.ServiceRestoreChecked(
        compared=len(found.elsewhere),
        missing=sum(found.short.values()),
        lost=len(found.lost),
        outside=len(found.outside),
        other=len(found.other),
    )
    ids, actor = Ids(), Actor(type="system", id="newel", via="cli")
    try:
        async with database.transaction() as connection:
            told = Beside(_HERE, fact, await registry.now(connection), actor, None)
            await write_aside(connection, [told], id_=ids.new(), new_event_id=ids.event_id)
    except (asyncpg.InsufficientPrivilegeError, *LOST):
        return False
    return True


async def _root_at(connection: Connection, log_epoch: int, size: int) -> str | None:
    """Give the root of the first entries, as a checkpoint has it; None where leaves are missing."""
    try:
        edge = await edge_of(connection, log_epoch, size)
    except LogInconsistent:
        return None
    return base64.b64encode(edge.root()).decode()


def _is_epoch(folder: Path) -> bool:
    return folder.is_dir() and folder.name.isdecimal()


def _signed(heads: Sequence[Path]) -> set[tuple[str, int, str]]:
    """Read copies of checkpoints: origin, how many entries they are over, root."""
    found: set[tuple[str, int, str]] = set()
    for path in heads:
        try:
            origin, size, root = Note.parsed(path.read_bytes()).text.split("\n")[:3]
            found.add((origin, int(size), root))
        except (CheckpointInvalid, OSError, ValueError):
            continue
    return found


def _bundles(folder: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Give the bundles of a log epoch in order: the full ones, then the widest at the end."""
    number = 0
    while True:
        path = folder / entries_path(Tile(0, number))
        parts = path.with_name(f"{path.name}.p")
        widths = sorted(int(each.name) for each in parts.glob("*") if each.name.isdecimal())
        if not path.is_file():
            if not widths:
                return
            path = parts / str(widths[-1])
        try:
            yield number, entries_of(path.read_bytes())
        except LogInconsistent:
            return
        number += 1


async def _absent(
    connection: Connection, log_epoch: int, number: int, entries: list[bytes]
) -> list[Lost]:
    """Say which entries of a bundle the database has neither as an event nor as a leaf."""
    hashes = [leaf_hash(each) for each in entries]
    tile = Tile(0, number, len(entries))
    if await audit_log.tile(connection, log_epoch, tile) == b"".join(hashes):
        return []
    leaves: list[Leaf] = [json.loads(each) for each in entries]
    ids = [_stream(leaf["stream"]) for leaf in leaves]
    places = await audit_log.absent(connection, ids, [leaf["seq"] for leaf in leaves], hashes)
    return [_lost(log_epoch, number * WIDTH + at, leaves[at]) for at in places]


def _stream(name: str) -> Any:  # Any: a UUID
    if name.startswith(_RUN):
        return parse_reference(name.removeprefix(_RUN))[1]
    return streams.stream_id(name)


def _lost(log_epoch: int, leaf_index: int, leaf: Leaf) -> Lost:
    return Lost(
        log_epoch=log_epoch,
        leaf_index=leaf_index,
        type=leaf["type"],
        stream=leaf["stream"],
        seq=leaf["seq"],
        occurred_at=leaf["occurred_at"],
        system=leaf.get("system"),
        key=leaf.get("step", {}).get("key"),
        idempotency_key=leaf["data"].get("idempotency_key"),
    )
