"""What the log says of newel's own programs: begun, ended, schema changed, worker lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, cast

import orjson
import pytest

from newel import days, process, step, timer
from newel.audit.leaf import Actor
from newel.base.version import VERSION
from newel.domain.change import Change
from newel.engine.service_events import migrated, on_record
from newel.engine.told import Teller, service
from newel.store.database import Database
from newel.store.migrate import migrations
from newel.testing.stage import Stage
from tests.patience import PATIENCE_S

OPERATOR = Actor(type="service", id="svc_test")


@process(subject=None)
async def patient() -> None:
    """Wait for a day."""
    await timer("a-day", after=days(1))


@step(in_doubt="repeat", timeout=timedelta(hours=1))
async def take_long() -> None:
    """Take longer than the test."""
    await asyncio.sleep(1_000)


@process(subject=None)
async def slow() -> None:
    """Do what takes long."""
    await take_long()


async def _leaves(database: Any) -> list[dict[str, Any]]:
    rows = await database.fetch(
        "select entry from newel.event where type like 'service.%' order by stream_id, seq"
    )
    return [orjson.loads(row["entry"]) for row in rows]


async def test_a_program_is_on_record_from_its_beginning_to_its_orderly_end(build):
    """Its stream is the host's; both are told to the log of lines as well."""
    async with build([patient]) as house:
        told: list[Change] = []
        async with on_record(house.database, "worker", told.append):
            (began,) = await _leaves(house.database)
            assert began["type"] == "service.started"
            assert began["data"] == {"role": "worker", "version": VERSION}
            assert began["stream"] == f"service/{socket.gethostname().lower()}"
        assert [each["type"] for each in await _leaves(house.database)] == [
            "service.started",
            "service.stopped",
        ]
        assert [event.type for change in told for event in change.events] == [
            "service.started",
            "service.stopped",
        ]


async def test_one_that_fails_leaves_no_orderly_end(build):
    """What is missing at the end tells that it did not end as it should."""
    async with build([patient]) as house:
        with pytest.raises(ZeroDivisionError):
            async with on_record(house.database, "serve"):
                raise ZeroDivisionError
        assert [each["type"] for each in await _leaves(house.database)] == ["service.started"]


class Away:
    """A database that is not there the first time it is asked."""

    def __init__(self, database: Any) -> None:
        """Take the one that is there afterwards."""
        self._database = database
        self._was_asked = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Refuse the first."""
        if not self._was_asked:
            self._was_asked = True
            raise ConnectionResetError
        async with self._database.transaction() as connection:
            yield connection


async def test_a_program_begins_while_the_database_is_away(build):
    """It goes to work, and is on record as soon as that can be written."""
    async with build([patient]) as house:
        begun = asyncio.Event()
        away = cast("Database", Away(house.database))
        async with on_record(away, "worker", lambda _: begun.set()):
            assert not begun.is_set()
            await asyncio.wait_for(begun.wait(), PATIENCE_S)
        told = [each["type"] for each in await _leaves(house.database)]
        assert told == ["service.started", "service.stopped"]


async def test_a_new_schema_is_told_with_the_digest_of_what_was_applied(build):
    """From the last file that was there to the last of the new ones."""
    every = migrations()
    async with build([patient]) as house:
        await migrated(house.database, [each.name for each in every[-2:]])
        (told,) = await _leaves(house.database)
        assert told["type"] == "service.migrated"
        assert (told["data"]["from"], told["data"]["to"]) == (every[-3].name, every[-1].name)
        texts = "".join(each.text for each in every[-2:])
        assert told["data"]["sha256"] == sha256(texts.encode()).hexdigest()


def test_a_lost_worker_is_told_once_with_its_runs():
    """Whoever takes over says it, and its line of the log comes after the commit."""
    stage = Stage([slow], begins=datetime(2026, 1, 5, tzinfo=UTC), reads=False)
    with stage.open():
        for _ in range(2):
            stage.run(stage.engine.start("slow", {}, actor=OPERATOR))
        busy = stage.staff[0]
        assert stage.loop.drive(lambda: len(stage.rows("open_act")) == 2, deadline=10)
        stage.kill(busy.place)
        lines: list[bytes] = []
        stage.hire().worker.teller = Teller(service("worker", "here"), lines.append)
        stage.loop.drive(lambda: b"worker_lost" in b"".join(lines), deadline=30)
        stage.loop.drive(lambda: False, deadline=60)
        told = [row for row in stage.rows("event") if row["type"] == "service.worker_lost"]
        leaf = orjson.loads(told[0]["entry"])
        assert len(told) == 1
        assert leaf["data"] == {"worker": f"w_{busy.worker.worker}", "runs": 2}
        assert leaf["actor"]["via"] == f"worker/w_{stage.staff[1].worker.worker}"
        assert b"".join(lines).count(b"worker_lost") == 1
