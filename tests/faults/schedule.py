"""One schedule of faults, drawn from a seed: what happens to which process, and when.

`python -m tests.faults.schedule --seed 7` plays one and says what it found; `--schedules 200`
plays as many, from the seed on. A failing one prints the command that plays it again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from newel.base.ids import reference
from newel.embedded.server import Server, removed, started
from newel.engine.steps import DIED
from newel.store.database import LOST
from newel.store.migrate import migrate
from newel.store.snapshot import read
from newel.testing.invariants import at_rest
from tests.faults.book import Book
from tests.faults.fleet import Fleet, fleet
from tests.faults.pooler import pooled
from tests.faults.processes import EFFECTS
from tests.patience import LONG_S


@dataclass
class Plan:
    """What is drawn from a seed."""

    seed: int
    workers: int = 4
    runs: int = 500
    faults: int = 12
    is_pooled: bool = False


@dataclass
class Found:
    """What a schedule has shown."""

    plan: Plan
    wrong: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    effects: int = 0
    seconds: float = 0.0
    retried: int = 0

    def line(self) -> str:
        """One line about it."""
        what = ", ".join(f"{name} {n}" for name, n in sorted(self.faults.items()))
        verdict = "ok" if not self.wrong else "BROKEN"
        asked = f", {self.retried} retried by a person" if self.retried else ""
        return (
            f"seed {self.plan.seed}: {verdict}, {self.runs} runs, {self.effects} effects"
            f"{asked}, {self.seconds:.0f} s ({what})"
        )

    def command(self) -> str:
        """The command that plays it again."""
        plan = self.plan
        pool = " --pooled" if plan.is_pooled else ""
        return (
            f"python -m tests.faults.schedule --seed {plan.seed} --workers {plan.workers} "
            f"--runs {plan.runs} --faults {plan.faults}{pool}"
        )


class Schedule:
    """Plays a plan against a fleet, and judges what is left."""

    def __init__(self, plan: Plan, ships: Fleet, book: Book, dsn: str, place: Path) -> None:
        self.plan, self.ships, self.book, self.dsn = plan, ships, book, dsn
        self.server_at = place
        self.chance = random.Random(plan.seed)
        self.found = Found(plan)
        self.api_port = 0
        self._one_api = asyncio.Lock()

    def _name(self) -> str:
        return f"w{self.chance.randrange(self.plan.workers)}"

    # --- faults -----------------------------------------------------------------------------

    async def kill_worker(self) -> None:
        """Kill -9, and another is started in its place."""
        name = self._name()
        self.ships.signal(name, signal.SIGKILL)
        await self.ships.gone(name)
        await self.ships.worker(name)

    async def freeze_worker(self) -> None:
        """SIGSTOP beyond the lease, then SIGCONT."""
        name = self._name()
        self.ships.signal(name, signal.SIGSTOP)
        await asyncio.sleep(self.chance.uniform(6.2, 8.0))
        self.ships.signal(name, signal.SIGCONT)

    async def stop_worker(self) -> None:
        """SIGTERM: it leaves orderly, and another is started."""
        name = self._name()
        self.ships.signal(name, signal.SIGTERM)
        status = await self.ships.gone(name)
        # 130, or the signal itself: asked while it was starting.
        if status not in {0, 1, 130, -signal.SIGTERM, -signal.SIGKILL}:
            self.found.wrong.append(f"{name} ended with {status}: {self.ships.log(name)[-1500:]}")
        await self.ships.worker(name)

    async def kill_api(self) -> None:
        """Kill -9 of the server of the API, and another on the same port."""
        self.ships.signal("api", signal.SIGKILL)
        await self.ships.gone("api")
        await self._serving()

    async def _serving(self) -> None:
        """Start the API where it does not run."""
        async with self._one_api:
            if not self.ships.is_alive("api"):
                await self.ships.run("api", "serve", "--port", str(self.api_port))

    async def _kept_serving(self) -> None:
        """Start the API again when it has ended by itself, as whoever runs it would.

        It may: the database was away when it was started, and it said so.
        """
        while True:
            await asyncio.sleep(0.1)
            if self.ships.is_alive("api"):
                continue
            status = await self.ships.gone("api")
            said = self.ships.log("api").strip().splitlines()[-1:]
            if status != -signal.SIGKILL and not (said and said[0].startswith("newel: ")):
                self.found.wrong.append(f"the API has ended with {status}: {said}")
            await self._serving()

    async def cut(self) -> None:
        """All lines of one program are cut."""
        (await self.ships.proxy(self._name())).cut(reset=self.chance.random() < 0.5)

    async def half_open(self) -> None:
        """Bytes vanish without a word, in one direction or both, for longer than the lease."""
        proxy = await self.ships.proxy(self._name())
        proxy.swallow(*self.chance.choice((("up",), ("down",), ("up", "down"))))
        await asyncio.sleep(self.chance.uniform(0.5, 7.0))
        if self.chance.random() < 0.5:
            proxy.cut(reset=True)
        proxy.heal()

    async def reset_after_commit(self) -> None:
        """The answer to a commit is lost with its line."""
        (await self.ships.proxy(self._name())).reset_after_commit(self.chance.randint(1, 3))

    async def slow_line(self) -> None:
        """Every answer takes its time."""
        proxy = await self.ships.proxy(self._name())
        proxy.delay_s = self.chance.uniform(0.005, 0.08)
        await asyncio.sleep(self.chance.uniform(0.5, 2.0))
        proxy.delay_s = 0.0

    async def kill_server(self) -> None:
        """Kill -9 of PostgreSQL; it recovers when it is started again."""
        pid = await asyncio.to_thread(lambda: started(self.server_at).pid)
        os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(self.chance.uniform(0.0, 1.5))
        await asyncio.to_thread(started, self.server_at)

    async def lost_answers(self) -> None:
        """The world outside loses answers and refuses calls for a while."""
        self.book.lose, self.book.refuse = 0.15, 0.1
        self.book.slow_s = 0.1
        await asyncio.sleep(self.chance.uniform(0.3, 1.0))
        self.book.lose = self.book.refuse = self.book.slow_s = 0.0

    @property
    def menu(self) -> list[Callable[[], Awaitable[None]]]:
        """What can happen, the frequent ones more than once."""
        return [
            self.kill_worker, self.kill_worker, self.freeze_worker, self.stop_worker,
            self.kill_api, self.cut, self.cut, self.half_open, self.reset_after_commit,
            self.reset_after_commit, self.slow_line, self.kill_server, self.lost_answers,
        ]  # fmt: skip

    # --- the play ---------------------------------------------------------------------------

    async def play(self) -> Found:
        """Start everything, let the faults come, heal, and judge when all has come to rest."""
        began = time.monotonic()
        from tests.faults.pooler import free_port

        self.api_port = free_port()
        await self._serving()
        keeping = asyncio.create_task(self._kept_serving())
        for number in range(self.plan.workers):
            await self.ships.worker(f"w{number}")
        names = [f"r{self.plan.seed}x{number}" for number in range(self.plan.runs)]
        starting = asyncio.create_task(self._start(names))
        for _ in range(self.plan.faults):
            fault = self.chance.choice(self.menu)
            await asyncio.sleep(self.chance.uniform(0.0, 0.6))
            self.found.faults[fault.__name__] += 1
            await fault()
        self._heal()
        await asyncio.wait_for(starting, LONG_S)
        keeping.cancel()
        await self._rested()
        await self._judge(names)
        self.found.seconds = time.monotonic() - began
        return self.found

    async def _start(self, names: list[str]) -> None:
        waiting = asyncio.Queue[tuple[int, str]]()
        for item in enumerate(names):
            waiting.put_nowait(item)

        async def starter() -> None:
            while not waiting.empty():
                number, name = waiting.get_nowait()
                process = "waiting" if number % 5 == 4 else "journey"
                await self.ships.start(self.api_port, process, name)
                if process == "waiting":
                    await self._send(name)

        await asyncio.gather(*(starter() for _ in range(8)))
        self.found.runs = len(names)

    async def _send(self, name: str) -> None:
        """Keep a message as a sender does who dies before handing it over."""
        while True:
            with contextlib.suppress(*LOST):
                connection = await asyncpg.connect(self.dsn, timeout=5)
                try:
                    await connection.execute(
                        "insert into newel.inbox (source, event_id, name, match, payload, digest) "
                        "values ('test', $1, 'arrived', $1, '\"here\"', sha256('x')) "
                        "on conflict do nothing",
                        name,
                    )
                    return
                finally:
                    await connection.close()
            await asyncio.sleep(0.1)

    def _heal(self) -> None:
        self.book.lose = self.book.refuse = self.book.slow_s = 0.0
        for proxy in self.ships.proxies.values():
            proxy.heal()
        for name in self.ships.pids:
            self.ships.signal(name, signal.SIGCONT)

    async def _rested(self) -> None:
        deadline = time.monotonic() + LONG_S
        connection = await asyncpg.connect(self.dsn)
        try:
            while time.monotonic() < deadline:
                await self._operate(connection)
                left = await connection.fetchval(
                    "select count(*) from newel.run where finished_at is null"
                )
                if left == 0:
                    return
                for number in range(self.plan.workers):
                    if not self.ships.is_alive(f"w{number}"):
                        said = self.ships.log(f"w{number}")[-1500:].strip()
                        status = await self.ships.gone(f"w{number}")
                        # The database was away when it was started: it said so, and ended.
                        if status != 1 or not said.splitlines()[-1].startswith("newel: "):
                            self.found.wrong.append(f"w{number} has ended: {said}")
                        await self.ships.worker(f"w{number}")
                await asyncio.sleep(0.2)
        finally:
            await connection.close()

    async def _operate(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Be the person to whom newel hands a step under which three workers died by chance.

        Nobody else could tell it from a step that kills its workers; a parked step for any
        other reason stays, and is found stuck.
        """
        for run in await connection.fetch(
            "select distinct run_id from newel.open_act "
            "where state = 'parked' and detail->>'message' = $1",
            DIED,
        ):
            await self._serving()
            await self.ships.retry(self.api_port, reference("run", run["run_id"]))
            self.found.retried += 1

    async def _judge(self, names: list[str]) -> None:
        wrong = self.found.wrong
        connection = await asyncpg.connect(self.dsn)
        try:
            seen = await read(connection)
            open_now = await connection.fetch(
                "select r.id, r.process, r.state, r.parked_reason, r.wake_at, a.key, "
                "a.state as act, a.reason, a.detail from newel.run r "
                "left join newel.open_act a on a.run_id = r.id where r.finished_at is null"
            )
            made = await connection.fetchval(
                "select count(*) from newel.run where process in ('journey', 'waiting')"
            )
        finally:
            await connection.close()
        wrong += at_rest(seen)
        wrong += [f"stuck: {dict(row)}" for row in open_now[:5]]
        wrong += [
            f"not completed: {run['id']}"
            for run in seen.runs
            if run["finished_at"] is not None and run["state"] != "completed"
        ]
        if made != len(names):
            wrong.append(f"{len(names)} starts made {made} runs")
        wrong += [f"{name} was made {n} times" for name, n in self.book.doubled().items()]
        for number, name in enumerate(names):
            process = "waiting" if number % 5 == 4 else "journey"
            for part in EFFECTS[process]:
                if not self.book.effects[f"{name}.{part}"]:
                    wrong.append(f"{name}.{part} was lost")
        self.found.effects = sum(self.book.effects.values())


