"""Log lines against the journal: what one of them has and the other has not is named."""

from __future__ import annotations

import json

import orjson

from newel.base.log import transition_line
from newel.engine.reconciling import reconciled
from newel.engine.told import service
from newel.store.export import snapshot
from tests.engine.test_event_export import sealed
from tests.engine.test_verifying import unguarded

__all__ = ["sealed"]


async def lines_of(house):
    """The line of every event, as workers write them, in order."""
    rows = await house.database.fetch(
        "select entry, sha256('\\x00'::bytea || entry) as hash from newel.event "
        "order by occurred_at, stream_id, seq"
    )
    leaves = [(orjson.loads(row["entry"]), row["hash"]) for row in rows]
    return [
        transition_line(
            service("worker", "here"),
            event=leaf["type"],
            occurred_at=leaf["occurred_at"],
            id=leaf["id"],
            stream=leaf["stream"],
            seq=leaf["seq"],
            leaf_hash=hash_,
        )
        for leaf, hash_ in leaves
    ]


async def compared(house, lines):
    """Compare, at this moment."""
    async with snapshot(house.database) as seen:
        return await reconciled(seen.connection, lines)


async def test_what_is_missing_on_either_side_is_named(sealed, database):
    """Lines twice and other lines do no harm; a lost line is 2, an event taken out 1."""
    lines = await lines_of(sealed)
    noise = [b"no json\n", b'{"event": "hello"}\n', b'{"audit": 3, "ts": 1}\n', b"\xff\n"]
    whole = await compared(sealed, [*noise, *lines, *lines])
    assert (whole.code, whole.lines, whole.events) == (0, len(lines), len(lines))
    assert (await compared(sealed, noise)).code == 0
    gone = [3, 7, len(lines) - 2]
    fewer = await compared(sealed, [line for n, line in enumerate(lines) if n not in gone])
    assert (fewer.code, fewer.lost_lines, fewer.lost_events) == (2, 3, 0)
    named = [json.loads(lines[n]) for n in gone]
    assert sorted(fewer.without_line) == sorted(
        f"{line['event']} {line['audit']['stream']}/{line['audit']['seq']}" for line in named
    )
    await unguarded(database)
    await database.execute("delete from newel.event where type = 'access.revoked'")
    forged = await compared(sealed, lines)
    assert (forged.code, forged.lost_events, forged.lost_lines) == (1, 2, 0)
    assert all(each.startswith("run/run_") for each in forged.without_event)
