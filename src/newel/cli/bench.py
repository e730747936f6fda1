"""`newel bench`: what the engine does on this machine, as ratios against the database's own limit.

Every figure comes from a real server with durable commits, the real worker, intents, audit
leaves and log lines on. The engine and `pgbench` (one client, one insert a transaction) take
turns in the same run, and medians are told: on a shared machine rates move, ratios hold.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from newel.cli.measuring import Bench
from newel.cli.output import columns, say, say_json
from newel.cli.rehearsing import rehearse
from newel.embedded import running_server
from newel.engine.tuning import collect_rarely
from newel.store.migrate import migrate

_ROUNDS = 5
_RUNS = 300
_HIRES = 100


def bench(
    *,
    json: bool = False,
    rounds: Annotated[int, Parameter(help="How often each figure is measured.")] = _ROUNDS,
    runs: Annotated[int, Parameter(help="Runs of ten steps in one measurement.")] = _RUNS,
    hires: Annotated[int, Parameter(help="Onboardings against slow simulators; 0: none.")] = _HIRES,
) -> None:
    """Measure what the engine does per second on this machine.

    Args:
        json: Print one JSON object.
    """
    collect_rarely()
    found = asyncio.run(_measured(rounds=rounds, runs=runs, hires=hires))
    if json:
        say_json(found)
    else:
        say(columns(("figure", "value"), [(name, f"{value:,}") for name, value in found.items()]))


async def _measured(*, rounds: int, runs: int, hires: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="newel-bench-") as place:
        async with running_server(Path(place) / "postgres", remove=True) as server:
            await migrate(server.dsn)
            async with Bench.opened(server, Path(place) / "kek") as measured:
                found = await measured.figures(rounds=rounds, runs=runs)
            if hires:
                found |= await rehearse(server.dsn, Path(place), hires=hires)
            return found
