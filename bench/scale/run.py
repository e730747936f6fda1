"""`make scale`: fill a database, and measure what runs all the time in it.

RUNS=1000000 WAITING=100000 are the sizes of the design; the defaults are a tenth. The figures go
to `bench/results/scale.json`; the goal is a p95 of 25 ms for each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import asyncpg

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.scale.filling import EVENTS_PER_RUN, fill  # noqa: E402 - the path is set above
from bench.scale.measuring import GOAL_MS, HOT, Figure, Ground, measured  # noqa: E402 - as above
from bench.scale.memory import Memory, waiting_cost  # noqa: E402 - as above

from newel.embedded import running_server  # noqa: E402 - as above
from newel.store.database import Database  # noqa: E402 - as above
from newel.store.migrate import migrate  # noqa: E402 - as above

DUE = 50


def main() -> int:
    """Fill, measure, write down; the status is 1 if a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--people", type=int, help="a tenth of the finished runs if not given")
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--directory", type=Path, default=ROOT / "bench" / "ground" / "scale")
    parser.add_argument("--only", nargs="*", default=list(HOT), help="measure these alone")
    parser.add_argument("--dsn", help="a database that was filled before")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "scale.json")
    return asyncio.run(_carried_out(parser.parse_args()))


async def _carried_out(wanted: argparse.Namespace) -> int:
    if wanted.dsn:
        return await _measure(wanted, wanted.dsn, 0.0)
    async with running_server(wanted.directory, remove=True) as server:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("create database scale")
        await connection.close()
        dsn = f"{server.dsn.rpartition('/')[0]}/scale"
        await migrate(dsn)
        began = time.monotonic()
        connection = await asyncpg.connect(dsn)
        await fill(
            connection,
            finished=wanted.runs,
            waiting=wanted.waiting,
            people=wanted.people,
            say=_say,
        )
        await connection.close()
        return await _measure(wanted, dsn, time.monotonic() - began)


async def _measure(wanted: argparse.Namespace, dsn: str, filled_s: float) -> int:
    database = await Database.open(dsn)
    await database.execute(
        "update newel.run set wake_at = now() where id in "
        f"(select id from newel.run where wake_at is not null limit {DUE})"
    )
    ground = await Ground.of(database)
    figures: list[Figure] = []
    for name in wanted.only:
        figures.append(await measured(ground, name, times=wanted.times))
        _say(f"  {figures[-1]}")
    size = await database.fetchval("select pg_database_size(current_database())")
    counted = await database.fetchrow(
        "select (select count(*) from newel.run where finished_at is not null) as finished,"
        " (select count(*) from newel.run where finished_at is null) as waiting,"
        " (select count(*) from newel.event) as events"
    )
    memory = await waiting_cost(dsn)
    await database.close()
    _write(wanted.results, dict(counted or {}), size, filled_s, figures, memory)
    return 0 if all(each.p95_ms <= GOAL_MS for each in figures) else 1


def _write(
    path: Path,
    counted: dict[str, int],
    size: int,
    filled_s: float,
    figures: list[Figure],
    memory: Memory,
) -> None:
    for each in figures:
        mark = " " if each.p95_ms <= GOAL_MS else "!"
        _say(f"{mark} {each.name:24} median {each.median_ms:8.2f} ms   p95 {each.p95_ms:8.2f} ms")
    _say(f"  worker: {memory.none_mb} MB with no waiting runs, {memory.waiting_mb} MB with all")
    document = {
        **counted,
        "events_per_run": EVENTS_PER_RUN,
        "bytes": size,
        "filled_s": round(filled_s, 1),
        "goal_p95_ms": GOAL_MS,
        "figures": [asdict(each) for each in figures],
        "memory": asdict(memory),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
