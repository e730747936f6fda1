"""How long what runs all the time takes, and whether it reads only what it must."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bench.scale.filling import NAMES

from newel.people import answer, unplanned
from newel.store import overview, run_list, runs, tasks
from newel.store.database import Connection, Database
from newel.store.queries import queries

__all__ = ["GOAL_MS", "HOT", "Figure", "Ground", "measured"]

GOAL_MS: Final = 25.0


@dataclass(frozen=True, slots=True)
class Figure:
    """Milliseconds of one thing, over all its repetitions."""

    name: str
    median_ms: float
    p95_ms: float
    most_ms: float


class Ground:
    """What is drawn from: a database, some of its runs and people, and chance."""

    def __init__(self, database: Database, waiting: list[Any], finished: list[Any]) -> None:
        self.database = database
        self.waiting = waiting
        self.finished = finished
        self.chance = random.Random(7)
        self.people = 0
        self.worker = (0, 0)

    @classmethod
    async def of(cls, database: Database) -> Ground:
        """Look the database over, and register a worker."""
        waiting = await database.fetch(
            "select id, subject from newel.run where finished_at is null limit 5000"
        )
        finished = await database.fetch(
            "select id, subject from newel.run tablesample system (1) where finished_at is not null "  # noqa: E501
            "limit 5000"
        )
        ground = cls(database, waiting, finished or waiting)
        ground.people = await database.fetchval("select count(*) from newel.person")
        row = await database.fetchrow(
            "insert into newel.worker (host, pid, version, lease_until) "
            "values ('scale', 1, 'x', clock_timestamp() + interval '1 day') returning id, epoch"
        )
        assert row is not None
        ground.worker = (row["id"], row["epoch"])
        return ground

    def run(self) -> Any:
        """Any run's row."""
        return self.chance.choice(self.chance.choice([self.waiting, self.finished]))


async def _claimed(ground: Ground) -> None:
    """Claim fifty runs that are due, and undo it."""
    worker, epoch = ground.worker
    async with ground.database.transaction() as connection:
        found = await runs.claim_ready(
            connection, worker=worker, epoch=epoch, how_many=50, processes={"onboarding": 1}
        )
        assert found, "some runs are due"
        raise _UndoneError


class _UndoneError(Exception):
    """What was written is undone."""


async def _with(ground: Ground, act: Callable[[Connection], Awaitable[Any]]) -> None:
    async with ground.database.transaction() as connection:
        await act(connection)


async def _searched(ground: Ground) -> None:
    """Ask where a person stands whose name is typed wrongly."""
    name = NAMES(ground.chance.randrange(ground.people))
    at = ground.chance.randrange(1, len(name) - 1)
    await answer(ground.database, name[:at] + name[at + 1 :], datetime.now(UTC), UTC, unplanned)


async def _asked(ground: Ground) -> None:
    """Ask where a person stands."""
    number = ground.chance.randrange(ground.people)
    await answer(ground.database, f"p{number}@example.test", datetime.now(UTC), UTC, unplanned)


def _block(module: str, name: str, *values: Any) -> Callable[[Ground], Awaitable[Any]]:
    statement = getattr(queries(module), name)

    async def asked(ground: Ground) -> None:
        given = [value(ground) if callable(value) else value for value in values]
        await ground.database.fetch(statement, *given)

    return asked


HOT: Final[dict[str, Callable[[Ground], Awaitable[Any]]]] = {
    "claim": _claimed,
    "next due": lambda ground: _with(ground, runs.next_due),
    "nudged": lambda ground: _with(ground, lambda c: runs.nudged(c, worker=ground.worker[0])),
    "load ten runs": _block(
        "runs", "load", lambda ground: [ground.run()["id"] for _ in range(10)]
    ),
    "outcomes of ten runs": _block(
        "journal", "outcomes", lambda ground: [ground.run()["id"] for _ in range(10)]
    ),
    "event delivery": _block(
        "messages", "waiting", "paid", lambda g: f"FIN-{g.chance.randrange(100_000)}", None
    ),
    "kept message": _block(
        "messages", "take", "paid", lambda g: f"FIN-{g.chance.randrange(9)}",
        lambda ground: ground.run()["id"],
    ),
    "incident probe": _block("incidents", "open_incidents"),
    "task inbox": lambda ground: tasks.listed(ground.database),
    "in-flight list": lambda ground: run_list.listed(
        ground.database, run_list.Narrowed(standing="open")
    ),
    "parked list": lambda ground: run_list.listed(
        ground.database, run_list.Narrowed(standing="parked")
    ),
    "ended list": lambda ground: run_list.listed(
        ground.database, run_list.Narrowed(standing="ended")
    ),
    "counts of the list": lambda ground: run_list.counts(ground.database, run_list.Narrowed()),
    "navigation": lambda ground: overview.overview(ground.database),
    "person search": _searched,
    "person status": _asked,
    "one run": _block("runs", "read", lambda ground: ground.run()["id"]),
}  # fmt: skip
"""What is measured, by name."""


async def measured(ground: Ground, name: str, *, times: int) -> Figure:
    """Do one thing so many times, after a few that do not count."""
    spans: list[float] = []
    for number in range(times + 7):
        began = time.perf_counter()
        with contextlib.suppress(_UndoneError):
            await HOT[name](ground)
        if number >= 7:  # the driver plans the first ones anew
            spans.append((time.perf_counter() - began) * 1000)
    spans.sort()
    return Figure(
        name,
        round(spans[len(spans) // 2], 2),
        round(spans[int(len(spans) * 0.95)], 2),
        round(spans[-1], 2),
    )
