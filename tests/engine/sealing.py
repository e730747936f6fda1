"""A log to seal, for tests: writers of events, and what must hold of every sealed log."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg

from newel.audit.checkpoint import opened
from newel.audit.leaf import leaf_hash
from newel.audit.merkle import Frontier
from newel.audit.note import Note
from newel.audit.trust import Policy
from newel.engine.key_holder import KeyHolder
from newel.engine.sequencer import Sequencer
from newel.store.database import Database
from tests.faults.pooler import behind

RACE = 8
"""Streams that compete for their rows."""


async def append(connection: Any, stream: str, *, many: int = 1) -> None:
    """Append events to a stream as the write door does: under the lock of its row."""
    id_ = uuid5(NAMESPACE_URL, stream)
    await connection.execute(
        "insert into newel.audit_stream (id, name) values ($1, $2) on conflict do nothing",
        id_,
        stream,
    )
    seq = await connection.fetchval(
        "select seq from newel.audit_stream where id = $1 for update", id_
    )
    await connection.execute(
        "insert into newel.event (stream_id, seq, type, occurred_at, entry) "
        "select $1, n, 'log.tick', clock_timestamp(), convert_to($2 || ' ' || n, 'UTF8') "
        "from generate_series($3::bigint + 1, $3 + $4) n",
        id_,
        stream,
        seq,
        many,
    )
    await connection.execute(
        "update newel.audit_stream set seq = seq + $2 where id = $1", id_, many
    )


@contextlib.asynccontextmanager
async def sequencer(url: str, folder: Path, kind: type[Database] = Database) -> AsyncIterator[Any]:
    """Give a candidate with connections of its own; those with one folder hold one key."""
    database = await kind.open(url)
    try:
        yield Sequencer(database, KeyHolder(folder))
    finally:
        await database.close()


async def assert_sealed(connection: Any, folder: Path) -> int:
    """Every event has one place, places have no gap, streams keep their order, heads verify."""
    leaves = await connection.fetch(
        "select l.leaf_index, l.stream_id, l.seq, l.leaf_hash, e.entry from newel.audit_leaf l "
        "join newel.event e using (stream_id, seq) order by l.leaf_index"
    )
    assert [row["leaf_index"] for row in leaves] == list(range(len(leaves)))
    assert len(leaves) == await connection.fetchval("select count(*) from newel.event")
    assert await connection.fetchval("select count(*) from newel.event_batch") == 0
    order: dict[UUID, int] = defaultdict(int)
    frontier, roots = Frontier(), {}
    for row in leaves:
        order[row["stream_id"]] += 1
        assert row["seq"] == order[row["stream_id"]], "a stream is out of order"
        assert row["leaf_hash"] == leaf_hash(row["entry"])
        frontier.append(row["leaf_hash"])
        roots[frontier.size] = frontier.root()
    policy = Policy.parsed((folder / "policy").read_bytes())
    heads = await connection.fetch("select size, root, note from newel.audit_checkpoint order by 1")
    for row in heads:
        signed = opened(Note.parsed(row["note"]), policy.logs)
        assert (signed.size, signed.root) == (row["size"], row["root"])
        assert signed.root == roots[signed.size], "a signed head is not of this tree"
    assert heads[-1]["size"] == len(leaves), "the last events are not signed"
    return len(leaves)


async def writing(url: str, chance: Any, *, turns: int, open_for: float) -> None:
    """Write to streams in random order; some transactions stay open for a while."""
    connection = await asyncpg.connect(behind(url))
    try:
        for _ in range(turns):
            async with connection.transaction():
                for stream in sorted(chance.sample(range(RACE), chance.randint(1, 2))):
                    await append(connection, f"system/{stream}", many=chance.randint(1, 3))
                await asyncio.sleep(chance.random() * open_for)
    finally:
        await connection.close()
