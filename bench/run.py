"""`make bench`: newel, DBOS, Absurd and pgbench side by side, taking turns on one server.

Every round each of them does the same work once, in another order each time; medians of the
rounds are told, and ratios are medians of the ratios within a round, so that a machine that is
slow for a minute is slow for all. All is repeated on a disk that is a millisecond slower.

Writes `bench/results.json`, `bench/results.md` and `bench/results.svg`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from newel.cli.measuring import commits_per_second
from newel.cli.rehearsing import rehearse

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.contenders import Absent, Side
from bench.ground import DISKS, Ground, absurd_schema

from bench import contenders, drawings, report, startup
from newel.embedded import running_server
from newel.store.migrate import migrate

ROOT = Path(__file__).parent.parent
Figures = dict[str, Any]  # Any: the values JSON can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done in one round."""

    rounds: int = 7
    runs: int = 400
    peer_runs: int = 80
    onboardings: int = 20
    pgbench_s: int = 2
    hires: int = 45
    scaling_rounds: int = 3
    workers: tuple[int, ...] = (1, 2, 4)
    warm_up: int = 1


QUICK = Size(
    rounds=1,
    runs=20,
    peer_runs=5,
    onboardings=2,
    pgbench_s=1,
    hires=0,
    scaling_rounds=1,
    workers=(1, 2),
    warm_up=0,
)


