"""The log over the journal: the queue of batches, the tree's rows, tiles and signed heads.

Nothing is decided here; `newel.engine.sequencer` writes through it, whoever reads the log as tiles
reads through it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from newel.audit.merkle import Frontier
from newel.audit.tiles import WIDTH, Tile
from newel.base.errors import LogInconsistent
from newel.store.database import Connection, Database, Row
from newel.store.queries import queries

__all__ = [
    "Head",
    "Taken",
    "absent",
    "anchored",
    "anchored_before",
    "archived",
    "begin",
    "begun_within",
    "close",
    "cosigned",
    "deployment",
    "draws",
    "edge",
    "entries",
    "give_up",
    "grow",
    "head",
    "is_waiting",
    "keep_receipt",
    "keep_signed",
    "leaves_from",
    "log_epochs",
    "may_seal",
    "names_of",
    "newest",
    "notes",
    "overlooked",
    "people_of",
    "place_of",
    "receipts",
    "rekey",
    "sealed_twice",
    "sources",
    "stamped",
    "state",
    "take",
    "take_of",
    "tile",
    "unsealed",
]

_SQL: Final = queries("audit_log")
_LOCK: Final = 0x6E6577656C6C6F67  # "newellog"
_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The open log epoch; signed_size: how far it is signed, None where it never was."""

    log_epoch: int
    origin: str
    vkey: str
    frontier: Frontier
    signed_size: int | None


class Taken(NamedTuple):
    """Events off the queue, in the order in which they get their places."""

    streams: list[UUID]
    seqs: list[int]
    leaf_hashes: list[bytes]


async def may_seal(connection: Connection) -> bool:
    """Whether this transaction is the only one that seals, until it ends; it never waits."""
    row = await connection.fetchrow(_SQL.only_one, _LOCK)
    assert row is not None, "it has one row"
    return bool(row["is_mine"])


async def is_waiting(database: Database) -> bool:
    """Whether there is anything for a sequencer to do."""
    return bool(await database.fetchval(_SQL.is_waiting))


async def deployment(connection: Connection) -> UUID:
    """Give the id of this deployment."""
    found: UUID = await connection.fetchval(_SQL.deployment)
    return found


async def begin(connection: Connection, *, log_epoch: int, origin: str, vkey: str) -> None:
    """Begin a log epoch."""
    await connection.execute(_SQL.begun, log_epoch, origin, vkey)


async def head(connection: Connection) -> Head | None:
    """The open log epoch, locked; None before the first.

    Raises LogInconsistent if size and frontier do not belong together.
    """
    row = await connection.fetchrow(_SQL.head)
    if row is None:
        return None
    return Head(
        log_epoch=row["log_epoch"],
        origin=row["origin"],
        vkey=row["vkey"],
        frontier=Frontier(row["size"], row["frontier"]),
        signed_size=row["signed_size"],
    )


async def take(connection: Connection, *, at_most: int) -> Taken:
    """Take the oldest batches off the queue; maybe none.

    Raises LogInconsistent for a batch that is not as it was written.
    """
    return _taken(await connection.fetch(_SQL.taken, at_most))


async def take_of(connection: Connection, stream: UUID) -> Taken:
    """Take the batches of one stream off the queue; errors as `take`."""
    return _taken(await connection.fetch(_SQL.taken_of, stream))


async def leaves_from(connection: Connection, log_epoch: int, first: int) -> Taken:
    """The leaves of a log epoch from a place on, in order."""
    rows = await connection.fetch(_SQL.leaves_from, log_epoch, first)
    return Taken(
        [row["stream_id"] for row in rows],
        [row["seq"] for row in rows],
        [row["leaf_hash"] for row in rows],
    )


async def rekey(connection: Connection, log_epoch: int, vkey: str) -> None:
    """Say that another key signs from now on."""
    await connection.execute(_SQL.rekeyed, log_epoch, vkey)


async def close(connection: Connection, log_epoch: int) -> None:
    """End a log epoch."""
    await connection.execute(_SQL.closed, log_epoch)


