"""The generator of `make scale`: what it writes is what the engine would have written."""

from __future__ import annotations

import hashlib

import orjson
from bench.scale.filling import EVENTS_PER_RUN, fill

from newel.audit.canonical import encoded
from newel.base.ids import reference
from newel.store.database import Database
from newel.store.invariants import broken


async def test_generated_runs_have_journals_that_hold(database, database_url):
    """Every leaf is canonical, names its run, and is chained; digests are those of payloads."""
    await fill(database, finished=60, waiting=30)
    runs = await database.fetch("select * from newel.run where finished_at is not null")
    assert len(runs) == 60
    for run in runs[:5]:
        rows = await database.fetch(
            "select * from newel.event where stream_id = $1 order by seq", run["id"]
        )
        previous = ""
        for seq, row in enumerate(rows, 1):
            leaf = orjson.loads(row["entry"])
            assert encoded(leaf) == row["entry"]
            assert (leaf["prev"], leaf["seq"]) == (previous, seq)
            assert leaf["stream"] == f"run/{reference('run', run['id'])}"
            if row["payload"] is not None:
                assert hashlib.sha256(row["payload"]).hexdigest() in leaf["data"].values()
            previous = hashlib.sha256(b"\0" + row["entry"]).hexdigest()
        assert (len(rows), run["head"].hex()) == (EVENTS_PER_RUN, previous)
    opened = await Database.open(database_url)
    assert await broken(opened) == []
    await opened.close()