async def played(plan: Plan) -> Found:
    """Play a plan on a server of its own."""
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="newel-faults-", dir=memory if memory.is_dir() else None))
    try:
        server: Server = await asyncio.to_thread(started, place / "server")
        await migrate(server.dsn)
        with contextlib.ExitStack() as stack:
            dsn = stack.enter_context(pooled(server.dsn)) if plan.is_pooled else server.dsn
            async with Book(plan.seed) as book, fleet(place, dsn, book) as ships:
                schedule = Schedule(plan, ships, book, server.dsn, place / "server")
                found = await schedule.play()
                if found.wrong and os.environ.get("KEEP"):
                    shutil.copytree(
                        place,
                        "/tmp/newel-faults-kept",
                        dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("server"),
                    )
                return found
    finally:
        await asyncio.to_thread(removed, place / "server")
        shutil.rmtree(place, ignore_errors=True)


def main() -> int:
    """Play schedules one after another; 1 if any has shown something wrong."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--schedules", type=int, default=1)
    given.add_argument("--workers", type=int, default=4)
    given.add_argument("--runs", type=int, default=500)
    given.add_argument("--faults", type=int, default=12)
    given.add_argument("--pooled", action="store_true")
    told = given.parse_args()
    bad = 0
    for seed in range(told.seed, told.seed + told.schedules):
        plan = Plan(seed, told.workers, told.runs, told.faults, told.pooled)
        found = asyncio.run(played(plan))
        print(found.line(), flush=True)
        for line in found.wrong[:20]:
            print("   ", line, flush=True)
        if found.wrong:
            bad += 1
            print("    again:", found.command(), flush=True)
    print(f"{told.schedules} schedules, {bad} broken", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