def _taken(rows: list[Row]) -> Taken:
    taken = Taken([], [], [])
    for row in sorted(rows, key=lambda each: each["id"]):
        hashes = row["leaf_hashes"]
        many = len(row["seqs"])
        if len(row["streams"]) != many or len(hashes) != many * _HASH_BYTES:
            raise LogInconsistent(at=f"batch {row['id']}", what="it was changed in the queue.")
        taken.streams.extend(row["streams"])
        taken.seqs.extend(row["seqs"])
        taken.leaf_hashes.extend(
            hashes[at : at + _HASH_BYTES] for at in range(0, len(hashes), _HASH_BYTES)
        )
    return taken


async def grow(
    connection: Connection,
    before: Head,
    taken: Taken,
    full: Iterable[tuple[Tile, bytes]],
    after: Frontier,
) -> None:
    """Give events their places; full: tiles that became full, with their roots.

    Raises LogInconsistent if somebody else has moved the head.
    """
    epoch, size = before.log_epoch, before.frontier.size
    await connection.execute(_SQL.placed, epoch, size, *taken)
    tiles = list(full)
    if tiles:
        levels, numbers = [each.level for each, _ in tiles], [each.n for each, _ in tiles]
        await connection.execute(_SQL.filled, epoch, levels, numbers, [root for _, root in tiles])
    if await connection.fetchval(_SQL.grown, epoch, size, after.size, after.packed()) is None:
        raise LogInconsistent(at=f"size {size}", what="somebody else has moved the head.")


async def keep_signed(
    connection: Connection, log_epoch: int, *, size: int, root: bytes, note: str
) -> None:
    """Keep a signed head."""
    await connection.execute(_SQL.signed, log_epoch, size, root, note)


async def log_epochs(source: Connection | Database) -> list[Row]:
    """All log epochs in order: log_epoch, origin, vkey, size, is_closed."""
    rows: list[Row] = await source.fetch(_SQL.log_epochs)
    return rows


async def notes(connection: Connection, log_epoch: int) -> list[Row]:
    """The signed heads of a log epoch in order: size, root, note."""
    rows: list[Row] = await connection.fetch(_SQL.notes, log_epoch)
    return rows


async def entries(connection: Connection, log_epoch: int, first: int, end: int) -> list[Row]:
    """Leaves in a row, each with the columns of its event, which are None where it is gone."""
    rows: list[Row] = await connection.fetch(_SQL.entries, log_epoch, first, end)
    return rows


async def unsealed(connection: Connection) -> list[Row]:
    """What no checkpoint covers yet: as `entries`, with its hash, and whether it waits for long."""
    rows: list[Row] = await connection.fetch(_SQL.unsealed)
    return rows


async def overlooked(connection: Connection) -> list[Row]:
    """Events that neither wait for a place nor have one; at most a hundred."""
    rows: list[Row] = await connection.fetch(_SQL.overlooked)
    return rows


async def sealed_twice(connection: Connection) -> list[Row]:
    """Events that wait for a place although they have one; at most a hundred."""
    rows: list[Row] = await connection.fetch(_SQL.sealed_twice)
    return rows


async def state(connection: Connection) -> list[Row]:
    """What the tables say now: kind, id or name, facts (JSON); of runs and streams seq and head."""
    rows: list[Row] = await connection.fetch(_SQL.state)
    return rows


async def edge(connection: Connection, log_epoch: int) -> tuple[int, bytes]:
    """Size and right edge of a log epoch, as they are kept."""
    row = await connection.fetchrow(_SQL.edge, log_epoch)
    assert row is not None, "log epochs are never removed"
    return row["size"], row["frontier"]


async def newest(source: Connection | Database) -> Row | None:
    """The newest signed head: log_epoch, size, note."""
    row: Row | None = await source.fetchrow(_SQL.newest)
    return row


async def anchored(database: Database, log_epoch: int) -> dict[str, tuple[int, timedelta]]:
    """How far each place outside has the heads, and how long ago it took the last one."""
    rows = await database.fetch(_SQL.anchored, log_epoch)
    return {row["target"]: (row["size"], row["ago"]) for row in rows}


async def keep_receipt(
    database: Database, log_epoch: int, *, size: int, target: str, receipt: bytes
) -> None:
    """Keep what a place outside said when it took a head."""
    await database.execute(_SQL.anchor, log_epoch, size, target, receipt)


