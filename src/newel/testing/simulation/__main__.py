"""`python -m newel.testing.simulation`: many seeds on all cores, or one seed with what it did.

python -m newel.testing.simulation --seeds 100000 --jobs 4
python -m newel.testing.simulation --seed 4711
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from functools import partial

from newel.testing.simulation.play import Report, play
from newel.testing.simulation.shrinking import shrunk

_CHUNK = 50


def main() -> int:
    """Play what the command line says; 1 if an invariant was broken."""
    asked = _arguments()
    if asked.seed is not None:
        return _one(asked.seed, shrinks=not asked.plain, is_wide=asked.wide)
    began = time.monotonic()
    seeds = range(asked.first, asked.first + asked.seeds)
    broken = 0
    played = runs = kills = 0
    for report in _played(seeds, asked.jobs, is_wide=asked.wide):
        played, runs, kills = played + 1, runs + report.runs, kills + report.kills
        if report.broken:
            broken += 1
            _say(f"seed {report.seed}: {report.broken[0].splitlines()[0]}")
            _say(f"    {repeated(report.seed, is_wide=asked.wide)}")
        if played % 5_000 == 0:
            _say(f"{played} of {asked.seeds} seeds, {broken} broken")
    took = time.monotonic() - began
    _say(
        f"{played} seeds, {runs} runs, {kills} workers killed, {broken} broken, "
        f"{took:.0f} s, {took / max(played, 1) * 1000:.1f} ms a seed"
    )
    return 1 if broken else 0


def repeated(seed: int, *, is_wide: bool = False) -> str:
    """The command that plays a seed again."""
    return f"python -m newel.testing.simulation --seed {seed}{' --wide' if is_wide else ''}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Play seeds of a company's bad minute.")
    parser.add_argument("--seeds", type=int, default=2_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="on how many cores")
    parser.add_argument("--seed", type=int, default=None, help="only this one, and tell all")
    parser.add_argument("--plain", action="store_true", help="do not look for a smaller case")
    parser.add_argument("--wide", action="store_true", help="with children, groups and scopes")
    return parser.parse_args()


def _one(seed: int, *, shrinks: bool, is_wide: bool) -> int:
    report = play(seed, is_wide=is_wide)
    if not report.broken:
        _say(f"seed {seed} keeps every invariant: {report.runs} runs, {report.commits} commits")
        return 0
    _say("\n".join(report.broken))
    _say(report.told)
    if shrinks:
        _say(shrunk(seed, report.broken[0], is_wide=is_wide))
    return 1


def _played(seeds: range, jobs: int, *, is_wide: bool) -> Iterator[Report]:
    one = partial(play, is_wide=is_wide)
    if jobs <= 1:
        yield from map(one, seeds)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs) as pool:
        yield from pool.imap_unordered(one, seeds, chunksize=_CHUNK)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
