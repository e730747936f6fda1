"""newel's part of the bench: a worker in this process, with intents, leaves and log lines on.

`--without-audit` measures what the audit log costs: the same rows and payloads, but no leaf of a
step is built, hashed or chained, and no row is left for the sequencer. Only the bench can do
this; the product has no such switch.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import asyncpg
from talk import Deed, answer_requests

import newel.domain.change
from newel.audit.leaf import Event, Leaf, build
from newel.cli.measuring import Bench
from newel.engine.tuning import collect_rarely
from newel.store.migrate import migrate

_NO_LEAF = Leaf(b"{}", bytes(32))


def _unaudited(event: Event, **more: Any) -> Leaf:  # Any: as `build` takes them
    """Build no leaf for a step's events; a run is read from the leaf of its start."""
    return _NO_LEAF if event.has_step else build(event, **more)


async def _switch_audit_off(dsn: str) -> None:
    vars(newel.domain.change)["build"] = _unaudited
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("alter table newel.event disable trigger event_enqueue")
    finally:
        await connection.close()


async def _main(dsn: str, place: Path, *, is_audited: bool) -> None:
    if not is_audited:
        await _switch_audit_off(dsn)
    async with Bench.opened(dsn, place / "kek", Path()) as bench:

        async def idle(times: int) -> list[tuple[float, int]]:
            return [await bench.idle() for _ in range(times)]

        deeds: dict[str, Deed] = {
            "steps": bench.busy,
            "onboarding": idle,
            "enqueue": bench.enqueue,
            "share": bench.share,
        }
        await answer_requests(deeds)


if __name__ == "__main__":
    collect_rarely()
    is_audited = "--without-audit" not in sys.argv
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2]), is_audited=is_audited))
