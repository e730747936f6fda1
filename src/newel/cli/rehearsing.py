"""Onboardings against simulators that answer as slowly as real systems: 150 to 800 ms a call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from newel.audit.leaf import Actor
from newel.base.settings import load_settings
from newel.cli.project import example_settings, load_project
from newel.engine.engine import Engine
from newel.engine.vault import Vault
from newel.engine.worker import Worker, WorkerSettings
from newel.simulators.faults import Latency
from newel.simulators.server import serve
from newel.simulators.world import World
from newel.store import measured
from newel.store.database import Database

_AT_ONCE: Final = 3
"""So few that the pace newel keeps with GitHub (one change in 1.2 s) holds nobody up."""
_ACTOR: Final = Actor(type="service", id="svc_bench")
_MANAGER: Final = "manager@acme.example"
_JOBS: Final = ("engineer", "sales", "office")
_MEDIAN_MS: Final = 346
_SLOWEST_MS: Final = 800
"""Log-normal: one call in a hundred is slower than 800 ms, one faster than 150 ms."""


async def rehearse(dsn: str, place: Path, *, hires: int) -> dict[str, Any]:
    """Onboard many people, some at a time; answers with active seconds and the engine's share."""
    world = World(seats=hires + 10)
    async with serve(list(world.simulators.values())) as addresses:
        os.environ.update(world.credentials(addresses))
        async with _engine(dsn, place) as (engine, worker):
            for simulator in world.simulators.values():
                simulator.fail("*", Latency(p50_ms=_MEDIAN_MS, p99_ms=_SLOWEST_MS), times=None)
            active: list[float] = []
            began = time.process_time()
            for first in range(0, hires, _AT_ONCE):
                several = range(first, min(first + _AT_ONCE, hires))
                runs = [await _started(engine, world, number) for number in several]
                active += await _ended(engine, worker, runs)
            cpu = time.process_time() - began
    slowest = sorted(active)[int(len(active) * 0.95)]
    return {
        "onboarding_active_p50_s": round(statistics.median(active), 2),
        "onboarding_active_p95_s": round(slowest, 2),
        "onboarding_cpu_ms": round(cpu / hires * 1000, 1),
        "onboardings": hires,
    }


@contextlib.asynccontextmanager
async def _engine(dsn: str, place: Path) -> AsyncIterator[tuple[Engine, Worker]]:
    settings = example_settings(load_settings(place, data=place, database_url=dsn))
    project = load_project(settings)
    database = await Database.open(dsn)
    engine = Engine(
        database,
        Vault.at(place / "kek"),
        project.processes,
        connectors=project.connectors,
        worker=WorkerSettings(look=timedelta(milliseconds=50)),
    )
    await engine.register()
    worker = engine.new_worker()
    running = asyncio.create_task(worker.run())
    try:
        await worker.registered.wait()
        yield engine, worker
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()


async def _started(engine: Engine, world: World, number: int) -> UUID:
    job = _JOBS[number % len(_JOBS)]
    document: dict[str, Any] = {
        "name": f"Hire {number}",
        "email": f"hire.{number}@acme.example",
        "job": job,
        "team": "platform",
        "starts_at": datetime.now(UTC).isoformat(),
        "manager": {"name": "Mary Manager", "email": _MANAGER},
    }
    if job == "engineer":
        login = f"hire-{number}"
        world.github.create_by_hand(login)
        document |= {"github_username": login, "repositories": ["acme-example/api"]}
    started = await engine.start("onboarding", document, actor=_ACTOR)
    return started.run


async def _ended(engine: Engine, worker: Worker, runs: list[UUID]) -> list[float]:
    """Decide what is asked, until all runs have ended; answers with their active seconds."""
    decided: set[UUID] = set()
    manager = await engine.actor(_MANAGER, via="api")

    async def all_ended() -> bool:
        for task in await measured.open_tasks(engine.database, runs):
            if task not in decided:
                decided.add(task)
                await engine.decide(task, approved=True, actor=manager)
                worker.poke()
        return await measured.all_ended(engine.database, runs)

    await worker.notices.until(all_ended)
    return await measured.active_seconds(engine.database, runs)