async def cosigned(connection: Connection, log_epoch: int) -> list[Row]:
    """What witnesses have signed under heads: size, receipt (lines of signatures)."""
    rows: list[Row] = await connection.fetch(_SQL.cosigned, log_epoch)
    return rows


async def place_of(connection: Connection, stream: str, run: UUID | None, seq: int) -> Row | None:
    """Where an event is in the log: log_epoch, leaf_index, both None before it is sealed.

    run: the id of a run's stream, else the stream has this name. None for an event there is not.
    """
    return await connection.fetchrow(_SQL.place_of, stream, run, seq)


async def stamped(connection: Connection) -> list[Row]:
    """Time stamps over heads: log_epoch, size, target, receipt (DER), note."""
    rows: list[Row] = await connection.fetch(_SQL.stamped)
    return rows


async def tile(connection: Connection, log_epoch: int, wanted: Tile) -> bytes:
    """Give the hashes of a tile, as far as they are there."""
    first = wanted.n * WIDTH
    span = (first, first + wanted.width)
    if wanted.level == 0:
        found = await connection.fetchval(_SQL.leaf_hashes, log_epoch, *span)
    else:
        found = await connection.fetchval(_SQL.roots, log_epoch, wanted.level - 1, *span)
    return bytes(found or b"")


async def sources(connection: Connection) -> dict[tuple[str, int], tuple[str, str | None]]:
    """Give source and drawing, if there is one, of each definition by process and version."""
    rows = await connection.fetch(_SQL.sources)
    return {(row["process"], row["version"]): (row["source"], row["drawing"]) for row in rows}


async def begun_within(connection: Connection, log_epoch: int, size: int) -> tuple[int, int]:
    """Count the runs and grants of the tables that began within the first leaves."""
    row = await connection.fetchrow(_SQL.begun_within, log_epoch, size)
    assert row is not None, "it has one row"
    return row["runs"], row["grants"]


async def receipts(connection: Connection, log_epoch: int, size: int) -> list[Row]:
    """What places outside said of heads of up to this size: size, target, receipt, created_at."""
    rows: list[Row] = await connection.fetch(_SQL.receipts, log_epoch, size)
    return rows


async def draws(source: Connection | Database, size: int | None) -> list[bytes]:
    """Give the entries of samples that were drawn; size: None for the newest checkpoint."""
    return [row["entry"] for row in await source.fetch(_SQL.draws, size)]


async def names_of(connection: Connection, people: list[UUID]) -> list[Row]:
    """Say how people are called now: ref, display_name, work_email, hr_key."""
    rows: list[Row] = await connection.fetch(_SQL.names_of, people)
    return rows


async def people_of(connection: Connection, hr_keys: list[str]) -> dict[str, UUID]:
    """Say whom employee numbers stand for, as far as they are known."""
    rows = await connection.fetch(_SQL.people_of, hr_keys)
    return {row["hr_key"]: row["ref"] for row in rows}


async def anchored_before(connection: Connection, moment: datetime) -> list[Row]:
    """How far each log epoch stands under a head that is older, and kept elsewhere, too.

    Gives log_epoch, origin, min_index, size; nothing of a log epoch that has no such head.
    """
    rows: list[Row] = await connection.fetch(_SQL.anchored_before, moment)
    return rows


async def archived(connection: Connection) -> dict[str, int]:
    """How far log epochs were archived, by origin, as the log says."""
    return {row["origin"]: row["size"] for row in await connection.fetch(_SQL.archived)}


async def give_up(connection: Connection, log_epoch: int, min_index: int) -> None:
    """Say that entries below a place need not be in the database any more; it never goes back."""
    await connection.execute(_SQL.given_up, log_epoch, min_index)


async def absent(
    connection: Connection, streams: list[UUID], seqs: list[int], leaf_hashes: list[bytes]
) -> list[int]:
    """Say which of these events are neither in the journal nor in the tree, by their order here."""
    rows = await connection.fetch(_SQL.absent, streams, seqs, leaf_hashes)
    return [row["place"] for row in rows]
