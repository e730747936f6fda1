"""`newel bench`: what the engine does on this machine, as ratios against the database's own limit.

Every figure comes from a real server with durable commits, the real worker, intents, audit
leaves and log lines on. The engine and `pgbench` (one client, the smallest durable commit) take
turns in the same run, and medians are told: on a shared machine rates move, ratios hold. All is
repeated with commits a millisecond slower, as on ordinary disks (`_slow_disk`).
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
from newel.store.measured import make_slow

_ROUNDS = 5
_RUNS = 300
_HIRES = 100
_SLOW = ("steps_per_s", "steps_vs_pgbench", "pgbench_c1_tps", "onboarding_idle_p50_ms")


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
            kek, pgbench = Path(place) / "kek", server.bin_directory / "pgbench"
            async with Bench.opened(server.dsn, kek, pgbench) as measured:
                found = await measured.figures(rounds=rounds, runs=runs)
            slow = await make_slow(server.dsn)
            async with Bench.opened(slow, kek, pgbench) as measured:
                slower = await measured.figures(rounds=rounds, runs=runs)
            found |= {f"{name}_slow_disk": slower[name] for name in _SLOW}
            if hires:
                found |= await rehearse(server.dsn, Path(place), hires=hires)
            return found