@dataclass(slots=True)
class Disk:
    """What was measured on one disk, a list of rounds by name."""

    rounds: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Keep the figure of one round."""
        self.rounds.setdefault(name, []).append(value)

    def median(self, name: str) -> float | None:
        """The middle of all rounds; None if it was not measured."""
        return statistics.median(self.rounds[name]) if name in self.rounds else None

    def ratio(self, upper: str, lower: str) -> float | None:
        """The middle of the ratios within each round."""
        if upper not in self.rounds or lower not in self.rounds:
            return None
        pairs = zip(self.rounds[upper], self.rounds[lower], strict=True)
        return round(statistics.median(one / other for one, other in pairs), 2)


class Contest:
    """All contenders on one disk."""

    def __init__(self, ground: Ground, disk: str, place: Path, size: Size) -> None:
        self._ground = ground
        self._disk = disk
        self._place = place
        self._size = size
        self._sides: dict[str, Side] = {}
        self._databases: list[str] = []
        self.found = Disk()

    async def play(self, *, peers: Path | None) -> Disk:
        """Let everyone take their turns; answers with all figures."""
        try:
            await self._open(peers)
            turns = ["pgbench", *self._sides]
            for number in range(self._size.warm_up + self._size.rounds):
                _progress(f"{self._disk} disk, round {number + 1 - self._size.warm_up}")
                if number == self._size.warm_up:
                    self.found.rounds.clear()  # what warmed everyone up does not count
                for place in range(len(turns)):
                    await self._turn(turns[(place + number) % len(turns)])
        finally:
            for side in self._sides.values():
                side.close()
            for name in self._databases:
                await self._ground.drop(name, self._disk)
        return self.found

    async def _turn(self, name: str) -> None:
        """Let one contender do its work; a peer that dies of it is left out from then on."""
        if name in self.found.absent:
            return
        try:
            await getattr(self, f"_{name}")()
        except Absent as why:
            if name not in {"dbos", "absurd"}:
                raise
            self.found.absent[name] = str(why)
            for figure in (f"{name}_steps", f"{name}_idle_ms"):
                self.found.rounds.pop(figure, None)

    async def _open(self, peers: Path | None) -> None:
        self._bare = await self._database("bare")
        self._sides["newel"] = Side("newel", await self._database("newel"), str(self._place))
        plain = await self._database("newel_plain")
        self._sides["unaudited"] = Side("newel", plain, str(self._place), "--without-audit")
        if peers is None:
            self.found.absent |= dict.fromkeys(("dbos", "absurd"), "left out on request")
            return
        for peer, more in ((contenders.DBOS, ("50",)), (contenders.ABSURD, ())):
            try:
                python = peer.python(peers)
                dsn = await self._database(peer.name)
                if peer is contenders.ABSURD:
                    absurd_schema(python, dsn)
                self._sides[peer.name] = Side(peer.name, dsn, *more, python=python)
            except Absent as why:
                self.found.absent[peer.name] = str(why)

    async def _database(self, name: str) -> str:
        dsn = await self._ground.database(name, self._disk)
        self._databases.append(name)
        return dsn

    async def _pgbench(self) -> None:
        program = self._ground.binaries / "pgbench"
        rate = await commits_per_second(program, self._bare, seconds=self._size.pgbench_s)
        self.found.add("pgbench_c1_tps", rate)

    async def _newel(self) -> None:
        side, add = self._sides["newel"], self.found.add
        steps = side.ask("steps", runs=self._size.runs)
        add("steps", steps["steps_per_s"])
        add("commits_per_step", steps["commits"])
        add("statements_per_step", steps["statements"])
        add("wal_bytes_per_step", steps["wal"])
        add("cpu_us_per_step", steps["cpu"] * 1e6)
        add("cpu_loop_ms", startup.loop_ms())
        idle = side.ask("onboarding", times=self._size.onboardings)
        add("idle_ms", statistics.median(ms for ms, _ in idle))
        add("idle_commits", statistics.median(commits for _, commits in idle))

    async def _unaudited(self) -> None:
        steps = self._sides["unaudited"].ask("steps", runs=self._size.runs)
        self.found.add("steps_unaudited", steps["steps_per_s"])

    async def _dbos(self) -> None:
        self._peer("dbos", "coroutines", "threads", onboarding=("",))

    async def _absurd(self) -> None:
        self._peer("absurd", "plain", "async", onboarding=("plain", "async"))

    def _peer(self, name: str, *styles: str, onboarding: tuple[str, ...]) -> None:
        """Each style its documentation offers; the fastest of them counts."""
        side, size = self._sides[name], self._size
        rates = [side.ask("steps", runs=size.peer_runs, style=style) for style in styles]
        self.found.add(f"{name}_steps", max(rates))
        tried = []
        for style in onboarding:
            more = {"style": style} if style else {}
            took = side.ask("onboarding", times=size.onboardings, **more)
            tried.append(statistics.median(took))
        self.found.add(f"{name}_idle_ms", min(tried))


async def scaling(ground: Ground, place: Path, size: Size) -> Figures:
    """Steps a second of 1, 2 and 4 worker processes that share one queue."""
    found: Figures = {}
    for workers in size.workers:
        dsn = await ground.database("scaling", "fast")
        sides = [Side("newel", dsn, str(place)) for _ in range(workers)]
        rates = [_shared(sides, size.runs) for _ in range(size.warm_up + size.scaling_rounds)]
        for side in sides:
            side.close()
        await ground.drop("scaling", "fast")
        rate = statistics.median(rates[size.warm_up :])
        found[f"steps_per_s_{workers}_workers"] = round(rate)
        if workers > 1:
            one = found["steps_per_s_1_workers"]
            found[f"scaling_{workers}_workers"] = round(rate / one, 2)
    return found


def _shared(sides: list[Side], runs: int) -> float:
    sides[0].ask("enqueue", runs=runs)
    for side in sides:
        side.tell("share")
    spans: list[tuple[float, float]] = [side.answer() for side in sides]
    return runs * 10 / (max(end for _, end in spans) - min(begin for begin, _ in spans))


def summary(fast: Disk, slow: Disk) -> Figures:
    """The ratios first, the absolute figures beside them."""
    found: Figures = {}
    for disk, suffix in ((fast, ""), (slow, "_slow_disk")):
        idle = disk.median("idle_ms")
        commit_ms = 1000 / (disk.median("pgbench_c1_tps") or 1)
        found |= {
            f"ratio_steps_dbos{suffix}": disk.ratio("steps", "dbos_steps"),
            f"ratio_steps_absurd{suffix}": disk.ratio("steps", "absurd_steps"),
            f"ratio_steps_pgbench_c1{suffix}": disk.ratio("steps", "pgbench_c1_tps"),
            f"ratio_idle_onboarding_dbos{suffix}": disk.ratio("dbos_idle_ms", "idle_ms"),
            f"ratio_idle_onboarding_absurd{suffix}": disk.ratio("absurd_idle_ms", "idle_ms"),
            f"ratio_idle_onboarding_4_commits{suffix}": (
                None if idle is None else round(idle / (4 * commit_ms), 2)
            ),
            f"steps_per_s{suffix}": _rounded(disk.median("steps"), 0),
            f"steps_per_s_dbos{suffix}": _rounded(disk.median("dbos_steps"), 0),
            f"steps_per_s_absurd{suffix}": _rounded(disk.median("absurd_steps"), 0),
            f"pgbench_c1_tps{suffix}": _rounded(disk.median("pgbench_c1_tps"), 0),
            f"idle_onboarding_ms{suffix}": _rounded(idle, 2),
            f"idle_onboarding_ms_dbos{suffix}": _rounded(disk.median("dbos_idle_ms"), 2),
            f"idle_onboarding_ms_absurd{suffix}": _rounded(disk.median("absurd_idle_ms"), 2),
            f"audit_costs_percent{suffix}": _cost(disk),
        }
    for name, digits in (
        ("idle_commits", 0),
        ("commits_per_step", 4),
        ("statements_per_step", 4),
        ("wal_bytes_per_step", 0),
        ("cpu_us_per_step", 1),
        ("cpu_loop_ms", 1),
    ):
        found[name] = _rounded(fast.median(name), digits)
    return found


def _cost(disk: Disk) -> float | None:
    ratio = disk.ratio("steps", "steps_unaudited")
    return None if ratio is None else round((1 - ratio) * 100, 1)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits) if digits else round(value)


async def measured(size: Size, *, peers: Path | None) -> Figures:
    """Measure everything on a server of its own."""
    with tempfile.TemporaryDirectory(prefix="newel-bench-") as name:
        place = Path(name)
        async with running_server(place / "postgres", remove=True) as server:
            ground = Ground(server.dsn, server.bin_directory)
            disks = [await Contest(ground, disk, place, size).play(peers=peers) for disk in DISKS]
            _progress("several workers")
            found = summary(*disks) | await scaling(ground, place, size)
            if size.hires:
                _progress("onboarding against slow systems")
                dsn = await ground.database("rehearsal", "fast")
                found |= await _rehearsed(dsn, place, size.hires)
    found |= startup.times(size.rounds) | drawings.times(size.rounds)
    found["absent"] = disks[0].absent
    found["rounds"] = size.rounds
    found["machine"] = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }
    return found


def _progress(says: str) -> None:
    print(f"bench: {says}", file=sys.stderr, flush=True)


async def _rehearsed(dsn: str, place: Path, hires: int) -> Figures:
    await migrate(dsn)
    return await rehearse(dsn, place, hires=hires)


def main() -> int:
    """Read the arguments, measure, write the three files."""
    reader = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    reader.add_argument("--rounds", type=int, help="how often each figure is measured (default 7)")
    reader.add_argument("--quick", action="store_true", help="small amounts, one round")
    reader.add_argument("--without-peers", action="store_true", help="newel and pgbench only")
    reader.add_argument("--into", type=Path, default=ROOT / "bench", help="where results go")
    asked = reader.parse_args()
    size = QUICK if asked.quick else Size()
    if asked.rounds:
        size = replace(size, rounds=asked.rounds)
    peers = None if asked.without_peers else ROOT / "build" / "peers"
    found = asyncio.run(measured(size, peers=peers))
    into: Path = asked.into
    into.mkdir(parents=True, exist_ok=True)
    (into / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    (into / "results.md").write_text(report.table(found))
    (into / "results.svg").write_text(report.plot(found))
    print(report.table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
