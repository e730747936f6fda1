"""What becomes of newel's own programs, in the log: begun, ended orderly, schema changed, lost.

Each host has a stream of its own, `service/<host>`, so that an auditor can tell a night without
events from a night without anybody at work.
Source: audit document, §4.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.ids import Ids
from newel.base.version import VERSION
from newel.domain.change import Beside, Change
from newel.engine.enduring import insisting
from newel.engine.operating import Tell, write_aside
from newel.store import registry
from newel.store.database import LOST, Connection, Database
from newel.store.migrate import migrations

__all__ = ["lost", "migrated", "on_record"]

Said: TypeAlias = (
    facts.ServiceStarted | facts.ServiceStopped | facts.ServiceMigrated | facts.ServiceWorkerLost
)

_UNFIT: Final = re.compile(r"[^a-z0-9.-]+")


@asynccontextmanager
async def on_record(
    database: Database, role: str, tell: Tell = lambda _: None
) -> AsyncIterator[None]:
    """Let the log say that a program of this role works here, and that it has ended orderly.

    One that is killed, fails, or has no database any more says nothing: that is how it can be told.
    """
    late: asyncio.Task[None] | None = None

    async def begun() -> None:
        await _recorded(database, facts.ServiceStarted(version=VERSION, role=role), role, tell)

    try:
        await begun()
    except LOST:  # it goes to work all the same, as what else it does endures this
        late = asyncio.create_task(insisting(begun))
    try:
        yield
    finally:
        is_on_record = late is None or late.done()
        if late is not None:
            late.cancel()
    if is_on_record:
        with contextlib.suppress(*LOST):
            await _recorded(database, facts.ServiceStopped(), role, tell)


async def migrated(database: Database, applied: Sequence[str]) -> None:
    """Let the log say from where to where the schema was taken; applied: names, in order."""
    every = migrations()
    first = [each.name for each in every].index(applied[0])
    texts = [each.text for each in every if each.name in applied]
    fact = facts.ServiceMigrated(
        from_=every[first - 1].name if first else "",
        to=applied[-1],
        sha256=hashlib.sha256("".join(texts).encode()).hexdigest(),
    )
    await _recorded(database, fact, "cli", lambda _: None)


async def lost(
    connection: Connection,
    runs: Mapping[int, int],
    actor: Actor,
    ids: Ids,
) -> Change:
    """Let the log say which workers have lost their lease, and how many runs each held."""
    fallen = [
        facts.ServiceWorkerLost(worker=f"w_{worker}", runs=held)
        for worker, held in sorted(runs.items())
    ]
    return await _written(connection, fallen, actor, ids)


async def _recorded(database: Database, fact: Said, via: str, tell: Tell) -> None:
    actor = Actor(type="system", id="newel", via=via)
    async with database.transaction() as connection:
        change = await _written(connection, [fact], actor, Ids())
    tell(change)


async def _written(
    connection: Connection,
    said: Sequence[Said],
    actor: Actor,
    ids: Ids,
) -> Change:
    at = await registry.now(connection)
    told = [Beside(_here(), fact, at, actor, None) for fact in said]
    return await write_aside(connection, told, id_=ids.new(), new_event_id=ids.event_id)


def _here() -> str:
    """The stream of this host."""
    return f"service/{_UNFIT.sub('-', socket.gethostname().lower())}"
